"""The intervals and baselines that come with a figure."""

from __future__ import annotations

import math

import numpy as np
import pytest

from surgaug.scoring.compute.bootstrap import Z95
from surgaug.scoring.compute.intervals import pair_measure, set_measures
from surgaug.scoring.metrics import frechet, kid


def set_measure(metric, real, synth, draws, seed):
    (found,) = set_measures(metric.METRIC, real, synth, draws, seed)
    return found


def sample(n, seed, shift=0.0, d=12):
    return np.random.default_rng(seed).normal(shift, 1, (n, d))


@pytest.mark.parametrize("metric", [frechet, kid])
@pytest.mark.parametrize(("shift", "least", "most"), [(0.4, 0.7, 1.5), (0.0, 0.9, 2.2)])
def test_the_interval_is_as_wide_as_the_figure_scatters(metric, shift, least, most):
    """Against the scatter over independent sets; on the wide side where the distributions are the same."""
    found = [set_measure(metric, sample(120, 2 * i), sample(90, 2 * i + 1, shift), 10, i) for i in range(50)]
    scatter = np.std([m.value for m in found])
    claimed = np.mean([(m.high - m.value) / Z95 for m in found])
    assert least < claimed / scatter < most


@pytest.mark.parametrize(("n", "m", "size"), [(40, 90, 20), (90, 41, 20), (5, 4, 2)])
def test_baseline_and_matched_are_of_one_size(n, m, size):
    found = set_measure(frechet, sample(n, 0), sample(m, 1), 10, 0)
    assert found.n == m
    assert found.baseline.size == found.matched.size == size
    assert found.baseline.draws == 10


def test_ratio_is_one_for_more_of_the_same_and_large_for_others():
    ratios = [set_measure(frechet, sample(60, i), sample(60, 100 + i), 10, i).ratio for i in range(10)]
    assert np.mean(ratios) == pytest.approx(1, abs=0.1)
    assert set_measure(frechet, sample(60, 0), sample(60, 1, 2.0), 10, 0).ratio > 5
    assert set_measure(kid, sample(60, 0), sample(60, 1), 10, 0).ratio is None


def test_too_few_images():
    assert set_measure(frechet, sample(9, 0), sample(1, 1), 10, 0).value is None
    small = set_measure(frechet, sample(9, 0), sample(3, 1), 10, 0)
    assert small.value > 0
    assert small.low is small.baseline is small.ratio is None


def test_pairs_without_difference():
    rng = np.random.default_rng(0)
    some = pair_measure(np.array([math.inf, 20, 22]), np.arange(3), rng)
    assert (some.value, some.n, some.identical) == (21, 2, 1)
    every = pair_measure(np.array([math.inf]), np.arange(1), rng)
    assert (every.value, every.identical) == (None, 1)
    assert every.rank_value == math.inf
    one_frame = pair_measure(np.array([20.0, 22.0]), np.zeros(2), rng)
    assert (one_frame.value, one_frame.low) == (21, None)  # one real frame tells nothing about others
