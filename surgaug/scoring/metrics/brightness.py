"""How much brighter or darker the synthetic images are."""

from __future__ import annotations

import numpy as np

from surgaug.scoring.compute.description import mean_lab

KIND, NAMES = "set", ("brightness",)
FEATURES = ("colour_texture",)
TITLE, UNIT, BETTER = "Brightness drift", "L*", "lower"
MINIMUM, MAXIMUM, HAS_RATIO, FEWEST, MOST_DRAWS = 0.0, 100.0, True, 2, 1000
CONVENTION = "difference of mean L* (0 black, 100 white)"


def compute(real: np.ndarray, synthetic: np.ndarray) -> float:
    """In units of L*, >= 0, from colour and texture features [n, 130] and [m, 130]."""
    means = [mean_lab(side)[:, 0].mean() for side in (real, synthetic)]
    return float(abs(means[1] - means[0]))
