"""The cluster bootstrap: what chance in the choice of videos, masks or frames does to a figure. Pure.

Items of one cluster (frames of a video, images of one mask) are not independent, so whole clusters are drawn with
replacement, as many as there are (Davison and Hinkley 1997, section 3.8). Every interval of `score` that resamples is
made of these functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

RESAMPLES, LEVEL = 1000, 0.95
Z95 = 1.959964  # standard errors to either side that hold 95 % of a normal distribution


def cluster_weights(
    clusters: Sequence[str] | np.ndarray, rng: np.random.Generator, resamples: int = RESAMPLES
) -> Iterator[np.ndarray]:
    """How often each item is drawn, int64 [n], in one resample after the other.

    For statistics that are no function of sums; `cluster_sums` is faster for those that are.

    Args:
        clusters: the cluster of each item, [n].
    """
    index, size = _numbered(clusters)
    for drawn in _draws(size, rng, resamples):
        yield drawn[index]


def cluster_sums(
    values: np.ndarray, clusters: Sequence[str] | np.ndarray, rng: np.random.Generator, resamples: int = RESAMPLES
) -> np.ndarray:
    """Sum of `values` [n, ...] over the items of each resample: float64 [resamples, ...].

    Means, ratios and IoU are functions of such sums. Columns of one array see the same resamples, so that differences
    between them are paired.

    Args:
        clusters: the cluster of each item, [n].
    """
    index, size = _numbered(clusters)
    by_cluster = np.zeros((size, *values.shape[1:]))
    np.add.at(by_cluster, index, values)
    flat = by_cluster.reshape(size, -1)
    sums = np.stack([drawn @ flat for drawn in _draws(size, rng, resamples)])
    return sums.reshape(resamples, *values.shape[1:])


def mean_interval(
    values: np.ndarray,
    clusters: Sequence[str] | np.ndarray,
    rng: np.random.Generator,
    resamples: int = 2 * RESAMPLES,
    level: float = LEVEL,
) -> tuple[float, float] | tuple[None, None]:
    """Percentile interval of the mean of `values` [n]; (None, None) where a single cluster leaves nothing to draw."""
    if _numbered(clusters)[1] < 2:
        return None, None
    sums = cluster_sums(np.stack([values, np.ones(len(values))], 1), clusters, rng, resamples)
    return percentile_interval(sums[:, 0] / sums[:, 1], level)


def percentile_interval(draws: np.ndarray | Sequence[float], level: float = LEVEL) -> tuple[float, float]:
    """The middle `level` of a statistic's values [resamples]."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _numbered(clusters: Sequence[str] | np.ndarray) -> tuple[np.ndarray, int]:
    """The number of each item's cluster, and how many clusters there are."""
    names, index = np.unique(np.asarray(clusters), return_inverse=True)
    return index, len(names)


def _draws(size: int, rng: np.random.Generator, resamples: int) -> Iterator[np.ndarray]:
    """How often each of `size` clusters is drawn: int64 [size], `resamples` times."""
    for _ in range(resamples):
        yield np.bincount(rng.integers(size, size=size), minlength=size)
