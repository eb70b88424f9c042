"""The lids' skin: blotched, creased along the lids, with pores; lit from one side, so that its relief is seen."""

from __future__ import annotations

import numpy as np

from surgaug.phantom.noise import octaves, ridge
from surgaug.phantom.video_style import Style


def skin(style: Style, canvas: tuple[float, float], hw: tuple[int, int]) -> np.ndarray:
    """float32 [H, W, 3] 0..1 for a canvas of that height and width in frame heights."""
    key = [style.video, 1]
    scale = hw[0] / canvas[0]
    broad = octaves([*key, 1], hw, canvas, [1.5, 3, 6, 12])
    fine = octaves([*key, 2], hw, canvas, [24, 48, 100], 0.75)
    flush = np.clip(0.35 + 0.35 * octaves([*key, 4], hw, canvas, [2, 4, 9]), 0, 1)[..., None]
    creases = _creases([*key, 3], canvas, hw)
    pores = _pores([*key, 5], canvas, hw)
    relief = 0.0016 * octaves([*key, 6], hw, canvas, [60, 120, 240], 0.7) - 0.004 * creases - 0.0016 * pores
    slope = scale * (np.gradient(relief, axis=0) * 0.8 + np.gradient(relief, axis=1) * 0.6)
    shade = 1 + 0.12 * broad + 0.03 * fine - 0.1 * creases - 0.07 * pores
    shade = shade * (1 + np.clip(0.16 * slope, -0.3, 0.3))
    tone = np.asarray(style.skin, np.float32) * (1 - flush * np.array([0.02, 0.2, 0.2], np.float32))
    wet = 0.1 * np.clip(broad * octaves([*key, 7], hw, (canvas[0] * 4, canvas[1]), [2.5, 5, 10], 0.7) - 0.7, 0, 1)
    glisten = 0.35 * np.clip(slope - 0.6, 0, 1) * np.clip(broad - 0.3, 0, 1)
    return tone * shade[..., None] + (wet + glisten)[..., None]


def _creases(key: list[int], canvas: tuple[float, float], hw: tuple[int, int]) -> np.ndarray:
    """0..1, narrow furrows that run mostly from side to side: where a stretched noise passes through zero."""
    total = np.zeros(hw, np.float32)
    for k, (frequency, depth) in enumerate(((3.0, 0.6), (7.0, 0.4), (16.0, 0.3))):
        wave = octaves([*key, k], hw, (canvas[0] * 4, canvas[1]), [frequency, 2 * frequency], 0.4)
        pixel = 2.4 * frequency * canvas[0] / hw[0]  # how far the noise runs on within a pixel, about
        total += np.float32(depth) * ridge(wave, 0.16, pixel)
    return np.minimum(total, 1)


def _pores(key: list[int], canvas: tuple[float, float], hw: tuple[int, int]) -> np.ndarray:
    """0..1, small pits, closer together in some places than in others."""
    pits = octaves([*key, 1], hw, canvas, [110]) + 0.3 * octaves([*key, 2], hw, canvas, [4, 8])
    return np.clip(pits - 1.0, 0, 1)
