"""Fréchet and kernel distances against closed forms, torch-fidelity and scipy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_fidelity.metric_fid import fid_statistics_to_metric
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

from surgaug.scoring.compute.distances import (
    frechet_distance,
    kernel_distance,
    membership,
    random_halves,
)
from surgaug.scoring.metrics import frechet, kid


def sample(n, d, seed=0, scale=1.0, shift=0.0):
    return np.random.default_rng(seed).normal(shift, scale, (n, d))


def with_moments(n, mean, cov, seed=0):
    """A sample of exactly that mean and (n - 1) covariance."""
    x = sample(n, len(mean), seed)
    x -= x.mean(0)
    x = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T
    return x @ np.linalg.cholesky(cov).T + mean


def by_formula(x, y):
    """Textbook FID: scipy's square root of the product of covariances."""
    cov_x, cov_y = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = scipy.linalg.sqrtm(cov_x @ cov_y).real
    return np.square(x.mean(0) - y.mean(0)).sum() + np.trace(cov_x + cov_y - 2 * root)


def torch_fidelity_fid(x, y):
    stats = [{"mu": a.mean(0), "sigma": np.cov(a, rowvar=False)} for a in (x, y)]
    return next(iter(fid_statistics_to_metric(*stats, False).values()))


@pytest.mark.parametrize(("n", "m"), [(400, 300), (1000, 1000)])
def test_frechet_is_the_textbook_formula(n, m):
    mix = sample(48, 48, 9)
    x, y = sample(n, 48, 1), sample(m, 48, 2, shift=0.3) @ mix
    assert frechet_distance(x, y) == pytest.approx(by_formula(x, y), rel=1e-9)
    assert frechet_distance(x, y) == pytest.approx(torch_fidelity_fid(x, y), rel=1e-6)


def test_frechet_of_gaussians_in_closed_form():
    rng = np.random.default_rng(0)
    rotation, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    a, b = rng.uniform(0.1, 4, 6), rng.uniform(0.1, 4, 6)
    mean_x, mean_y = rng.normal(size=6), rng.normal(size=6)
    # Commuting covariances: the distance is that of the eigenvalues' roots.
    x = with_moments(50, mean_x, rotation @ np.diag(a) @ rotation.T, 1)
    y = with_moments(70, mean_y, rotation @ np.diag(b) @ rotation.T, 2)
    expected = np.square(mean_x - mean_y).sum() + np.square(np.sqrt(a) - np.sqrt(b)).sum()
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-10)


def test_frechet_of_a_shift_in_2048_dimensions():
    x = sample(40, 2048)  # far fewer than dimensions
    assert frechet_distance(x, x + 1) == pytest.approx(2048, rel=1e-12)


def test_frechet_of_fewer_images_than_dimensions():
    """The shared trace, from n x n Gram matrices instead of d x d covariances; a covariance's root is unusable here."""
    x, y = sample(12, 200, 1), sample(9, 200, 2, 2.0)
    a, b = (x - x.mean(0)) / np.sqrt(11), (y - y.mean(0)) / np.sqrt(8)
    eigenvalues = np.linalg.eigvals(a @ b.T @ b @ a.T).real.clip(0)
    expected = np.square(x.mean(0) - y.mean(0)).sum() + np.square(a).sum() + np.square(b).sum()
    assert frechet_distance(x, y) == pytest.approx(expected - 2 * np.sqrt(eigenvalues).sum(), rel=1e-6)


@pytest.mark.parametrize(("n", "d"), [(2, 5), (30, 200), (300, 40), (50, 50)])
@pytest.mark.parametrize("offset", [0, 100])
def test_frechet_of_a_set_and_itself_is_exactly_zero(n, d, offset):
    x = sample(n, d, shift=offset)
    assert frechet_distance(x, x) == 0
    assert frechet_distance(x, x[::-1]) == 0
    assert frechet_distance(x.astype(np.float32), x.astype(np.float32)) == 0


def test_frechet_of_constant_sets():
    black, white = np.zeros((5, 3)), np.ones((4, 3))
    assert frechet_distance(black, black) == 0
    assert frechet_distance(black, white) == pytest.approx(3)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 30), st.integers(2, 30), st.integers(1, 20), st.integers(0, 10**6), st.floats(0.01, 100))
def test_frechet_symmetry_bounds_and_scaling(n, m, d, seed, scale):
    x, y = sample(n, d, seed), sample(m, d, seed + 1, 0.5, 0.2)
    distance = frechet_distance(x, y)
    assert distance >= np.square(x.mean(0) - y.mean(0)).sum() * (1 - 1e-9)
    assert frechet_distance(y, x) == pytest.approx(distance, rel=1e-9)
    assert frechet_distance(x * scale, y * scale) == pytest.approx(distance * scale**2, rel=1e-7)
    assert frechet_distance(x + 3, y + 3) == pytest.approx(distance, rel=1e-7)


def test_distances_refuse_what_has_no_covariance():
    with pytest.raises(ValueError, match="two rows"):
        frechet_distance(np.zeros((1, 3)), np.zeros((5, 3)))
    with pytest.raises(ValueError, match="must be"):
        kernel_distance(np.zeros((5, 3)), np.zeros((5, 4)))


@pytest.mark.parametrize("d", [10, 2048])
def test_kid_is_torch_fidelitys_on_one_full_subset(d):
    x, y = sample(60, d, 1), sample(60, d, 2, 1.1, 0.1)
    theirs = kid_features_to_metric(
        torch.from_numpy(x), torch.from_numpy(y), kid_subsets=1, kid_subset_size=60, verbose=False
    )
    assert kid.compute(x, y) == pytest.approx(theirs[KEY_METRIC_KID_MEAN], rel=1e-9)


def test_kid_of_unequal_sets_by_definition():
    x, y = sample(7, 5, 1), sample(4, 5, 2)

    def k(a, b):
        return (a @ b / 5 + 1) ** 3

    xx = np.mean([k(x[i], x[j]) for i in range(7) for j in range(7) if i != j])
    yy = np.mean([k(y[i], y[j]) for i in range(4) for j in range(4) if i != j])
    xy = np.mean([k(a, b) for a in x for b in y])
    assert kid.compute(x, y) == pytest.approx(xx + yy - 2 * xy, rel=1e-12)


def test_kid_is_unbiased():
    values = [kid.compute(sample(20, 8, 2 * i), sample(30, 8, 2 * i + 1)) for i in range(400)]
    assert abs(np.mean(values)) < 4 * np.std(values) / 20
    assert min(values) < 0 < max(values)


@pytest.mark.parametrize("metric", [frechet, kid])
def test_subsets_equal_one_by_one(metric):
    x, y = sample(1100, 6, 1), sample(700, 6, 2)  # more than one block of rows
    rng = np.random.default_rng(0)
    subsets = [(rng.permutation(1100)[:600], rng.permutation(700)[:300]) for _ in range(3)]
    together = metric.compute_many(x, y, subsets)
    assert together == pytest.approx([metric.compute(x[i], y[j]) for i, j in subsets], rel=1e-9)


def test_random_halves_are_disjoint():
    for first, second in random_halves(11, 5, 4, np.random.default_rng(0)):
        assert len(np.unique(np.concatenate([first, second]))) == 10
    assert membership(4, [np.array([0, 3])])[:, 0].tolist() == [1, 0, 0, 1]
