"""Distances between two samples of feature vectors, and what random halves of a sample say about their spread."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg import qr, svdvals

_BLOCK_ROWS = 512


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Squared Fréchet (2-Wasserstein) distance between the Gaussians fitted to two samples.

    d^2 = |mean_x - mean_y|^2 + tr(C_x) + tr(C_y) - 2 tr((C_x C_y)^(1/2))   (Dowson and Landau 1982; Heusel et al. 2017)

    With C_x = A'A and C_y = B'B (A, B the centred samples over sqrt(n - 1)) the last trace is the sum of the singular
    values of A B'. So no covariance matrix is formed and no matrix root is taken: nothing can turn complex, and samples
    smaller than the dimension are handled exactly. What lies below the rounding error of the sum counts as 0, so
    that a sample is at distance exactly 0 from itself in any order.

    Args:
        x: [n, d] any float type; n >= 2.
        y: [m, d]; m >= 2.

    Raises:
        ValueError: fewer than two rows, or dimensions that differ.
    """
    _check(x, y)
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    mean_x, mean_y = x.mean(0), y.mean(0)
    a = (x - mean_x) / np.sqrt(len(x) - 1)
    b = (y - mean_y) / np.sqrt(len(y) - 1)
    total = float(np.square(a).sum() + np.square(b).sum())
    cross = float(svdvals(_triangle(a) @ _triangle(b).T, check_finite=True, overwrite_a=True).sum())
    shift = float(np.square(mean_x - mean_y).sum())
    distance = shift + total - 2 * cross
    rounding = np.finfo(np.float64).eps * x.shape[1] * (total + np.square(mean_x).sum() + np.square(mean_y).sum())
    return distance if distance > rounding else 0.0


def kernel_distance(
    x: np.ndarray, y: np.ndarray, weights_x: np.ndarray | None = None, weights_y: np.ndarray | None = None
) -> np.ndarray:
    """Unbiased squared maximum mean discrepancy with the kernel (x.y / d + 1)^3 (Binkowski et al. 2018: KID).

    The estimator uses every pair of the two samples once, instead of averaging over random subsets: same expectation,
    least variance, no seed. Many sub-samples are evaluated in one pass over the kernel matrix, which is formed in
    blocks of rows and never held whole.

    Args:
        x: [n, d].
        y: [m, d].
        weights_x: [n, k] of 0 and 1: which rows belong to each of k sub-samples; all rows where None.
        weights_y: [m, k] likewise.

    Returns:
        float64 [k] ([1] without weights). May be slightly below 0, as an unbiased estimate must.

    Raises:
        ValueError: a sample of fewer than two rows, or dimensions that differ.
    """
    _check(x, y)
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    w_x = np.ones((len(x), 1)) if weights_x is None else np.asarray(weights_x, np.float64)
    w_y = np.ones((len(y), 1)) if weights_y is None else np.asarray(weights_y, np.float64)
    n, m = w_x.sum(0), w_y.sum(0)
    if n.min() < 2 or m.min() < 2:
        raise ValueError("a sub-sample has fewer than two rows")
    within_x = _kernel_sums(x, x, w_x, w_x) - _kernel_diagonal(x) @ w_x
    within_y = _kernel_sums(y, y, w_y, w_y) - _kernel_diagonal(y) @ w_y
    across = _kernel_sums(x, y, w_x, w_y)
    return within_x / (n * (n - 1)) + within_y / (m * (m - 1)) - 2 * across / (n * m)


def gaussian_discrepancy(
    x: np.ndarray,
    y: np.ndarray,
    sigma: float,
    weights_x: np.ndarray | None = None,
    weights_y: np.ndarray | None = None,
) -> np.ndarray:
    """Squared maximum mean discrepancy with the kernel exp(-|x - y|^2 / (2 sigma^2)), each point with itself included.

    That is the biased estimate of Gretton et al. 2012, eq. 5, which is >= 0. Arguments and result as `kernel_distance`.
    """
    _check(x, y)
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    w_x = np.ones((len(x), 1)) if weights_x is None else np.asarray(weights_x, np.float64)
    w_y = np.ones((len(y), 1)) if weights_y is None else np.asarray(weights_y, np.float64)
    n, m = w_x.sum(0), w_y.sum(0)

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        squared = np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2 * a @ b.T
        return np.exp(-squared.clip(0) / (2 * sigma**2))

    within = _kernel_sums(x, x, w_x, w_x, kernel) / n**2 + _kernel_sums(y, y, w_y, w_y, kernel) / m**2
    return within - 2 * _kernel_sums(x, y, w_x, w_y, kernel) / (n * m)


def random_halves(n: int, size: int, draws: int, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """`draws` pairs of disjoint index arrays, `size` each, out of range(n). Needs 2 * size <= n."""
    orders = (rng.permutation(n) for _ in range(draws))
    return [(order[:size], order[size : 2 * size]) for order in orders]


def random_halves_of_groups(groups: np.ndarray, draws: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Positions of the items of a random half of the groups (of [n], rounded down), `draws` times."""
    names, index = np.unique(groups, return_inverse=True)
    halves = random_halves(len(names), len(names) // 2, draws, rng)
    return [np.flatnonzero(np.isin(index, chosen)) for chosen, _ in halves]


def membership(n: int, subsets: list[np.ndarray]) -> np.ndarray:
    """Index arrays to a 0/1 matrix [n, len(subsets)], as `kernel_distance` wants them."""
    weights = np.zeros((n, len(subsets)))
    for column, subset in enumerate(subsets):
        weights[subset, column] = 1
    return weights


def _triangle(a: np.ndarray) -> np.ndarray:
    """A matrix of at most d rows with the same a'a: R of the QR decomposition of one that has more."""
    return qr(a, mode="r", check_finite=True)[0][: a.shape[1]] if len(a) > a.shape[1] else a


Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _cubic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _kernel_sums(x: np.ndarray, y: np.ndarray, w_x: np.ndarray, w_y: np.ndarray, kernel: Kernel = _cubic) -> np.ndarray:
    sums = np.zeros(w_x.shape[1])
    for start in range(0, len(x), _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        sums += ((kernel(x[rows], y) @ w_y) * w_x[rows]).sum(0)
    return sums


def _kernel_diagonal(x: np.ndarray) -> np.ndarray:
    return (np.square(x).sum(1) / x.shape[1] + 1) ** 3


def _check(x: np.ndarray, y: np.ndarray) -> None:
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"feature arrays must be [n, d] and [m, d], not {x.shape} and {y.shape}")
    if min(len(x), len(y)) < 2:
        raise ValueError(f"a covariance needs at least two rows, not {len(x)} and {len(y)}")
