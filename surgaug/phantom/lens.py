"""What is seen through the pupil: the clouded lens, or the red light that comes back from the fundus."""

from __future__ import annotations

import numpy as np

from surgaug.phantom.noise import octaves, polar, ridge
from surgaug.phantom.video_style import Colour, Style


def clouded_lens(style: Style, size: int) -> np.ndarray:
    """float32 [size, size, 3] 0..1, a disk texture of -1..1 pupil radii: cloudy, with a cortical cataract's spokes."""
    key, hw = [style.video, 11], (size, size)
    cloud = octaves([*key, 1], hw, (2, 2), [1, 2, 4, 8, 16, 32], 0.68)
    streaks = octaves([*key, 2], hw, (5, 2), [2, 4, 8, 16], 0.8)
    sway = 0.12 * cloud
    spokes = polar([*key, 3], size, 36, 4, sway) + 0.7 * polar([*key, 4], size, 110, 5, sway)
    return _lit(style.lens, 0.22 * (0.5 * cloud + 0.3 * streaks + 0.3 * spokes), 0.22 * (0.5 * cloud + 0.3 * streaks))


def red_reflex(style: Style, size: int) -> np.ndarray:
    """float32 [size, size, 3] 0..1, a disk texture of -1..1 pupil radii: smooth, with folds of the capsule."""
    key, hw = [style.video, 12], (size, size)
    cloud = octaves([*key, 1], hw, (2, 2), [1, 2, 4, 8, 16], 0.6)
    streaks = octaves([*key, 2], hw, (5, 2), [2, 4, 8, 16, 32], 0.75)
    wave = octaves([*key, 5], hw, (3, 2), [2, 4], 0.5)
    folds = ridge(wave, 0.07, 8 / size) * np.clip(0.2 + cloud, 0, 1)
    rays = polar([*key, 3], size, 60, 3, 0.1 * cloud)
    return _lit(style.reflex, 0.14 * (0.5 * cloud + 0.35 * streaks + 0.2 * rays) + 0.2 * folds, 0.07 * cloud)


def _lit(colour: Colour, contrast: np.ndarray, warmth: np.ndarray) -> np.ndarray:
    """A colour made lighter and darker by `contrast`, and warmer where it is light."""
    warm = np.clip(warmth, -0.3, 0.3)[..., None] * np.array([0.1, 0.16, 0.1], np.float32)
    return np.asarray(colour, np.float32) * np.clip(1 + contrast, 0.2, 2.2)[..., None] + warm
