"""Textures of the eyeball: sclera, iris, and what is seen through the pupil."""

from __future__ import annotations

import numpy as np

from surgaug.phantom.canvas import blurred
from surgaug.phantom.noise import disk_grid, octaves, polar, ridge
from surgaug.phantom.vessels import vessels
from surgaug.phantom.video_style import Colour, Style


def sclera(style: Style, canvas: tuple[float, float], hw: tuple[int, int], scale: int) -> np.ndarray:
    """float32 [H, W, 3] 0..1 for a canvas of that height and width in frame heights, the eye in its middle."""
    key = [style.video, 2]
    broad = octaves([*key, 1], hw, canvas, [2, 4, 8])
    fine = octaves([*key, 2], hw, canvas, [16, 32, 64, 128], 0.7)
    base = np.asarray(style.sclera, np.float32) * (1 + 0.06 * broad + 0.025 * fine)[..., None]
    base[..., 2] -= 0.03 * np.clip(broad, 0, 2)  # yellowish patches
    y, x = np.mgrid[: hw[0], : hw[1]].astype(np.float32)
    r = np.hypot((x / hw[1] - 0.5) * canvas[1], (y / hw[0] - 0.5) * canvas[0]) / style.radius
    red = np.clip(0.25 * broad + 0.6 * octaves([*key, 3], hw, canvas, [1.2, 3, 7, 15]) + 0.55 * (r - 1.5), 0, 1)
    red = (style.redness * 0.75 * red)[..., None]
    base = base * (1 - red * np.array([0.12, 0.48, 0.5], np.float32))
    surface, deep = vessels(style, canvas, scale)
    deep = blurred(deep, max(0.5, 0.004 * scale))[..., None]
    base = base * (1 - deep * np.array([0.22, 0.34, 0.26], np.float32))
    return base * (1 - surface[..., None] * np.array([0.17, 0.62, 0.62], np.float32))


def iris(style: Style, size: int) -> np.ndarray:
    """float32 [size, size, 3] 0..1, a disk texture that covers -1..1 radii."""
    key = [style.video, 5]
    x, y = disk_grid(size)
    r = np.hypot(x, y)
    patches = octaves([*key, 3], (size, size), (2, 2), [2, 4, 8, 16])
    sway = 0.05 * octaves([*key, 4], (size, size), (2, 2), [3, 6, 12])
    fibres = (
        0.55 * polar([*key, 1], size, 90, 5, sway)
        + 0.7 * polar([*key, 2], size, 240, 7, sway)
        + 0.6 * polar([*key, 6], size, 520, 9, 0.6 * sway)
    )
    inner = np.clip((0.86 - r) / 0.2 + 0.25 * patches, 0, 1)[..., None]
    tone = np.asarray(style.iris, np.float32) * (1 - inner) + np.asarray(style.iris_inner, np.float32) * inner
    ring = r - np.float32(0.35 + 0.6 * style.pupil_ratio) - 0.02 * patches
    collarette = np.exp(-((ring / 0.035) ** 2)) - 0.6 * np.exp(-(((ring - 0.06) / 0.04) ** 2))
    crypts = np.clip(octaves([*key, 7], (size, size), (2, 2), [11, 22], 0.5) + 0.5 * fibres - 1.0, 0, 0.9)
    pitted = np.random.default_rng(key).uniform(0, 0.45)
    shade = 1 + 0.12 * fibres + 0.1 * patches + 0.09 * collarette - pitted * crypts
    return tone * np.clip(shade, 0.3, 1.8)[..., None]


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
