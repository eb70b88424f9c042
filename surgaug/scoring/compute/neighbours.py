"""Nearest neighbours between two samples of feature vectors, in blocks of rows: no distance matrix is held whole."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_BLOCK_ROWS = 512
_ROUNDING = 1e-9  # relative; a distance counts as equal to another within it


def nearest(x: np.ndarray, y: np.ndarray, *, other: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Euclidean distance of each row of `x` [n, d] to the nearest of `y` [m, d], and which one that is: [n], [n].

    other: `x` and `y` are the same sample, and a row is not its own neighbour.
    """
    distance, index = np.empty(len(x)), np.empty(len(x), np.int64)
    for rows, squared in _squared_distances(x, y):
        if other:
            squared[np.arange(len(squared)), np.arange(rows.start, rows.start + len(squared))] = np.inf
        index[rows] = squared.argmin(1)
        distance[rows] = np.sqrt(squared.min(1))
    return distance, index


def manifolds(
    real: np.ndarray, synthetic: np.ndarray, subsets: list[tuple[np.ndarray, np.ndarray]], k_ball: int, k_cover: int
) -> np.ndarray:
    """Precision, recall, density and coverage of sub-samples of two samples.

    The ball of a point reaches to its k-th nearest neighbour in its own sample. Precision: the share of synthetic
    points in the ball (k_ball) of some real point; recall: the share of real points in the ball of some synthetic point
    (Kynkäänniemi et al. 2019). Density: how many balls (k_cover) of real points hold a synthetic point, on average,
    over k_cover; coverage: the share of real points whose ball holds a synthetic one (Naeem et al. 2020). A point on
    the border is inside: with duplicates balls have radius 0, and would not hold their own centre otherwise.

    Args:
        real: [n, d]. synthetic: [m, d].
        subsets: pairs of index arrays, each of more than max(k_ball, k_cover) rows.

    Returns:
        float64 [len(subsets), 4].
    """
    real_balls = _radii(real, [i for i, _ in subsets], (k_ball, k_cover))
    synthetic_balls = _radii(synthetic, [j for _, j in subsets], (k_ball,))
    precise = [np.zeros(len(j), bool) for _, j in subsets]
    held, recalled, covered = np.zeros((3, len(subsets)))
    for rows, squared in _squared_distances(real, synthetic):
        for s, (i, j) in enumerate(subsets):
            chosen = (i >= rows.start) & (i < rows.stop)
            part = squared[i[chosen] - rows.start][:, j]
            near, cover = (balls[chosen, None] for balls in real_balls[s])
            precise[s] |= (part <= near).any(0)
            recalled[s] += (part <= synthetic_balls[s][0]).any(1).sum()
            inside = part <= cover
            held[s] += inside.sum()
            covered[s] += inside.any(1).sum()
    n, m = (np.array([len(pair[side]) for pair in subsets]) for side in (0, 1))
    return np.stack([[p.mean() for p in precise], recalled / n, held / (k_cover * m), covered / n], 1)


def _radii(x: np.ndarray, subsets: list[np.ndarray], ks: tuple[int, ...]) -> list[list[np.ndarray]]:
    """Squared radius of each row's ball within each sub-sample, a rounding error wider, for each k."""
    radii = [[np.empty(len(subset)) for _ in ks] for subset in subsets]
    for rows, squared in _squared_distances(x, x):
        for found, subset in zip(radii, subsets, strict=True):
            chosen = (subset >= rows.start) & (subset < rows.stop)
            # Position k, as each row is at distance 0 from itself.
            ordered = np.partition(squared[subset[chosen] - rows.start][:, subset], ks, axis=1)
            for radius, k in zip(found, ks, strict=True):
                radius[chosen] = ordered[:, k] * (1 + _ROUNDING)
    return radii


def _squared_distances(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Row slices of `x`, with their squared distances to all of `y`; what is below the rounding error is 0."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    centre = y.mean(0)  # distances do not change, rounding errors shrink
    x, y = x - centre, y - centre
    square_x, square_y = np.square(x).sum(1), np.square(y).sum(1)
    for start in range(0, len(x), _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        total = square_x[rows, None] + square_y
        squared = total - 2 * (x[rows] @ y.T)
        squared[squared < total * (np.finfo(np.float64).eps * x.shape[1])] = 0
        yield rows, squared
