"""From values and features to measures: the figure, its interval, and what real frames reach among themselves. Pure."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from surgaug.scoring.compute.bootstrap import mean_interval
from surgaug.scoring.compute.distances import random_halves
from surgaug.scoring.report.model import Measure, Spread

Z95 = 1.959964


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


def set_measures(metric: ModuleType, real: np.ndarray, synth: np.ndarray, draws: int, seed: int) -> dict[str, Measure]:
    """What a metric says of two sets of features [n, d], [m, d], by its names; see `Measure` for what comes with it.

    The interval is value ± 1.96 standard errors; the standard error is the standard deviation of the distance over
    random halves of both sets (delete-half jackknife, Shao and Wu 1989: for half-samples without replacement the
    spread equals that of the full sample to first order, and no image occurs twice, which would spoil a covariance).
    For sets that are nearly alike it errs on the wide side, by less than a factor of 2. It is the uncertainty of the
    figure at this number of images, bias included; `matched` and `baseline` are what to compare.
    """
    smaller = min(len(real), len(synth))
    if smaller < metric.FEWEST:
        counts = f"there are {len(real)} and {len(synth)}"
        needed = "two" if metric.FEWEST == 2 else metric.FEWEST
        return _nothing(metric, len(synth), f"needs at least {needed} images of each, {counts}")
    try:
        value = _row(metric.compute(real, synth))
    except ValueError as reason:
        return _nothing(metric, len(synth), str(reason))
    draws, size = min(draws, metric.MOST_DRAWS), smaller // 2
    if size < metric.FEWEST or draws < 2:
        return {name: Measure(float(v), len(synth)) for name, v in zip(metric.NAMES, value, strict=True)}
    rng = np.random.default_rng(seed)
    halves_real = random_halves(len(real), len(real) // 2, draws, rng)
    halves_synth = random_halves(len(synth), len(synth) // 2, draws, rng)
    equal = random_halves(len(real), size, draws, np.random.default_rng(seed))
    parts = [rng.permutation(len(synth))[:size] for _ in range(draws)]
    try:
        spread = _many(metric, real, synth, [(r[0], s[0]) for r, s in zip(halves_real, halves_synth, strict=True)])
        matched = _many(metric, real, synth, [(r[0], part) for r, part in zip(equal, parts, strict=True)])
        baseline = _many(metric, real, real, equal)
    except ValueError:  # enough images for the figure, too few in its halves
        return {name: Measure(float(v), len(synth)) for name, v in zip(metric.NAMES, value, strict=True)}
    error = Z95 * spread.std(0, ddof=1)
    low, high = np.maximum(value - error, metric.MINIMUM), np.minimum(value + error, metric.MAXIMUM)
    mean = baseline.mean(0)
    return {
        name: Measure(
            float(value[i]),
            len(synth),
            float(low[i]),
            float(high[i]),
            _spread(matched[:, i], size),
            _spread(baseline[:, i], size),
            float(matched[:, i].mean() / mean[i]) if metric.HAS_RATIO and mean[i] > 0 else None,
        )
        for i, name in enumerate(metric.NAMES)
    }


def mean_measure(measures: list[Measure], n: int) -> Measure:
    """The mean of measures of one kind (of several classes); those without a value do not count."""
    measures = [m for m in measures if m.value is not None]
    value = float(np.mean([m.value for m in measures]))
    matched = [m.matched for m in measures if m.matched is not None]
    baselines = [m.baseline for m in measures if m.baseline is not None]
    if len(baselines) < len(measures):
        return Measure(value, n)
    # Classes share images: their errors are taken as going together, which errs on the wide side.
    error = float(np.mean([m.high - m.value for m in measures if m.high is not None and m.value is not None]))
    ratios = [m.ratio for m in measures if m.ratio is not None]
    return Measure(
        value,
        n,
        max(value - error, 0.0),
        value + error,
        _mean_spread(matched),
        _mean_spread(baselines),
        float(np.mean(ratios)) if len(ratios) == len(measures) else None,
    )


def _mean_spread(spreads: list[Spread]) -> Spread:
    size = min(s.size for s in spreads)
    return Spread(
        float(np.mean([s.mean for s in spreads])), float(np.mean([s.sd for s in spreads])), size, spreads[0].draws
    )


def _many(metric: ModuleType, real: np.ndarray, synth: np.ndarray, subsets: list) -> np.ndarray:
    """float64 [draws, figures]; one by one where the metric has no faster way."""
    if hasattr(metric, "compute_many"):
        values = metric.compute_many(real, synth, subsets)
    else:
        values = [metric.compute(real[i], synth[j]) for i, j in subsets]
    return np.asarray(values, np.float64).reshape(len(subsets), -1)


def _row(value: float | np.ndarray) -> np.ndarray:
    return np.atleast_1d(np.asarray(value, np.float64))


def _nothing(metric: ModuleType, n: int, reason: str) -> dict[str, Measure]:
    return {name: Measure(None, n, reason=reason) for name in metric.NAMES}


def _spread(values: np.ndarray, size: int) -> Spread:
    return Spread(float(values.mean()), float(values.std(ddof=1)), size, len(values))
