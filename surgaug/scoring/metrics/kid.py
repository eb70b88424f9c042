"""Kernel distance between two samples of feature vectors; with Inception's features, KID (Binkowski et al. 2018)."""

from __future__ import annotations

import numpy as np

from surgaug.scoring.compute.distances import kernel_distance, membership
from surgaug.scoring.metrics import Metric


def compute(real: np.ndarray, synthetic: np.ndarray) -> float:
    """Unbiased estimate, around 0 for equal distributions, from features [n, d] and [m, d]; see `kernel_distance`."""
    return float(kernel_distance(real, synthetic)[0])


def compute_many(real: np.ndarray, synthetic: np.ndarray, subsets: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Estimate of `real[i]` and `synthetic[j]` for each pair of index arrays (i, j); float64 [len(subsets)]."""
    weights_real = membership(len(real), [i for i, _ in subsets])
    weights_synthetic = membership(len(synthetic), [j for _, j in subsets])
    return kernel_distance(real, synthetic, weights_real, weights_synthetic)


METRIC = Metric(
    title="MMD",
    group="realism",
    better="lower",
    needs="features",
    convention="unbiased squared MMD, kernel (x.y/d + 1)^3, all pairs of the two sets (no random subsets), no factor",
    compute=compute,
    compute_many=compute_many,
    default=True,
    on_deep=("kd", "KD"),
    on_inception=("kid", "KID"),
    minimum=-np.inf,
    has_ratio=False,  # equal distributions give about 0, of either sign
)
