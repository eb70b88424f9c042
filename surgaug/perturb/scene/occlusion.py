"""A thin thing that goes on behind another: its parts on both sides are joined."""

from __future__ import annotations

import cv2
import numpy as np

_STRAIGHT = 0.6  # cosine of the angle by which a part may point past the other
_REACH = 12.0  # pixels from the place of contact in which a part's direction is seen, or twice its width
_WIDE = 5  # pixels of contact from which widths are compared
_ALIKE = 3.0  # times the width of the other part


def bridge(own: np.ndarray, over: np.ndarray) -> np.ndarray:
    """bool [h, w]: pixels of `over` where the thing `own` goes on behind it. Both bool [h, w].

    Two places where `own` meets `over` are joined by a straight band if what lies behind each points at the other and
    the way between them lies within `over`.
    """
    found = np.zeros(own.shape, np.uint8)
    contact = own & cv2.dilate(over.view(np.uint8), np.ones((3, 3), np.uint8)).view(bool)
    if not contact.any():
        return found.view(bool)
    count, _, stats, centres = cv2.connectedComponentsWithStats(contact.view(np.uint8), connectivity=8)
    widths = stats[:, cv2.CC_STAT_AREA]
    points = np.argwhere(own)
    ways = [_way_out(points, centres[i][::-1], float(widths[i])) for i in range(1, count)]
    for i in range(1, count):
        for j in range(i + 1, count):
            if (
                _face(centres[i][::-1], ways[i - 1], centres[j][::-1], ways[j - 1])
                and _alike(widths[i], widths[j])
                and _within(centres[i], centres[j], own | over)
            ):
                _band(found, centres[i], centres[j], float(min(widths[i], widths[j])))
    return found.view(bool) & over


def _way_out(points: np.ndarray, at: np.ndarray, width: float) -> np.ndarray:
    """The direction (dy, dx) in which the part behind the place of contact `at` points."""
    near = points[((points - at) ** 2).sum(1) <= max(_REACH, 2 * width) ** 2]
    way = at - near.mean(0)
    return way / max(float(np.hypot(*way)), 1e-9)


def _face(a: np.ndarray, way_a: np.ndarray, b: np.ndarray, way_b: np.ndarray) -> bool:
    between = (b - a) / max(float(np.hypot(*(b - a))), 1e-9)
    return float(way_a @ between) > _STRAIGHT and float(way_b @ -between) > _STRAIGHT


def _alike(a: int, b: int) -> bool:
    return max(a, b) < _WIDE or max(a, b) <= _ALIKE * min(a, b)


def _band(canvas: np.ndarray, a: np.ndarray, b: np.ndarray, width: float) -> None:
    """Draw ones from a to b (x, y), `width` pixels across, a little longer than the way."""
    along = (b - a) / max(float(np.hypot(*(b - a))), 1e-9)
    across = np.array([-along[1], along[0]]) * (width - 1) / 2
    corners = np.array([a - along - across, b + along - across, b + along + across, a - along + across])
    cv2.fillConvexPoly(canvas, np.round(corners * 16).astype(np.int32), 1, shift=4)


def _within(a: np.ndarray, b: np.ndarray, area: np.ndarray) -> bool:
    steps = np.linspace(0, 1, 32)[:, None]
    x, y = np.round(a + steps * (b - a)).astype(int).T
    return bool(area[y, x].mean() > 0.9)
