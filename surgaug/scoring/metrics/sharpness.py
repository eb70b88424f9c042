"""How much fine detail the synthetic images lack, or have too much of: blur and noise."""

from __future__ import annotations

import numpy as np

from surgaug.scoring.compute.colour_texture import finest_details
from surgaug.scoring.metrics import Metric


def compute(real: np.ndarray, synthetic: np.ndarray) -> float:
    """In percent, >= 0, from colour and texture features [n, 130] and [m, 130].

    Raises:
        ValueError: real images that are flat.
    """
    first, second = (detail(side).mean() for side in (real, synthetic))
    if first == 0:
        raise ValueError("flat real images have no sharpness")
    return float(100 * abs(second - first) / first)


def detail(features: np.ndarray) -> np.ndarray:
    """Root mean square of each image's finest details over orientations, in grey levels; float64 [n]."""
    return np.sqrt(np.square(finest_details(features)).mean(1))


METRIC = Metric(
    title="Sharpness drift",
    group="drift",
    better="lower",
    unit="%",
    needs="features",
    convention="difference of the finest luminance Haar details (rms grey levels, mean of images), over the real set's",
    compute=compute,
    default=True,
    features=("colour_texture",),
)
