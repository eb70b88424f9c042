"""One scene at several sizes: what is finer than a pixel is averaged away, and costs nothing."""

from __future__ import annotations

import time

import cv2
import numpy as np

from surgaug.phantom import render


def test_the_same_scene_at_other_sizes():
    """A frame of 256x448 that is averaged to 64x112 is nearly the one drawn at that size."""
    differences, grain = [], []
    for seed in range(10):
        small, large = render(seed, (64, 112)), render(seed, (256, 448))
        assert (large[1][2::4, 2::4] == small[1]).mean() > 0.93
        images = [small[0].astype(np.float32), cv2.resize(large[0], (112, 64), interpolation=cv2.INTER_AREA)]
        images[1] = images[1].astype(np.float32)
        differences.append([np.abs(images[0] - images[1]).mean(), np.square(images[0] - images[1]).mean() ** 0.5])
        grain.append([(i - cv2.GaussianBlur(i, (0, 0), 1)).std() for i in images])
    mean_difference, rms = np.max(differences, axis=0)
    assert mean_difference < 4 and rms < 6.5
    drawn, averaged = np.mean(grain, axis=0)
    assert drawn < 1.1 * averaged  # nothing fine in the small one that the large one averages away


def test_more_is_seen_in_a_larger_frame():
    """A large frame is more than a small one enlarged."""
    for seed in (3, 10):
        large = render(seed, (256, 448))[0].astype(np.float32)
        enlarged = cv2.resize(render(seed, (64, 112))[0], (448, 256), interpolation=cv2.INTER_CUBIC).astype(np.float32)
        detail = [np.abs(i - cv2.GaussianBlur(i, (0, 0), 1.5)).mean() for i in (large, enlarged)]
        assert detail[0] > 1.5 * detail[1]


def test_large_frames_are_the_same_each_time():
    first = render(11, (256, 448))
    render(12, (64, 112))
    assert all(np.array_equal(a, b) for a, b in zip(first, render(11, (256, 448)), strict=True))


def test_large_frames_render_in_a_quarter_of_a_second():
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        render(0, (256, 448), video=1)
        start = time.process_time()
        for seed in range(8):
            render(seed, (256, 448), video=1)
        assert (time.process_time() - start) / 8 < 0.25
    finally:
        cv2.setNumThreads(threads)
