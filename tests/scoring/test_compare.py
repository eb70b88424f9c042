"""The intervals and baselines that come with a figure."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from surgaug.labels.label_space import LabelClass, LabelSpace
from surgaug.scoring.compute.distances import random_halves_of_groups
from surgaug.scoring.compute.intervals import mean_measure, pair_measure, set_measures
from surgaug.scoring.compute.regions import compare
from surgaug.scoring.metrics import Metric, frechet, kid


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
    reach = stats.t.ppf(0.975, 1 / (1 / 9 + 1 / 89))  # of ten draws and 90 images
    claimed = np.mean([(m.high - m.value) / reach for m in found])
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


DRIFT = Metric("drift", "drift", "lower", "features", "", lambda real, synth: float(abs(synth.mean() - real.mean())))


def drifts(true, masks, images, draws=10, frames=60, repeats=200):
    """Intervals of a drift, float [repeats, 2]: as many masks scatter around it, and `images` of each mask less so."""
    rng = np.random.default_rng(masks)
    groups, found = np.repeat(np.arange(masks), images), []
    for seed in range(repeats):
        synth = (rng.normal(true, 6, masks)[groups] + rng.normal(0, 2, len(groups)))[:, None]
        real = rng.normal(0, 6, (frames, 1))
        (measure,) = set_measures(DRIFT, real, synth, draws, seed, groups=groups)
        found.append((measure.low, measure.high))
    return np.array(found)


@pytest.mark.parametrize(("masks", "images"), [(4, 25), (10, 10), (40, 1)])
def test_a_drift_at_or_beyond_its_bound_passes_in_few_draws_however_many_images_a_mask_has(masks, images):
    low, high = drifts(8.0, masks, images).T
    assert ((low <= 8) & (high >= 8)).mean() >= 0.92
    assert (high < 5).mean() <= 0.03
    assert (drifts(0.0, masks, images)[:, 0] > 5).mean() <= 0.03


@pytest.mark.parametrize("draws", [2, 3, 10])
def test_the_interval_holds_the_truth_however_few_halves_are_drawn(draws):
    low, high = drifts(20.0, 60, 1, draws).T
    assert ((low <= 20) & (high >= 20)).mean() >= 0.92


def test_images_of_few_masks_have_no_interval():
    synth, real = sample(60, 1), sample(60, 2)
    (found,) = set_measures(frechet.METRIC, real, synth, 10, 0, groups=np.repeat(np.arange(3), 20))
    assert found.low is found.high is None
    assert found.ratio and found.baseline.size == 30
    each = set_measures(frechet.METRIC, real, synth, 10, 0, groups=[f"{i:02}" for i in range(60)])
    assert each == pytest.approx(set_measures(frechet.METRIC, real, synth, 10, 0))
    assert mean_measure([found, each[0]], 2).low is None  # nobody knows the error of one of them
    assert mean_measure(each, 1).low is not None


def test_half_of_the_groups_is_drawn_whole():
    groups = np.array([5, 7, 5, 9, 9, 9, 2, 7, 1])
    for half in random_halves_of_groups(groups, 20, np.random.default_rng(0)):
        chosen = set(groups[half])
        assert len(chosen) == 2 and sorted(half) == np.flatnonzero(np.isin(groups, list(chosen))).tolist()


def test_regions_of_one_mask_are_left_out_together():
    rng = np.random.default_rng(0)
    of_mask = np.repeat(rng.normal(size=(6, 22)), 10, 0)

    def regions(values):
        return [np.concatenate([[1.0], row])[None].astype(np.float32) for row in values]

    space = LabelSpace("one", (LabelClass(1, "tool"),))
    sides = regions(rng.normal(size=(60, 22))), regions(of_mask + 0.1 * rng.normal(size=(60, 22)))
    single, grouped = (
        compare(frechet.METRIC, *sides, (space, space), 10, 0, groups)[0]
        for groups in (None, np.repeat(np.arange(6), 10))
    )
    assert single.value == grouped.value
    assert grouped.high - grouped.low > 1.5 * (single.high - single.low)


def test_pairs_without_difference():
    rng = np.random.default_rng(0)
    some = pair_measure(np.array([math.inf, 20, 22]), np.arange(3), rng)
    assert (some.value, some.n, some.identical) == (21, 2, 1)
    every = pair_measure(np.array([math.inf]), np.arange(1), rng)
    assert (every.value, every.identical) == (None, 1)
    assert every.rank_value == math.inf
    one_frame = pair_measure(np.array([20.0, 22.0]), np.zeros(2), rng)
    assert (one_frame.value, one_frame.low) == (21, None)  # one real frame tells nothing about others
