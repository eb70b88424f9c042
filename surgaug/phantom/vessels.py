"""The vessels of the conjunctiva: red, winding, from the fornix towards the limbus, finer at each fork."""

from __future__ import annotations

import numpy as np

from surgaug.phantom.fine_lines import fine_lines
from surgaug.phantom.video_style import Style

STEP = 0.009
"""Length of a walk's step, in frame heights."""

TRUNK, TWIG, CAPILLARY = 80, 36, 20
"""Steps of the longest walk of each kind."""


def vessels(style: Style, canvas: tuple[float, float], scale: int) -> tuple[np.ndarray, np.ndarray]:
    """float32 [H, W] 0..1 each: how much the vessels at the surface cover, and those beneath, seen through tissue.

    The canvas (height, width in frame heights, the eye in its middle) has `scale` pixels a frame height.
    """
    rng = np.random.default_rng([style.video, 3])
    hw = (round(canvas[0] * scale), round(canvas[1] * scale))
    n = int(16 + 40 * style.vessels)
    a = rng.uniform(0, 2 * np.pi, n)
    start = style.radius * rng.uniform(1.5, 3.2, (n, 1)) * np.stack([np.cos(a), np.sin(a)], 1)
    trunks, headings = _walks(rng, start, a + np.pi + rng.normal(0, 0.5, n), TRUNK, 0.13)
    trunk_steps = rng.integers(24, TRUNK, n)
    wide = 0.0024 + 0.006 * rng.random(n) ** 2.5
    strong = rng.uniform(0.35, 0.95, n)

    twigs, twig_headings, parent = _branches(rng, trunks, headings, trunk_steps, 4 * n, TWIG)
    twig_steps = rng.integers(10, TWIG, len(twigs))
    threads, _, grand = _branches(rng, twigs, twig_headings, twig_steps, 8 * n, CAPILLARY)
    surface = np.zeros(hw, np.float32)
    for paths, steps, width, strength in (
        (threads, rng.integers(6, CAPILLARY, len(threads)), 0.4 * wide[parent][grand], 0.6 * strong[parent][grand]),
        (twigs, twig_steps, 0.6 * wide[parent], 0.85 * strong[parent]),
        (trunks, trunk_steps, wide, strong),
    ):
        lines, widths = _ended(paths, steps, width, style.radius)
        layer = fine_lines(hw, _pixels(lines, canvas, scale), widths * scale, strength, pieces=8)
        surface = np.maximum(surface, layer)

    deep, _ = _walks(rng, start[::-1] * 0.95, a[::-1] + np.pi + rng.normal(0, 0.8, n), TRUNK, 0.1)
    lines, widths = _ended(deep, np.full(n, TRUNK), 1.6 * wide + 0.002, style.radius)
    return surface, fine_lines(hw, _pixels(lines, canvas, scale), widths * scale, 0.5 * strong, pieces=8)


def _pixels(paths: np.ndarray, canvas: tuple[float, float], scale: int) -> np.ndarray:
    return (paths + np.array([canvas[1], canvas[0]]) / 2) * scale - 0.5


def _walks(
    rng: np.random.Generator, start: np.ndarray, heading: np.ndarray, steps: int, bend: float
) -> tuple[np.ndarray, np.ndarray]:
    """Winding walks from `start` [n, 2]: points [n, steps + 1, 2], and the headings [n, steps] of their steps.

    A random walk of the heading, and on it the regular coils by which vessels of the conjunctiva are known.
    """
    n = len(start)
    coil = rng.uniform(0.1, 0.9, (n, 1)) * np.sin(
        np.arange(steps) * rng.uniform(0.5, 1.3, (n, 1)) + rng.uniform(0, 6.3, (n, 1))
    )
    headings = heading[:, None] + np.cumsum(rng.normal(0, bend, (n, steps)), axis=1) + coil
    moves = STEP * np.stack([np.cos(headings), np.sin(headings)], axis=2)
    return np.concatenate([start[:, None], start[:, None] + np.cumsum(moves, axis=1)], axis=1), headings


def _branches(
    rng: np.random.Generator, paths: np.ndarray, headings: np.ndarray, lengths: np.ndarray, n: int, steps: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`n` walks that leave the given ones at either side: points, headings, and the walk [n] that each left."""
    parent = rng.integers(0, len(paths), n)
    fork = rng.integers(2, lengths[parent])
    leaving = headings[parent, fork] + rng.choice([-1, 1], n) * rng.uniform(0.4, 1.1, n)
    twigs, onward = _walks(rng, paths[parent, fork], leaving, steps, 0.19)
    return twigs, onward, parent


def _ended(paths: np.ndarray, steps: np.ndarray, width: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Walks that end after `steps` [n] or before the cornea, and their widths [n, k], thinning out to nothing there."""
    within = np.hypot(paths[..., 0], paths[..., 1]) < 1.05 * radius
    steps = np.minimum(steps, np.where(within.any(1), within.argmax(1) - 1, steps)).clip(0)[:, None]
    k = np.minimum(np.arange(paths.shape[1]), steps)
    t = k / np.maximum(steps, 1)
    shape = np.clip(5 * t + 0.4, 0, 1) * np.clip(1 - t, 0, 1) ** 0.6 * (steps > 0)
    return np.take_along_axis(paths, k[..., None], axis=1), width[:, None] * shape
