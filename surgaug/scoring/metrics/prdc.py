"""Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020)."""

from __future__ import annotations

import numpy as np

from surgaug.scoring.compute.neighbours import manifolds
from surgaug.scoring.metrics import Metric

K_BALL, K_COVER = 3, 5


def compute(real: np.ndarray, synthetic: np.ndarray) -> np.ndarray:
    """float64 [4] from features [n, d] and [m, d], more than 5 rows each; see `manifolds`."""
    return compute_many(real, synthetic, [(np.arange(len(real)), np.arange(len(synthetic)))])[0]


def compute_many(real: np.ndarray, synthetic: np.ndarray, subsets: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Of `real[i]` and `synthetic[j]` for each pair of index arrays (i, j); float64 [len(subsets), 4]."""
    return manifolds(real, synthetic, subsets, K_BALL, K_COVER)


METRIC = Metric(
    title="Precision, recall, density, coverage",
    group="realism",
    better="higher",
    needs="features",
    convention=f"nearest neighbours k = {K_BALL} (precision, recall) and {K_COVER} (density, coverage), a point on the "
    "border counts as inside; they depend on the number of images: compare only at equal size",
    compute=compute,
    compute_many=compute_many,
    figures=tuple((name, name.capitalize()) for name in ("precision", "recall", "density", "coverage")),
    aliases=dict.fromkeys(("precision", "recall", "density", "coverage"), ""),
    maximum=np.array([1, 1, np.inf, 1]),
    has_ratio=False,
    biased=True,
    fewest=K_COVER + 1,
)
