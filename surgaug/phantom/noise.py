"""Noise and patterns that hold nothing finer than a pixel.

Noise comes on grids of fixed sizes, so that a surface looks the same at every scale; a grid finer than the pixels is
averaged over each of them, and one that would average to almost nothing is never drawn.
"""

from __future__ import annotations

import cv2
import numpy as np

FINEST_GRID = 2.0
"""Cells a pixel, along either axis, from which on an octave is left out: its mean over a pixel is all but 0."""


def octaves(
    key: list[int], hw: tuple[int, int], extent: tuple[float, float], frequencies: list[float], fall: float = 0.6
) -> np.ndarray:
    """float32 [H, W] smooth noise, standard deviation near 1: value noise on grids of `frequencies` cells a unit.

    `extent` is (height, width) in units; a stretched one stretches the cells. The frequencies rise, and the amplitude
    falls by `fall` from each to the next.
    """
    total, weight, square = np.zeros(hw, np.float32), 1.0, 0.0
    for k, f in enumerate(frequencies):
        cells = (max(2, round(extent[0] * f)), max(2, round(extent[1] * f)))
        if max(cells[0] / hw[0], cells[1] / hw[1]) <= FINEST_GRID:
            grid = np.random.default_rng([*key, k]).standard_normal((cells[0] + 1, cells[1] + 1), np.float32)
            total += weight * fitted(grid, hw)
        square += weight**2
        weight *= fall
    return total * np.float32(1.25 / np.sqrt(square))


def fitted(grid: np.ndarray, hw: tuple[int, int]) -> np.ndarray:
    """A grid float32 [h, w] on H x W pixels: interpolated where it is coarser than they are, else averaged there."""
    h, w = grid.shape
    if 2 * h <= hw[0] and 2 * w <= hw[1]:
        return cv2.resize(grid, (hw[1], hw[0]), interpolation=cv2.INTER_CUBIC)
    fine = cv2.resize(grid, (max(w, 2 * hw[1]), max(h, 2 * hw[0])), interpolation=cv2.INTER_CUBIC)
    return cv2.resize(fine, (hw[1], hw[0]), interpolation=cv2.INTER_AREA)


def seen(period: float | np.ndarray) -> np.ndarray:
    """0..1, how much is drawn of a pattern that repeats every `period` pixels: nothing up to 2, all from 4 on.

    Two pixels a period is the least that can be shown (Nyquist); fading out above it keeps moire away.
    """
    return np.clip(np.asarray(period, np.float32) / 2 - 1, 0, 1)


def ridge(x: np.ndarray, width: float, pixel: float) -> np.ndarray:
    """0..1, a narrow ridge where x is 0, `width` to either side; of a pixel's size (in units of x) at least, and then
    fainter, so that it brings as much light as before."""
    spread = np.float32(np.hypot(width, pixel))
    return np.exp(-((x / spread) ** 2)) * (np.float32(width) / spread)


def disk_grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """x, y float32 [size, size] of a disk texture's pixels, in radii: -1..1."""
    y, x = (np.mgrid[:size, :size].astype(np.float32) + 0.5) / (size / 2) - 1
    return x, y


def polar(key: list[int], size: int, spokes: int, rings: int, sway: np.ndarray | float = 0.0) -> np.ndarray:
    """float32 [size, size] noise in polar coordinates: `spokes` cells round, `rings` cells out to radius 1.

    `sway` (radians) turns each point on, which bends the spokes. Spokes closer than the pixels fade, so more of them
    are drawn towards the rim.
    """
    x, y = disk_grid(size)
    r = np.hypot(x, y)
    shown = seen(2 * np.pi * r * (size / 2) / (spokes / 2))
    if not shown.any():
        return np.zeros((size, size), np.float32)
    grid = np.random.default_rng(key).standard_normal((spokes, rings), np.float32)
    grid = np.concatenate([grid, grid[:1]])  # the circle closes
    theta = ((np.arctan2(y, x) + sway) / (2 * np.pi) + 0.5) % 1 * spokes
    around = cv2.remap(
        grid, (r * (rings - 1)).astype(np.float32), theta.astype(np.float32), cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return around * shown
