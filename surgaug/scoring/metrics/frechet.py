"""Fréchet distance between two samples of feature vectors; with Inception's features it is FID (Heusel et al. 2017)."""

from __future__ import annotations

import numpy as np

from surgaug.scoring.compute.distances import frechet_distance

KIND, NAMES = "set", ("frechet",)
FEATURES = ("colour_texture", "inception", "dinov2")
TITLE, UNIT, BETTER = "Fréchet", "", "lower"
MINIMUM, MAXIMUM, HAS_RATIO, FEWEST, MOST_DRAWS = 0.0, np.inf, True, 2, 1000
CONVENTION = (
    "squared Fréchet distance of Gaussians fitted with sample covariance (n - 1), float64, by singular values; "
    "biased upwards in small samples: compare only at equal size"
)


def compute(real: np.ndarray, synthetic: np.ndarray) -> float:
    """Distance >= 0 between features [n, d] and [m, d]; see `frechet_distance`."""
    return frechet_distance(real, synthetic)


def compute_many(real: np.ndarray, synthetic: np.ndarray, subsets: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Distance of `real[i]` and `synthetic[j]` for each pair of index arrays (i, j); float64 [len(subsets)]."""
    return np.array([frechet_distance(real[i], synthetic[j]) for i, j in subsets])
