"""How far two sets of images lie apart, as a share of what real frames differ from each other. Pure.

The energy distance (Székely and Rizzo 2013) of features of synthetic images X and real frames Y, over the mean distance
of two real frames:

    D = (2 E|X - Y| - E|X - X'| - E|Y - Y'|) / E|Y - Y'|

0 for equal distributions, whatever the number of images, since every mean runs over pairs of different frames or masks
(a U-statistic, without bias). No covariance is needed, so that it tells something of ten images.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from surgaug.scoring.compute.bootstrap import Z95
from surgaug.scoring.compute.distances import random_halves
from surgaug.scoring.compute.other_videos import TOGETHER, Sides, by_video
from surgaug.scoring.report.model import Separation, Spread

FEWEST = 4  # independent images on either side; of fewer the standard error says nothing
MOST = 1500  # images of either side; more change nothing and cost memory
Groups = Sequence[str] | Sequence[int] | np.ndarray


def separation(
    title: str,
    synth: np.ndarray,
    real: np.ndarray,
    groups: Groups,
    partner: np.ndarray,
    seed: int,
    draws: int = 10,
    videos: Sides | None = None,
) -> Separation:
    """The energy distance of two sets by features [n, d] and [m, d] called `title`, with a 95 % interval.

    Of more than `MOST` images as many are drawn by the seed. Without an interval where there are too few for one.

    Args:
        groups: what each synthetic image comes from, [n]: images of one mask are not independent.
        partner: int [n], the real frame whose label map each synthetic image has; -1 for none.
        draws: random halves of the real frames, for the first yardstick.
        videos: features of other real videos, for the second (see `other_videos.sides`).
    """
    rng = np.random.default_rng([seed, 17])
    rows, columns = (np.sort(rng.permutation(len(x))[:MOST]) for x in (synth, real))
    place = np.full(len(real) + 1, -1)  # the last is that of -1
    place[columns] = np.arange(len(columns))
    sources = np.asarray(groups)[rows]
    images = min(len(np.unique(sources)), len(columns))
    try:
        value, error = energy_distance(synth[rows], real[columns], sources, place[partner[rows]])
    except ValueError as reason:
        return Separation(title, None, None, None, images, str(reason))
    others = by_video(_distance, videos or {})
    together = others.pop(TOGETHER, None)
    baseline = _of_halves(distances(real[columns], real[columns]), draws, rng)
    return Separation(
        title, value, *interval(value, error), images, baseline=baseline, others=others or None, together=together
    )


def interval(value: float, error: float) -> tuple[float, float]:
    """The 95 % interval of a distance, symmetric in its root.

    A distance grows as the square of a small fault, so that its root is nearly normal and it is not: an interval
    symmetric in the distance itself would end too low. Nothing is known of a distance below its standard error.
    """
    root = max(value, error) ** 0.5
    reach = Z95 * error / (2 * root) if root else 0.0
    low = root - reach if value > error else 0.0
    return max(low, 0.0) ** 2, (root + reach) ** 2


def energy_distance(
    synth: np.ndarray, real: np.ndarray, groups: Groups | None = None, partner: np.ndarray | None = None
) -> tuple[float, float]:
    """D of features [n, d] and [m, d], with its standard error: see `energy_of_distances`."""
    across, within, among_real = distances(synth, real), distances(synth, synth), distances(real, real)
    return energy_of_distances(across, within, among_real, groups, partner)


def energy_of_distances(
    across: np.ndarray,
    within: np.ndarray,
    real: np.ndarray,
    groups: Groups | None = None,
    partner: np.ndarray | None = None,
) -> tuple[float, float]:
    """D, with its standard error by the jackknife over masks and over real frames (Efron and Stein 1981).

    For sets that are nearly alike the jackknife errs on the wide side, by a factor of up to about 1.5.

    Args:
        across, within, real: distances of synthetic images to real frames [n, m], among synthetic images [n, n] and
            among real frames [m, m].
        groups: what each synthetic image comes from, [n]; None for a mask each. Images of one mask are not independent:
            they make no pair, and are left out together.
        partner: int [n], the real frame of the same label map, -1 for none; they make no pair either.

    Raises:
        ValueError: fewer than `FEWEST` groups or real frames, or real frames that are all the same or all but one.
    """
    n, m = across.shape
    of_image = np.arange(n) if groups is None else np.asarray(groups)
    _, index, sizes = np.unique(of_image, return_inverse=True, return_counts=True)
    if min(len(sizes), m) < FEWEST:
        raise ValueError(f"a distance of sets needs at least {FEWEST} independent images of each")
    order, starts = np.argsort(index, kind="stable"), np.cumsum(sizes) - sizes

    def by_group(matrix: np.ndarray, axis: int) -> np.ndarray:
        return np.add.reduceat(matrix.take(order, axis), starts, axis) if len(sizes) < n else matrix.take(order, axis)

    counted = np.ones((n, m))
    if partner is not None:
        paired = np.flatnonzero(partner >= 0)
        counted[paired, partner[paired]] = 0
    sums, pairs = by_group(across * counted, 0), by_group(counted, 0)
    synth_mean, synth_without = _pair_means(by_group(by_group(within, 0), 1), sizes)
    real_mean, real_without = _pair_means(real, np.ones(m))
    if min(real_mean, real_without.min()) <= 0:
        raise ValueError("the real frames are all the same" + (", but for one" if real_mean > 0 else ""))
    value = (2 * sums.sum() / pairs.sum() - synth_mean - real_mean) / real_mean
    without_group = 2 * (sums.sum() - sums.sum(1)) / (pairs.sum() - pairs.sum(1))
    without_frame = 2 * (sums.sum() - sums.sum(0)) / (pairs.sum() - pairs.sum(0))
    left_out = (
        (without_group - synth_without - real_mean) / real_mean,
        (without_frame - synth_mean - real_without) / real_without,
    )
    return float(value), float(sum((len(values) - 1) * values.var() for values in left_out) ** 0.5)


def distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Euclidean distances, float64 [n, m], of the rows of [n, d] and [m, d]; 0 for what is below the rounding error."""
    centre = np.asarray(y, np.float64).mean(0)  # distances do not change, rounding errors shrink
    x, y = x - centre, y - centre
    total = np.square(x).sum(1)[:, None] + np.square(y).sum(1)
    squared = total - 2 * x @ y.T
    return np.sqrt(np.where(squared > total * (np.finfo(np.float64).eps * x.shape[1]), squared, 0.0))


def _distance(x: np.ndarray, y: np.ndarray) -> float:
    return energy_distance(x, y)[0]


def _of_halves(real: np.ndarray, draws: int, rng: np.random.Generator) -> Spread | None:
    """D of random halves of the real frames to each other, from distances [m, m]; None where halves are too small.

    Halves whose frames are all the same have no D, and do not count.
    """
    size = len(real) // 2
    if size < FEWEST:
        return None
    found = []
    for a, b in random_halves(len(real), size, draws, rng):
        try:
            found.append(energy_of_distances(real[np.ix_(a, b)], real[np.ix_(a, a)], real[np.ix_(b, b)])[0])
        except ValueError:
            continue
    return Spread(float(np.mean(found)), float(np.std(found, ddof=1)), size, len(found)) if len(found) > 1 else None


def _pair_means(blocks: np.ndarray, sizes: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean over the pairs of different groups, from sums [groups, groups]; and without each, [groups]."""
    n = sizes.sum()
    others = blocks.sum(1) - np.diag(blocks)
    total, pairs = others.sum(), n**2 - np.square(sizes).sum()
    return total / pairs, (total - 2 * others) / (pairs - 2 * sizes * (n - sizes))
