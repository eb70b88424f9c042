"""The lids' skin, and what covers it: woven tape, or clear film.

Skin is blotched, creased along the lids, with pores; it is lit from one side, so that its relief is seen.
"""

from __future__ import annotations

import numpy as np

from surgaug.phantom.noise import octaves, ridge, seen
from surgaug.phantom.video_style import Style

THREAD = 0.0125  # from one thread of woven tape to the next, in frame heights


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


def drape(style: Style, canvas: tuple[float, float], hw: tuple[int, int]) -> np.ndarray:
    """float32 [H, W, 3] 0..1 for a canvas of that height and width in frame heights."""
    return (_film if style.tape_kind == "film" else _gauze)(style, canvas, hw)


def _film(style: Style, canvas: tuple[float, float], hw: tuple[int, int]) -> np.ndarray:
    """Clear and wet, drawn tight over the skin: it shines along its wrinkles."""
    key = [style.video, 4]
    broad = octaves([*key, 1], hw, canvas, [2, 5, 10])
    sheen = np.clip(octaves([*key, 2], hw, (canvas[0] * 3, canvas[1]), [3, 7, 15]) - 0.5, 0, 1.5)
    wrinkles = np.zeros(hw, np.float32)
    for k, frequency in enumerate((1.0, 2.2)):
        wave = octaves([*key, 6, k], hw, (canvas[0] * 3, canvas[1]), [frequency, 2 * frequency], 0.5)
        wrinkles += ridge(wave, 0.16, 1.5 * frequency * canvas[0] / hw[0])
    patches = np.clip(0.5 * octaves([*key, 7], hw, canvas, [3, 6, 12]), 0, 1)
    tone = np.array([0.70, 0.60, 0.49], np.float32) * (1 + 0.08 * broad - 0.08 * wrinkles)[..., None]
    return tone + (0.14 * sheen + 0.17 * wrinkles * patches)[..., None]


def _gauze(style: Style, canvas: tuple[float, float], hw: tuple[int, int]) -> np.ndarray:
    """Woven threads under parallel ribs, soaked in patches; where it is wet it glints."""
    rng = np.random.default_rng([style.video, 4])
    key, scale = [style.video, 4], hw[0] / canvas[0]
    broad = octaves([*key, 1], hw, canvas, [2, 5, 10])
    y, x = np.mgrid[: hw[0], : hw[1]].astype(np.float32) / np.float32(scale)
    a = rng.uniform(-0.5, 0.5)
    across = y * np.cos(a) + x * np.sin(a) + 0.02 * broad + 0.04 * np.sin(3 * x + rng.uniform(0, 6))
    along = x * np.cos(a) - y * np.sin(a) + 0.012 * broad
    rib = _ribs(across, rng.uniform(0.045, 0.07), scale)
    weave = _weave([*key, 3], across, along, canvas, hw, scale)
    fibres = octaves([*key, 8], hw, canvas, [40, 80, 160, 320], 0.85)
    wet = np.clip(0.4 + 0.6 * octaves([*key, 5], hw, canvas, [1.5, 4, 9, 20]), 0, 1)
    glint = np.clip(0.6 * weave + 0.7 * fibres - 1.1, 0, 1.5) * (0.5 + wet)
    dry = np.array([0.80, 0.71, 0.58], np.float32)
    soaked = np.array([0.60, 0.47, 0.34], np.float32)
    tone = dry + (soaked - dry) * wet[..., None]
    shade = 1 + 0.08 * broad + 0.07 * fibres + 0.1 * weave
    return tone * shade[..., None] + (0.17 * rib + 0.16 * glint)[..., None]


def _ribs(across: np.ndarray, period: float, scale: float) -> np.ndarray:
    """0..1, a narrow raised line every `period`; fainter, to its mean, where it cannot be shown."""
    rib = np.clip((np.cos(across * np.float32(2 * np.pi / period)) - 0.6) / 0.4, 0, 1)
    mean = 0.2
    return mean + (rib - mean) * seen(0.7 * period * scale)


def _weave(
    key: list[int],
    across: np.ndarray,
    along: np.ndarray,
    canvas: tuple[float, float],
    hw: tuple[int, int],
    scale: float,
) -> np.ndarray:
    """About -1..1, plain weave: the one thread or the other lies on top; 0 where it is too fine."""
    shown = seen(THREAD * scale)
    if not shown:
        return np.zeros(hw, np.float32)
    loose = octaves([*key, 1], hw, canvas, [10, 22]) * np.float32(0.9)  # threads do not lie quite straight
    u, v = across * np.float32(2 * np.pi / THREAD) + loose, along * np.float32(2 * np.pi / THREAD) - loose
    slack = 1 + np.float32(0.45) * octaves([*key, 2], hw, canvas, [12, 30])
    return (np.cos(u) * np.cos(v) * 0.6 + 0.4 * np.cos(u)) * slack * shown
