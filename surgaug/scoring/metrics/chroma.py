"""How much paler or more colourful the synthetic images are."""

from __future__ import annotations

import numpy as np

from surgaug.scoring.compute.colour_texture import mean_lab, spread_lab
from surgaug.scoring.metrics import Metric


def compute(real: np.ndarray, synthetic: np.ndarray) -> float:
    """In units of a*, b*, >= 0, from colour and texture features [n, 130] and [m, 130]."""
    means = [chroma(side).mean() for side in (real, synthetic)]
    return float(abs(means[1] - means[0]))


def chroma(features: np.ndarray) -> np.ndarray:
    """Root mean square of the distance of each image's pixels from grey, in the a*b* plane; float64 [n]."""
    return np.sqrt((mean_lab(features)[:, 1:] ** 2 + spread_lab(features)[:, 1:] ** 2).sum(1))


METRIC = Metric(
    title="Chroma drift",
    group="drift",
    better="lower",
    unit="a*b*",
    needs="features",
    convention="difference of chroma, the distance from grey in the a*b* plane (rms over pixels, mean of images)",
    compute=compute,
    default=True,
    features=("colour_texture",),
)
