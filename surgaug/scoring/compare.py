"""From values and features to measures: the figure, its interval, and what real frames reach among themselves. Pure."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from surgaug.scoring.report import Measure, Spread
from surgaug.scoring.statistics import bootstrap_interval, random_halves

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
    kept, groups = values[finite], sources[finite]
    low, high = bootstrap_interval(kept, groups, rng) if len(np.unique(groups)) > 1 else (None, None)
    return Measure(float(kept.mean()), len(kept), low, high, identical=identical)


def set_measure(metric: ModuleType, real: np.ndarray, synth: np.ndarray, draws: int, seed: int) -> Measure:
    """Distance of two sets of features [n, d], [m, d]; see `Measure` for what comes with it.

    The interval is value ± 1.96 standard errors; the standard error is the standard deviation of the distance over
    random halves of both sets (delete-half jackknife, Shao and Wu 1989: for half-samples without replacement the
    spread equals that of the full sample to first order, and no image occurs twice, which would spoil a covariance).
    For sets that are nearly alike it errs on the wide side, by less than a factor of 2. It is the uncertainty of the
    figure at this number of images, bias included; `matched` and `baseline` are what to compare.
    """
    smaller = min(len(real), len(synth))
    if smaller < 2:
        return Measure(
            None, len(synth), reason=f"needs at least two images of each, there are {len(real)} and {len(synth)}"
        )
    value = metric.compute(real, synth)
    if smaller < 4 or draws < 2:
        return Measure(value, len(synth))
    rng = np.random.default_rng(seed)
    halves_real = random_halves(len(real), len(real) // 2, draws, rng)
    halves_synth = random_halves(len(synth), len(synth) // 2, draws, rng)
    spread = metric.compute_many(real, synth, [(r[0], s[0]) for r, s in zip(halves_real, halves_synth, strict=True)])
    error = Z95 * float(spread.std(ddof=1))

    size = smaller // 2
    equal = random_halves(len(real), size, draws, np.random.default_rng(seed))
    parts = [rng.permutation(len(synth))[:size] for _ in range(draws)]
    matched = metric.compute_many(real, synth, [(r[0], part) for r, part in zip(equal, parts, strict=True)])
    baseline = metric.compute_many(real, real, equal)
    ratio = float(matched.mean() / baseline.mean()) if metric.HAS_RATIO and baseline.mean() > 0 else None
    return Measure(
        value,
        len(synth),
        max(value - error, metric.MINIMUM),
        value + error,
        _spread(matched, size),
        _spread(baseline, size),
        ratio,
    )


def _spread(values: np.ndarray, size: int) -> Spread:
    return Spread(float(values.mean()), float(values.std(ddof=1)), size, len(values))
