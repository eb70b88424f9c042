"""Class balance: how much of each class the synthetic labels show, against the real ones."""

from __future__ import annotations

import numpy as np

from surgaug.scoring.metrics import Metric


def compute(real: np.ndarray, synthetic: np.ndarray) -> float:
    """Total variation of the pixel shares [K] of either set, in %: 0 for equal ones, 100 for no class in common."""
    return float(50 * np.abs(real - synthetic).sum())


METRIC = Metric(
    title="Class balance",
    group="labels",
    better="lower",
    unit="%",
    needs="labels",
    convention="half the sum over classes of the differences of pixel shares",
    compute=compute,
    default=True,
)
