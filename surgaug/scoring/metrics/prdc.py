"""Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020)."""

from __future__ import annotations

import numpy as np

from surgaug.scoring.compute.neighbours import manifolds

KIND, NAMES = "set", ("precision", "recall", "density", "coverage")
FEATURES = ("colour_texture", "inception", "dinov2")
K_BALL, K_COVER = 3, 5
TITLE, UNIT, BETTER = "", "", "higher"
MINIMUM, HAS_RATIO, FEWEST, MOST_DRAWS = 0.0, False, K_COVER + 1, 1000
MAXIMUM = np.array([1, 1, np.inf, 1])
CONVENTION = (
    f"nearest neighbours k = {K_BALL} (precision, recall) and {K_COVER} (density, coverage), a point on the border "
    "counts as inside; they depend on the number of images: compare only at equal size"
)


def compute(real: np.ndarray, synthetic: np.ndarray) -> np.ndarray:
    """float64 [4] from features [n, d] and [m, d], more than 5 rows each; see `manifolds`."""
    return compute_many(real, synthetic, [(np.arange(len(real)), np.arange(len(synthetic)))])[0]


def compute_many(real: np.ndarray, synthetic: np.ndarray, subsets: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Of `real[i]` and `synthetic[j]` for each pair of index arrays (i, j); float64 [len(subsets), 4]."""
    return manifolds(real, synthetic, subsets, K_BALL, K_COVER)
