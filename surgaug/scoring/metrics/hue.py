"""How far the colours of the synthetic images are turned."""

from __future__ import annotations

import numpy as np

from surgaug.scoring.compute.colour_texture import mean_lab
from surgaug.scoring.metrics import Metric

LEAST_CHROMA = 2.0  # in units of a*, b*; below, the angle is noise
GREY = "images that are grey on average have no hue"
DECOLOURED = "the real frames have a hue, the synthetic images are grey on average"


def compute(real: np.ndarray, synthetic: np.ndarray) -> float:
    """In degrees, 0 to 180, from colour and texture features [n, 130] and [m, 130].

    Raises:
        ValueError: a set without colour; `DECOLOURED` where that is the synthetic one alone.
    """
    first, second = (mean_lab(side)[:, 1:].mean(0) for side in (real, synthetic))
    if np.hypot(*first) < LEAST_CHROMA:
        raise ValueError(GREY)
    if np.hypot(*second) < LEAST_CHROMA:
        raise ValueError(DECOLOURED)
    turn = np.degrees(np.arctan2(second[1], second[0]) - np.arctan2(first[1], first[0]))
    return float(abs((turn + 180) % 360 - 180))


METRIC = Metric(
    title="Hue drift",
    group="drift",
    better="lower",
    unit="degrees",
    needs="features",
    convention="angle between the mean colours of the two sets in the a*b* plane",
    compute=compute,
    default=True,
    features=("colour_texture",),
    maximum=180.0,
)
