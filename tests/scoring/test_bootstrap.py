"""The cluster bootstrap against its definition, and against how often an interval should hold."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from surgaug.scoring.compute.bootstrap import (
    Chance,
    chance_of_clusters,
    cluster_sums,
    cluster_weights,
    clusters_showing,
    mean_interval,
    student_interval,
)


def test_the_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        values = rng.normal(5, 2, 60)
        low, high = mean_interval(values, np.arange(60), rng, resamples=300)
        hits += low <= 5 <= high
    assert 0.88 <= hits / 200 <= 0.99


@pytest.mark.parametrize("videos", [2, 3, 5, 8])
def test_it_covers_as_often_of_few_videos(videos):
    """Percentiles of the resamples of two videos would hold the truth half of the time, of three in three of four."""
    rng = np.random.default_rng(videos)
    hits = 0
    for _ in range(300):
        frames = np.repeat(rng.normal(5, 2, videos), 10) + rng.normal(0, 0.2, 10 * videos)
        low, high = mean_interval(frames, np.repeat(np.arange(videos), 10), rng, resamples=100)
        hits += low <= 5 <= high
    assert 0.92 <= hits / 300 <= 0.99


def test_bootstrap_of_groups_is_wider_when_a_group_agrees():
    rng = np.random.default_rng(0)
    values = np.repeat(rng.normal(0, 1, 20), 10)
    grouped = mean_interval(values, np.repeat(np.arange(20), 10), rng)
    single = mean_interval(values, np.arange(200), rng)
    assert grouped[1] - grouped[0] > 2 * (single[1] - single[0])


def test_sums_are_those_of_the_drawn_items():
    values = np.random.default_rng(1).normal(size=(9, 2, 3))
    clusters = ["a", "b", "a", "c", "c", "d", "b", "e", "a"]
    sums = cluster_sums(values, clusters, np.random.default_rng(0), 20)
    weights = list(cluster_weights(clusters, np.random.default_rng(0), 20))
    assert sums == pytest.approx(np.stack([sum(v * w for v, w in zip(values, row, strict=True)) for row in weights]))
    for row in weights:
        assert len({row[0], row[2], row[8]}) == 1  # one cluster, drawn whole
        assert row[0] + row[1] + row[3] + row[5] + row[7] == 5  # as many clusters as there are


def test_the_interval_is_as_wide_as_the_clusters_scatter():
    """Equal clusters: the standard error is that of the clusters' means."""
    rng = np.random.default_rng(0)
    of_cluster = rng.normal(0, 1, 400)
    low, high = mean_interval(np.repeat(of_cluster, 3), np.repeat(np.arange(400), 3), rng)
    assert (high - low) / (2 * 1.96) == pytest.approx(of_cluster.std() / 20, rel=0.06)


def test_one_cluster_tells_nothing():
    assert mean_interval(np.arange(5.0), np.zeros(5), np.random.default_rng(0)) == (None, None)


def test_the_chance_of_few_clusters_is_as_large_as_the_textbook_says():
    of_cluster = np.array([1.0, 4.0, 2.0])
    draws = cluster_sums(of_cluster, np.arange(3), np.random.default_rng(0), 20_000) / 3
    chance = chance_of_clusters(draws, 3)
    assert chance.variance == pytest.approx(stats.sem(of_cluster) ** 2, rel=0.03)
    assert chance.freedom == 2
    assert chance_of_clusters([*draws, np.nan], 3) == chance  # a resample without what is measured does not count


def test_the_interval_is_students_of_one_source_of_chance_and_welchs_of_two():
    a, b = np.array([1.0, 3.0, 2.0, 7.0]), np.array([0.0, 2.0, 1.0])
    one, other = (Chance(stats.sem(x) ** 2, len(x) - 1) for x in (a, b))
    assert student_interval(3.25, [one]) == pytest.approx(stats.t.interval(0.95, 3, 3.25, stats.sem(a)))
    assert student_interval(3.25, [one], 0.9, (0, 4)) == (
        pytest.approx(stats.t.interval(0.9, 3, 3.25, stats.sem(a))[0]),
        4,
    )
    welch = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert student_interval(a.mean() - b.mean(), [one, other]) == pytest.approx((welch.low, welch.high))
    assert student_interval(0.5, [Chance(0.0, 3)]) == (0.5, 0.5)


def test_a_cluster_shows_what_any_of_its_items_does():
    shown = np.array([[True, False], [False, False], [False, True], [True, False]])
    assert clusters_showing(shown, ["a", "b", "a", "c"]).tolist() == [[True, True], [False, False], [True, False]]
