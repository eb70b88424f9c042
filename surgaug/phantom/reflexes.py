"""The light that the wet eye throws back: the microscope's lamps on the cornea, glints of the tear film."""

from __future__ import annotations

import cv2
import numpy as np

from surgaug.phantom.canvas import Frame, blurred
from surgaug.phantom.scene import TAPE, Scene

WHITE = (1.0, 0.97, 0.86)
"""Colour of the lamps."""

LAMPS: tuple[tuple[tuple[float, float, float], ...], ...] = (
    ((-0.013, 0.0, 1.0), (0.013, 0.002, 0.95), (-0.006, 0.03, 0.5)),
    ((0.0, -0.005, 1.0), (-0.012, 0.024, 0.75), (0.013, 0.025, 0.7)),
    ((0.0, 0.0, 1.0), (0.017, 0.021, 0.45)),
    ((-0.015, 0.0, 0.9), (0.015, 0.0, 0.9), (-0.011, 0.024, 0.4), (0.012, 0.026, 0.45)),
)
"""How a microscope's lamps lie to each other in their reflex, by kind: right, down (frame heights), size."""

FINE = 4
"""Spots are drawn that many times finer than the pixels of a small frame."""

SPREAD, LEAST = 0.6, 0.25
"""How much larger OpenCV's antialiased ellipses come out to each side, and the least half axis drawn, in pixels."""


def wet_light(frame: Frame, scene: Scene, rng: np.random.Generator) -> None:
    """Reflections of the microscope's lamps on the cornea, and on the tear film round the limbus and at the lids."""
    rim = _meniscus(scene, rng)
    seen = _on(frame, rim[0]) != TAPE
    spots = [np.concatenate([a, b[seen]]) for a, b in zip(_spots(scene, rng), rim, strict=True)]
    glow = _ellipses(frame, *spots)
    glow += np.float32(0.45) * blurred(glow, 0.012 * frame.scale)
    _veil(frame, scene, glow)
    cv2.add(frame.image, cv2.merge([glow * np.float32(c) for c in WHITE]), dst=frame.image)


def _on(frame: Frame, points: np.ndarray) -> np.ndarray:
    """Classes [n] so far at scene points [n, 2]; those outside have the class of the nearest pixel."""
    x, y = np.rint(frame.pixels(points)).astype(int).T
    return frame.label_map[np.clip(y, 0, frame.hw[0] - 1), np.clip(x, 0, frame.hw[1] - 1)]


def _ellipses(
    frame: Frame, centres: np.ndarray, axes: np.ndarray, angles: np.ndarray, brightness: np.ndarray
) -> np.ndarray:
    """float32 [H, W] 0..1: filled ellipses (centres and half axes [n, 2] in scene units, angles [n] in degrees)."""
    fine = FINE if frame.scale <= 200 else 2 if frame.scale <= 700 else 1
    layer = np.zeros((frame.hw[0] * fine, frame.hw[1] * fine), np.uint8)
    axes = axes * frame.scale * fine
    drawn = np.maximum(axes - SPREAD, LEAST)
    greys = 255 * brightness * np.minimum(1, (axes / (drawn + SPREAD)).prod(axis=1))  # fainter below the finest
    points = (frame.pixels(centres) + 0.5) * fine - 0.5
    whole = np.rint(16 * np.concatenate([points, drawn], axis=1)).astype(int).tolist()
    for (x, y, long, short), angle, grey in zip(whole, angles.tolist(), greys.tolist(), strict=True):
        cv2.ellipse(layer, (x, y), (long, short), angle, 0, 360, int(grey), -1, cv2.LINE_AA, 4)
    if fine > 1:
        layer = np.asarray(cv2.resize(layer, (frame.hw[1], frame.hw[0]), interpolation=cv2.INTER_AREA), np.uint8)
    return layer.astype(np.float32) * np.float32(1 / 255)


def _spots(scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Ellipses: centres [n, 2] and half axes [n, 2] in scene units, angles [n] in degrees, brightness [n] 0..1."""
    u, centre, radius = rng.uniform, np.array(scene.centre), scene.radius
    reflex = np.array(scene.style.reflex_at)
    rows, n = int(rng.integers(1, 4)), int(rng.integers(2, 9))
    lamps = np.array(LAMPS[scene.style.video % len(LAMPS)])
    main = centre + radius * (reflex + rng.normal(0, 0.06, 2))
    second = centre - radius * (reflex * u(0.8, 1.6)) + [0, 0.3 * radius]
    # The wet rim: rows of short glints.
    a = (rng.normal(1.5, 1.2, (rows, 1)) + np.arange(6) * u(0.04, 0.09, (rows, 1)))[u(0, 1, (rows, 6)) < 0.7]
    out = radius * (np.repeat(u(0.98, 1.3, rows), 6)[: len(a)] + u(-0.02, 0.02, len(a)))
    glints = centre + out[:, None] * np.stack([np.cos(a), np.sin(a)], axis=1)
    size = u(0.85, 1.2)
    return (
        np.concatenate(
            [main + size * lamps[:, :2], main + rng.normal(0, 1, (n, 2)) * [0.016, 0.022], second[None], glints]
        ),
        np.concatenate(
            [
                size * lamps[:, 2:] * u(0.0085, 0.013, (len(lamps), 2)),
                u(0.001, 0.0045, (n, 1)) * [1, 0.75],
                u(0.006, 0.016) * np.array([[1, u(0.15, 0.4)]]),
                u(0.003, 0.014, (len(a), 1)) * [1, u(0.12, 0.4)],
            ]
        ),
        np.concatenate([u(0, 180, len(lamps) + n), u(-35, 35, 1), np.degrees(a) + 90 + u(-17, 17, len(a))]),
        np.concatenate([lamps[:, 2] ** 0.4, u(0.3, 1, n), u(0.3, 0.7, 1), u(0.15, 0.9, len(a))]),
    )


def _meniscus(scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Ellipses as of `_spots`: the tears that stand along the lid's rim shine in short lines."""
    count = int(rng.integers(4, 20))
    k = rng.integers(len(scene.opening), size=count)
    rim, following = scene.opening[k - 1], scene.opening[k]
    along = following - rim
    inward = np.array(scene.centre) - rim
    inward /= np.hypot(*inward.T)[:, None]
    length = rng.uniform(0.004, 0.02, count)
    return (
        rim + rng.random((count, 1)) * along + inward * rng.uniform(-0.006, 0.012, (count, 1)),
        np.stack([length, rng.uniform(0.0006, 0.0022, count)], axis=1),
        np.degrees(np.arctan2(along[:, 1], along[:, 0])) + rng.normal(0, 5, count),
        rng.uniform(0.3, 0.95, count),
    )


def _veil(frame: Frame, scene: Scene, glow: np.ndarray) -> None:
    """Add the faint broad sheen that the lit cornea has on the side of the lamps."""
    at = np.array(scene.centre) + 0.6 * scene.radius * np.array(scene.style.reflex_at)
    width = np.float32(0.55 * scene.radius)
    x = np.exp(-(((frame.x[0] - np.float32(at[0])) / width) ** 2))
    y = np.exp(-(((frame.y[:, 0] - np.float32(at[1])) / width) ** 2))
    glow += np.float32(0.035) * y[:, None] * x[None]
