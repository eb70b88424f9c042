"""CMMD (Jayasumana et al. 2024): maximum mean discrepancy of CLIP embeddings under a Gaussian kernel."""

from __future__ import annotations

import numpy as np

from surgaug.scoring.compute.distances import gaussian_discrepancy, membership
from surgaug.scoring.metrics import Metric

SIGMA, FACTOR = 10.0, 1000.0  # as the authors' code: google-research/google-research, cmmd/distance.py


def compute(real: np.ndarray, synthetic: np.ndarray) -> float:
    """From embeddings [n, d] and [m, d] of any length."""
    return float(gaussian_discrepancy(_unit(real), _unit(synthetic), SIGMA)[0]) * FACTOR


def compute_many(real: np.ndarray, synthetic: np.ndarray, subsets: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Of `real[i]` and `synthetic[j]` for each pair of index arrays (i, j); float64 [len(subsets)]."""
    weights = membership(len(real), [i for i, _ in subsets]), membership(len(synthetic), [j for _, j in subsets])
    return gaussian_discrepancy(_unit(real), _unit(synthetic), SIGMA, *weights) * FACTOR


def _unit(embeddings: np.ndarray) -> np.ndarray:
    embeddings = np.asarray(embeddings, np.float64)
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)


METRIC = Metric(
    title="CMMD",
    group="realism",
    better="lower",
    needs="features",
    convention=f"squared MMD, kernel exp(-|x - y|^2 / (2 * {SIGMA:.0f}^2)) of embeddings of length 1, each point with "
    f"itself included (as published; biased upwards by order 1/n), times {FACTOR:.0f}",
    compute=compute,
    compute_many=compute_many,
    biased=True,
    features=("clip",),
    weights="clip",
    lacking="CMMD needs weights: --clip-weights DIR, a model's folder as published",
)
