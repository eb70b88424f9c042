"""The Fréchet distance at infinitely many images, by extrapolation (Chong and Forsyth 2020)."""

from __future__ import annotations

import numpy as np

from surgaug.scoring.compute.distances import frechet_distance
from surgaug.scoring.metrics import Metric

POINTS = 12


def compute(real: np.ndarray, synthetic: np.ndarray) -> float:
    """From features [n, d] and [m, d]; about 0 for equal distributions, of either sign.

    Raises:
        ValueError: fewer than 2 d images on a side.
    """
    smaller, dimension = min(len(real), len(synthetic)), real.shape[1]
    if smaller < 2 * dimension:
        raise ValueError(f"needs {2 * dimension} images on either side, there are {len(real)} and {len(synthetic)}")
    rng = np.random.default_rng(0)
    growth = np.linspace(1, 2, POINTS)  # 1 / images, in units of that of all images
    distances = [
        frechet_distance(*(side[rng.permutation(len(side))[: round(len(side) / g)]] for side in (real, synthetic)))
        for g in growth
    ]
    return float(np.polyfit(growth, distances, 1)[1])


METRIC = Metric(
    title="Fréchet, infinite size",
    group="realism",
    better="lower",
    needs="features",
    convention=f"Fréchet distance of {POINTS} random sub-samples, from all images to half of them, on a line over "
    "1 / images, read at 0. Both sets shrink, for the real one is small as well (Chong and Forsyth hold it fixed, and "
    "draw by Sobol points); both need twice as many images as the features have numbers: below, the bias is no line",
    compute=compute,
    on_deep=("fd_infinity", "FD, infinite size"),
    on_inception=("fid_infinity", "FID, infinite size"),
    minimum=-np.inf,
    has_ratio=False,
    fewest=4,
    most_draws=3,  # each costs POINTS distances
)
