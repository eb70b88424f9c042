"""Closed outlines [n, 2] of a phantom frame: iris, pupil, lid opening, tapes. In scene units."""

from __future__ import annotations

import cv2
import numpy as np

from surgaug.phantom.scene import ASPECT
from surgaug.phantom.video_style import Style

_CIRCLE = np.linspace(0, 2 * np.pi, 72, endpoint=False)


def rotate(points: np.ndarray, angle: float) -> np.ndarray:
    """Points [..., 2] turned round the origin by `angle` radians."""
    c, s = np.cos(angle), np.sin(angle)
    return points @ np.array([[c, s], [-s, c]])


def wobbly(rng: np.random.Generator, amount: float) -> np.ndarray:
    """[72, 2] a unit circle with a few low harmonics of that amplitude."""
    k = np.arange(2, 6)[:, None]
    a, phase = rng.normal(0, amount, (4, 1)) * 2 / k, rng.uniform(0, 2 * np.pi, (4, 1))
    r = 1 + (a * np.cos(k * _CIRCLE + phase)).sum(0)
    return np.stack([r * np.cos(_CIRCLE), r * np.sin(_CIRCLE)], 1)


def pupil(rng: np.random.Generator, centre: np.ndarray, radius: float, hooks: np.ndarray | None) -> np.ndarray:
    """The pupil's outline: nearly round, or with rounded corners where iris hooks pull (their angles in radians)."""
    if hooks is None:
        return centre + radius * wobbly(rng, 0.012 if rng.random() < 0.85 else 0.04)
    corners = np.stack([np.cos(hooks), np.sin(hooks)], 1) * radius * rng.uniform(1.15, 1.3, (4, 1))
    return centre + _chaikin(corners, 4, 0.16)


def opening(
    rng: np.random.Generator, style: Style, centre: np.ndarray, anchors: np.ndarray, tapes: tuple[np.ndarray, ...]
) -> np.ndarray:
    """The lid opening: the anchors' hexagon with rounded, uneven edges, small enough that skin shows in some corner."""
    corners = np.array([[0.09, 0.09], [ASPECT - 0.09, 0.09], [0.09, 0.91], [ASPECT - 0.09, 0.91]])
    free = [c for c in corners if not any(_contains(t, c) for t in tapes)] or list(corners)
    for _ in range(12):
        if any(not _contains(anchors, c) for c in free):
            break
        anchors = centre + 0.94 * (anchors - centre)
    outline = _chaikin(anchors, 4, 0.25 * style.lid_curve)
    phase = np.linspace(0, 2 * np.pi, len(outline), endpoint=False)
    k = np.arange(3, 10)[:, None]
    uneven = (rng.normal(0, 0.035, (7, 1)) / np.sqrt(k / 3) * np.cos(k * phase + rng.uniform(0, 6.3, (7, 1)))).sum(0)
    return centre + (outline - centre) * (1 + uneven)[:, None]


def tapes(
    rng: np.random.Generator, style: Style, centre: np.ndarray, radius: float, flip: float
) -> tuple[np.ndarray, ...]:
    """One tape or several, each from an edge near the eye to beyond the frame."""
    corners = np.array([[0, 0], [ASPECT, 0], [0, 1], [ASPECT, 1]], float)
    tapes = []
    for k, angle in enumerate(style.tape_angles):
        if k and rng.random() < 0.45:
            break
        a = angle + rng.normal(0, 0.05)
        n = np.array([flip * np.cos(a), np.sin(a)])
        reach = ((corners - centre) @ n).max()
        depth = 0.1 + 0.44 * rng.random() ** 1.1 * (0.6 + 0.8 * abs(n[0] * n[1]))
        near = max(reach - depth, 1.12 * radius)
        if near > reach - 0.05:
            near = reach - 0.05
        t = np.array([-n[1], n[0]])
        along = np.linspace(-2.2, 2.2, 12)
        edge = (
            centre
            + t * along[:, None]
            + n * (near + rng.normal(0, 0.012, 12) + 0.03 * rng.normal() * along**2)[:, None]
        )
        tapes.append(np.concatenate([edge, edge[::-1] + n * 3]))
    return tuple(tapes)


def _chaikin(points: np.ndarray, rounds: int, cut: float) -> np.ndarray:
    """Corner cutting (Chaikin 1974) of a closed polygon: the first round cuts off `cut` of an edge, then a quarter."""
    for _ in range(rounds):
        following = np.roll(points, -1, axis=0)
        points = np.stack([(1 - cut) * points + cut * following, cut * points + (1 - cut) * following], 1).reshape(
            -1, 2
        )
        cut = 0.25
    return points


def _contains(polygon: np.ndarray, point: np.ndarray) -> bool:
    return cv2.pointPolygonTest(polygon.astype(np.float32), (float(point[0]), float(point[1])), False) >= 0
