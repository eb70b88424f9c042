"""From values and features to measures: the figure, its interval, and what real frames reach among themselves. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from surgaug.scoring.compute.bootstrap import Chance, mean_interval, student_interval
from surgaug.scoring.compute.distances import random_halves, random_halves_of_groups
from surgaug.scoring.compute.energy import FEWEST, Groups
from surgaug.scoring.compute.other_videos import TOGETHER, Sides, by_video
from surgaug.scoring.metrics import Metric
from surgaug.scoring.report.model import Measure, Spread


def pair_measure(values: np.ndarray, sources: np.ndarray, rng: np.random.Generator) -> Measure:
    """Mean over pairs, with a bootstrap interval over real frames (images of one frame are not independent).

    Args:
        values: float [n]; infinity for pairs without difference where the metric has no finite value for them.
        sources: int [n]: the real frame of each pair.
    """
    finite = np.isfinite(values)
    identical = int((~finite).sum()) or None
    if not finite.any():
        return Measure(None, len(values), identical=identical, reason="every pair is identical: the value is infinite")
    kept = values[finite]
    low, high = mean_interval(kept, sources[finite], rng)
    return Measure(float(kept.mean()), len(kept), low, high, identical=identical)


def set_measures(
    metric: Metric,
    real: np.ndarray,
    synth: np.ndarray,
    draws: int,
    seed: int,
    videos: Sides | None = None,
    groups: Groups | None = None,
) -> list[Measure]:
    """What a metric says of two sets of features [n, d], [m, d], a measure for each of its figures; see `Measure`.

    The standard error is the standard deviation of the distance over random halves of both sets (delete-half jackknife,
    Shao and Wu 1989: for half-samples without replacement the spread equals that of the full sample to first order, and
    no image occurs twice, which would spoil a covariance). For sets that are nearly alike it errs on the wide side, by
    less than a factor of 2. It is the uncertainty of the figure at this number of images, bias included; `matched` and
    `baseline` are what to compare. Without an interval where fewer than `FEWEST` masks or real frames are at hand.

    videos: features of other real videos, for the second yardstick (see `other_videos.sides`). groups: what each
    synthetic image comes from, [m]; images of one mask are not independent, and are left out together.
    """
    measures = _against_halves(metric, real, synth, draws, seed, np.arange(len(synth)) if groups is None else groups)
    others = _other_videos(metric, videos or {}, measures[0].matched, seed)
    columns = [{video: float(row[i]) for video, row in others.items()} for i in range(len(measures))]
    together = [column.pop(TOGETHER, None) for column in columns]
    return [
        replace(m, others=column or None, together=all_of_them)
        for m, column, all_of_them in zip(measures, columns, together, strict=True)
    ]


def _against_halves(
    metric: Metric, real: np.ndarray, synth: np.ndarray, draws: int, seed: int, groups: Groups
) -> list[Measure]:
    smaller = min(len(real), len(synth))
    if smaller < metric.fewest:
        counts = f"there are {len(real)} and {len(synth)}"
        needed = "two" if metric.fewest == 2 else metric.fewest
        return _nothing(metric, len(synth), f"needs at least {needed} images of each, {counts}")
    try:
        value = _row(_computed(metric, real, synth))
    except ValueError as reason:
        return _nothing(metric, len(synth), str(reason))
    draws, size = min(draws, metric.most_draws), smaller // 2
    if size < metric.fewest or draws < 2:
        return [Measure(float(v), len(synth)) for v in value]
    rng = np.random.default_rng(seed)
    halves_real = [half for half, _ in random_halves(len(real), len(real) // 2, draws, rng)]
    halves_synth = random_halves_of_groups(np.asarray(groups), draws, rng)
    equal = random_halves(len(real), size, draws, np.random.default_rng(seed))
    parts = [rng.permutation(len(synth))[:size] for _ in range(draws)]
    try:
        matched = _many(metric, real, synth, [(r[0], part) for r, part in zip(equal, parts, strict=True)])
        baseline = _many(metric, real, real, equal)
    except ValueError:  # enough images for the figure, too few in its halves
        return [Measure(float(v), len(synth)) for v in value]
    independent = min(len(real), len(np.unique(np.asarray(groups))))
    intervals = _intervals(metric, real, synth, value, list(zip(halves_real, halves_synth, strict=True)), independent)
    mean = baseline.mean(0)
    return [
        Measure(
            float(value[i]),
            len(synth),
            low,
            high,
            _spread(matched[:, i], size),
            _spread(baseline[:, i], size),
            float(matched[:, i].mean() / mean[i]) if metric.has_ratio and mean[i] > 0 else None,
        )
        for i, (low, high) in enumerate(intervals)
    ]


def _intervals(
    metric: Metric, real: np.ndarray, synth: np.ndarray, value: np.ndarray, halves: list, independent: int
) -> Sequence[tuple[float | None, float | None]]:
    """Of each figure, from the metric of `halves` of both sets. independent: masks or frames of the smaller set."""
    none = [(None, None)] * len(value)
    if independent < FEWEST:
        return none
    try:
        spread = _many(metric, real, synth, halves)
    except ValueError:  # halves of the masks may have few images
        return none
    # Its own variance makes a variance uncertain: of so many independent images, known from so many halves.
    freedom = 1 / (1 / (independent - 1) + 1 / (len(halves) - 1))
    ends = np.broadcast_to(metric.minimum, value.shape), np.broadcast_to(metric.maximum, value.shape)
    return [
        student_interval(float(v), [Chance(float(variance), freedom)], within=(float(least), float(most)))
        for v, variance, least, most in zip(value, spread.var(0, ddof=1), *ends, strict=True)
    ]


def mean_measure(measures: list[Measure], n: int) -> Measure:
    """The mean of measures of one kind (of several classes); those without a value do not count."""
    measures = [m for m in measures if m.value is not None]
    value = float(np.mean([m.value for m in measures]))
    matched = [m.matched for m in measures if m.matched is not None]
    baselines = [m.baseline for m in measures if m.baseline is not None]
    if len(baselines) < len(measures):
        return Measure(value, n)
    # Classes share images: their errors are taken as going together, which errs on the wide side.
    errors = [m.high - m.value for m in measures if m.high is not None and m.value is not None]
    error = float(np.mean(errors)) if len(errors) == len(measures) else None
    ratios = [m.ratio for m in measures if m.ratio is not None]
    return Measure(
        value,
        n,
        None if error is None else max(value - error, 0.0),
        None if error is None else value + error,
        _mean_spread(matched),
        _mean_spread(baselines),
        float(np.mean(ratios)) if len(ratios) == len(measures) else None,
    )


def _mean_spread(spreads: list[Spread]) -> Spread:
    size = min(s.size for s in spreads)
    return Spread(
        float(np.mean([s.mean for s in spreads])), float(np.mean([s.sd for s in spreads])), size, spreads[0].draws
    )


def _other_videos(metric: Metric, videos: Sides, matched: Spread | None, seed: int) -> dict[str, np.ndarray]:
    """float64 [figures] by video: of all its frames or, for a metric that depends on the number of images, the mean
    over draws of as many as `matched` has."""

    def whole(frames: np.ndarray, real: np.ndarray) -> np.ndarray:
        return _row(_computed(metric, real, frames))

    def drawn(frames: np.ndarray, real: np.ndarray) -> np.ndarray:
        if matched is None or min(len(frames), len(real)) < matched.size:
            raise ValueError("too few frames for a figure of as many images")
        rng = np.random.default_rng(seed)
        parts = [
            (rng.permutation(len(real))[: matched.size], rng.permutation(len(frames))[: matched.size])
            for _ in range(matched.draws)
        ]
        return _many(metric, real, frames, parts).mean(0)

    return by_video(drawn if metric.biased else whole, videos)


def _many(metric: Metric, real: np.ndarray, synth: np.ndarray, subsets: list) -> np.ndarray:
    """float64 [draws, figures]; one by one where the metric has no faster way."""
    if metric.compute_many is not None:
        values = metric.compute_many(real, synth, subsets)
    else:
        values = [_computed(metric, real[i], synth[j]) for i, j in subsets]
    return np.asarray(values, np.float64).reshape(len(subsets), -1)


def _computed(metric: Metric, real: np.ndarray, synth: np.ndarray) -> float | np.ndarray:
    assert metric.compute is not None  # a metric of sets has it
    return metric.compute(real, synth)


def _row(value: float | np.ndarray) -> np.ndarray:
    return np.atleast_1d(np.asarray(value, np.float64))


def _nothing(metric: Metric, n: int, reason: str) -> list[Measure]:
    return [Measure(None, n, reason=reason)] * max(1, len(metric.figures))


def _spread(values: np.ndarray, size: int) -> Spread:
    return Spread(float(values.mean()), float(values.std(ddof=1)), size, len(values))
