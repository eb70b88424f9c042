"""How much brighter or darker the synthetic images are."""

from __future__ import annotations

import numpy as np

from surgaug.scoring.compute.colour_texture import mean_lab
from surgaug.scoring.metrics import Metric


def compute(real: np.ndarray, synthetic: np.ndarray) -> float:
    """In units of L*, >= 0, from colour and texture features [n, 130] and [m, 130]."""
    means = [mean_lab(side)[:, 0].mean() for side in (real, synthetic)]
    return float(abs(means[1] - means[0]))


METRIC = Metric(
    title="Brightness drift",
    group="drift",
    better="lower",
    unit="L*",
    needs="features",
    convention="difference of mean L* (0 black, 100 white)",
    compute=compute,
    default=True,
    features=("colour_texture",),
    maximum=100.0,
)
