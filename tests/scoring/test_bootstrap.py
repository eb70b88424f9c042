"""The cluster bootstrap against its definition, and against how often an interval should hold."""

from __future__ import annotations

import numpy as np
import pytest

from surgaug.scoring.compute.bootstrap import cluster_sums, cluster_weights, mean_interval, percentile_interval


def test_the_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        values = rng.normal(5, 2, 60)
        low, high = mean_interval(values, np.arange(60), rng, resamples=300)
        hits += low <= 5 <= high
    assert 0.88 <= hits / 200 <= 0.99


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
    assert percentile_interval(np.arange(101), 0.9) == pytest.approx((5, 95))
