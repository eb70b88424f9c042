"""Fréchet distance between two samples of feature vectors; with Inception's features it is FID (Heusel et al. 2017)."""

from __future__ import annotations

import numpy as np

from surgaug.scoring.compute.distances import frechet_distance
from surgaug.scoring.metrics import Metric


def compute(real: np.ndarray, synthetic: np.ndarray) -> float:
    """Distance >= 0 between features [n, d] and [m, d]; see `frechet_distance`."""
    return frechet_distance(real, synthetic)


def compute_many(real: np.ndarray, synthetic: np.ndarray, subsets: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Distance of `real[i]` and `synthetic[j]` for each pair of index arrays (i, j); float64 [len(subsets)]."""
    return np.array([frechet_distance(real[i], synthetic[j]) for i, j in subsets])


METRIC = Metric(
    title="Fréchet",
    group="realism",
    better="lower",
    needs="features",
    convention="squared Fréchet distance of Gaussians fitted with sample covariance (n - 1), float64, by singular "
    "values; biased upwards in small samples: compare only at equal size",
    compute=compute,
    default=True,
    biased=True,
    on_deep=("fd", "FD"),
    on_inception=("fid", "FID"),
    aliases={"fid": "inception"},
)
