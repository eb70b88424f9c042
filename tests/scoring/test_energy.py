"""The distance behind the verdict on the look: against closed forms, brute force and repeated draws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.spatial.distance import cdist
from scipy.special import erf

from surgaug.scoring.compute.energy import energy_distance, interval, separation
from surgaug.scoring.report.verdicts import SEPARATED


def gaussian_energy(shift):
    """D of N(shift, 1) to N(0, 1): E|Z| of Z ~ N(shift, 2) is a folded normal's mean."""
    across = 2 / np.pi**0.5 * np.exp(-(shift**2) / 4) + shift * erf(shift / 2)
    return 2 * across / (2 / np.pi**0.5) - 2


@pytest.mark.parametrize("shift", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("n", [10, 60])
def test_it_is_the_closed_form_of_gaussians_on_average_at_any_size(shift, n):
    rng = np.random.default_rng(n)
    found = [energy_distance(rng.normal(shift, 1, (n, 1)), rng.normal(0, 1, (50, 1)))[0] for _ in range(300)]
    assert np.mean(found) == pytest.approx(gaussian_energy(shift), abs=4 * np.std(found) / 300**0.5)


def brute(x, y, groups, partner):
    pairs = np.array([[partner[i] != j for j in range(len(y))] for i in range(len(x))])
    others = groups[:, None] != groups
    among_real = cdist(y, y)[~np.eye(len(y), dtype=bool)].mean()
    return (2 * cdist(x, y)[pairs].mean() - cdist(x, x)[others].mean() - among_real) / among_real


def test_it_is_the_mean_over_pairs_and_the_jackknife_leaves_groups_out():
    rng = np.random.default_rng(0)
    x, y, groups = rng.normal(size=(14, 3)), rng.normal(size=(9, 3)) + 0.5, rng.integers(0, 6, 14)
    partner = rng.integers(-1, 9, 14)
    value, error = energy_distance(x, y, groups, partner)
    assert value == pytest.approx(brute(x, y, groups, partner))
    without = [brute(x[groups != g], y, groups[groups != g], partner[groups != g]) for g in np.unique(groups)]
    parts = [np.array(without)]
    kept = [np.delete(np.arange(9), j) for j in range(9)]
    moved = [np.where(partner == j, -1, partner - (partner > j)) for j in range(9)]
    parts.append(np.array([brute(x, y[k], groups, p) for k, p in zip(kept, moved, strict=True)]))
    assert error**2 == pytest.approx(sum((len(p) - 1) * p.var() for p in parts))


def test_images_of_the_masks_of_real_frames_are_no_nearer_for_it():
    """Without the exclusion of partners, a set of copies would lie below 0."""
    rng = np.random.default_rng(1)
    real = rng.normal(size=(12, 5))
    copies = energy_distance(real, real, partner=np.arange(12))[0]
    assert copies == pytest.approx(0, abs=1e-9)
    assert energy_distance(real, real)[0] == pytest.approx(-2 / 12)


SHIFTED = brentq(lambda shift: gaussian_energy(shift) - SEPARATED, 0, 2)
# N(0, s) to N(0, 1): E|X - Y| = sqrt(2 (1 + s^2) / pi); of two of one side 2 s / sqrt(pi), and 2 / sqrt(pi).
NARROW = brentq(lambda s: (2 * (1 + s**2)) ** 0.5 - s - 1 - SEPARATED, 0, 1)


@pytest.mark.parametrize("n", [10, 30, 100])
@pytest.mark.parametrize(("shift", "scale"), [(SHIFTED, 1.0), (0.0, NARROW)], ids=["shifted", "narrow"])
def test_a_fault_at_the_bound_passes_in_few_draws_at_every_size(n, shift, scale):
    rng = np.random.default_rng([n, int(100 * scale)])
    ends = []
    for _ in range(200):
        x, y = rng.normal(shift, scale, (n, 1)), rng.normal(0, 1, (70, 1))
        ends.append(interval(*energy_distance(x, y)))
    low, high = np.array(ends).T
    assert (high < SEPARATED).mean() <= 0.05
    assert (low > SEPARATED).mean() <= 0.08


def test_the_interval_is_symmetric_in_the_root():
    low, high = interval(0.25, 0.05)
    assert 0.5 - low**0.5 == pytest.approx(high**0.5 - 0.5) == pytest.approx(1.96 * 0.05 / (2 * 0.5), rel=1e-3)
    assert interval(-0.02, 0.04)[0] == 0
    assert interval(0.0, 0.0) == (0, 0)


def test_real_frames_of_which_many_are_the_same_have_a_distance():
    rng = np.random.default_rng(0)
    synth, frames, none = rng.normal(size=(20, 3)), rng.normal(size=(3, 3)), np.full(20, -1)
    found = separation("x", synth, frames[[0, 0, 0, 0, 0, 0, 1, 2]], range(20), none, 0)
    assert found.low <= max(found.value, 0) <= found.high < np.inf
    assert found.baseline is None or abs(found.baseline.mean) < 10  # no half of frames that are all the same in it
    assert found.baseline is None or found.baseline.draws < 10
    but_one = separation("x", synth, frames[[0, 0, 0, 0, 0, 0, 0, 1]], range(20), none, 0)
    assert but_one.value is None and "all the same, but for one" in but_one.reason


def test_too_few_images_have_a_reason_and_many_are_thinned(monkeypatch):
    rng = np.random.default_rng(0)
    none = np.full(40, -1)
    few = separation("x", rng.normal(size=(3, 2)), rng.normal(size=(9, 2)), ["a", "b", "c"], none[:3], 0)
    assert (few.value, few.low, few.images) == (None, None, 3) and "at least 4" in few.reason
    flat = separation("x", np.zeros((5, 2)), np.zeros((5, 2)), list("abcde"), none[:5], 0)
    assert flat.value is None and "all the same" in flat.reason
    monkeypatch.setattr("surgaug.scoring.compute.energy.MOST", 20)
    partner = np.arange(40)
    many = separation("x", rng.normal(size=(40, 2)), rng.normal(size=(40, 2)), list(map(str, range(40))), partner, 0)
    assert many.images == 20 and many.low <= max(many.value, 0) <= many.high
