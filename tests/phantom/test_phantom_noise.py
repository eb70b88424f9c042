"""Noise and patterns keep to what the pixels can show."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from surgaug.phantom.noise import octaves, polar, ridge, seen


@pytest.mark.parametrize("frequencies", [[4, 8], [16, 32, 64], [50]])
def test_noise_drawn_small_is_the_large_one_averaged(frequencies):
    small = octaves([1, 2], (64, 80), (1, 1.25), frequencies)
    large = octaves([1, 2], (256, 320), (1, 1.25), frequencies)
    averaged = cv2.resize(large, (80, 64), interpolation=cv2.INTER_AREA)
    assert np.corrcoef(small.ravel(), averaged.ravel())[0, 1] > 0.93
    assert small.std() == pytest.approx(averaged.std(), rel=0.1)


def test_octaves_that_average_to_nothing_are_left_out():
    assert not octaves([1, 2], (20, 20), (1, 1), [50, 100]).any()
    assert octaves([1, 2], (20, 20), (1, 1), [30]).any()


def test_a_pattern_is_gone_before_it_could_alias():
    assert seen(1.0) == seen(2.0) == 0 and seen(4.0) == seen(40.0) == 1
    assert 0 < seen(3.0) < 1


def test_a_ridge_brings_the_same_light_however_large_the_pixels():
    x = np.linspace(-5, 5, 2001)
    assert ridge(x, 0.1, 0.8).sum() == pytest.approx(ridge(x, 0.1, 0.0).sum(), rel=1e-3)
    assert ridge(x, 0.1, 0.8).max() < 0.2 < ridge(x, 0.1, 0.0).max()


def test_spokes_close_round_the_disk_and_fade_where_they_crowd():
    disk = polar([3], 200, 24, 3)
    seam = np.abs(np.diff(disk[99:101, 5:60], axis=0)).mean()  # to the left of the middle the angle jumps
    assert seam < 2 * np.abs(np.diff(disk[99:101, 140:195], axis=0)).mean() + 0.02
    crowded = polar([3], 200, 240, 3)
    y, x = np.mgrid[:200, :200] - 99.5
    r = np.hypot(x, y) / 100
    assert not crowded[r < 0.3].any() and crowded[(r > 0.8) & (r < 1)].std() > 0.2
    assert not polar([3], 40, 240, 3).any()
