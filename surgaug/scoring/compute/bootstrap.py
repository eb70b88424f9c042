"""The cluster bootstrap: what chance in the choice of videos, masks or frames does to a figure. Pure.

Items of one cluster (frames of a video, images of one mask) are not independent, so whole clusters are drawn with
replacement, as many as there are (Davison and Hinkley 1997, section 3.8). The resamples give a variance, and the
interval is Student's: percentiles of resamples of two videos hold the true figure half of the time. Every interval of
`score` that resamples is made of these functions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

RESAMPLES, LEVEL = 1000, 0.95
Z95 = 1.959964  # standard errors to either side that hold 95 % of a normal distribution
ANY = (-math.inf, math.inf)


class Chance(NamedTuple):
    """The variance of a figure by one source of chance, and the degrees of freedom with which it is known."""

    variance: float
    freedom: float


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


def clusters_showing(shown: np.ndarray, clusters: Sequence[str] | np.ndarray) -> np.ndarray:
    """Which clusters show which classes, bool [clusters, K], from which items do, bool [n, K]."""
    index, size = _numbered(clusters)
    found = np.zeros((size, shown.shape[1]), bool)
    np.logical_or.at(found, index, shown)
    return found


def chance_of_clusters(draws: np.ndarray | Sequence[float], clusters: int) -> Chance:
    """What the choice of `clusters` clusters, two or more, does to a figure, from its values under resamples [n].

    Resamples scatter around the mean of the clusters at hand, and so by the factor of 1 - 1 / clusters too little.

    draws: NaN, where a resample lacks what is measured, does not count. clusters: those that show it at all.
    """
    return Chance(float(np.nanvar(draws, ddof=1)) * clusters / (clusters - 1), clusters - 1)


def student_interval(
    value: float, chances: Sequence[Chance], level: float = LEVEL, within: tuple[float, float] = ANY
) -> tuple[float, float]:
    """The interval of a figure that independent sources of chance act upon, by Student's distribution.

    Its degrees of freedom are those of Welch (1947) and Satterthwaite (1946). within: the least and the greatest that
    the figure can be.
    """
    variance = sum(chance.variance for chance in chances)
    if variance == 0:
        return value, value
    freedom = variance**2 / sum(chance.variance**2 / chance.freedom for chance in chances)
    half = float(student.ppf((1 + level) / 2, freedom)) * variance**0.5
    return max(value - half, within[0]), min(value + half, within[1])


def mean_interval(
    values: np.ndarray,
    clusters: Sequence[str] | np.ndarray,
    rng: np.random.Generator,
    resamples: int = 2 * RESAMPLES,
    level: float = LEVEL,
    within: tuple[float, float] = ANY,
) -> tuple[float, float] | tuple[None, None]:
    """Interval of the mean of `values` [n]; (None, None) where a single cluster leaves nothing to draw.

    within: the least and the greatest that the mean can be.
    """
    size = _numbered(clusters)[1]
    if size < 2:
        return None, None
    sums = cluster_sums(np.stack([values, np.ones(len(values))], 1), clusters, rng, resamples)
    chance = chance_of_clusters(sums[:, 0] / sums[:, 1], size)
    return student_interval(float(values.mean()), [chance], level, within)


def _numbered(clusters: Sequence[str] | np.ndarray) -> tuple[np.ndarray, int]:
    """The number of each item's cluster, and how many clusters there are."""
    names, index = np.unique(np.asarray(clusters), return_inverse=True)
    return index, len(names)


def _draws(size: int, rng: np.random.Generator, resamples: int) -> Iterator[np.ndarray]:
    """How often each of `size` clusters is drawn: int64 [size], `resamples` times."""
    for _ in range(resamples):
        yield np.bincount(rng.integers(size, size=size), minlength=size)
