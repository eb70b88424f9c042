"""One phantom frame described: scene units (y from 0 to 1, x from 0 to 16/9, whatever the pixel size), class ids, and
strokes, that is lines of changing width, among them an instrument's parts along its bent centre line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from surgaug.phantom.instruments import FAR, Part, Tool
from surgaug.phantom.video_style import Style

ASPECT = 16 / 9
PUPIL, TAPE, HAND, RETRACTORS, IRIS, SKIN, CORNEA = range(7)
SUTURE_NEEDLE, NEEDLE_HOLDER, TROUTMAN_FORCEPS = 25, 26, 33
MENDEZ_RING, MARKER, IRIS_HOOKS = 30, 31, 35


@dataclass(frozen=True)
class Scene:
    """One frame's geometry. Outlines are [n, 2] (x, y)."""

    seed: int
    style: Style
    ids: tuple[int, ...]
    centre: tuple[float, float]
    radius: float
    roll: float
    pupil_centre: tuple[float, float]
    pupil_radius: float
    opening: np.ndarray
    iris: np.ndarray
    pupil: np.ndarray
    tapes: tuple[np.ndarray, ...]
    hands: tuple[Stroke, ...]
    retractors: tuple[Stroke, ...]
    instruments: tuple[Stroke, ...]
    phase: str
    exposure: float


@dataclass(frozen=True)
class Stroke:
    """A drawn line of changing width: path [n, 2] and half_width [n] in scene units; n >= 2."""

    id: int
    path: np.ndarray
    half_width: np.ndarray
    material: str
    phase: float = 0.0


def centre_line(tool: Tool, zoom: float, side: int) -> np.ndarray:
    """[n, 2] points of the centre line from the tip (0, 0) outwards, along +x in the end. `side` ±1 flips the bends."""
    heading = -sum(a for _, a in tool.bends) * side
    points = [np.zeros(2)]
    radius = tool.bend_radius * zoom

    def go(length: float) -> None:
        a = np.radians(heading)
        points.append(points[-1] + length * np.array([np.cos(a), np.sin(a)]))

    for length, degrees in tool.bends:
        go(max(length * zoom - radius, 0.2 * length * zoom))
        for _ in range(3):  # a round corner in three chords
            heading += degrees * side / 3
            go(radius * 2 / 3)
    go(FAR)
    return np.array(points)


def arc_lengths(line: np.ndarray) -> np.ndarray:
    """[n] distance along the line [n, 2] from its first point."""
    return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])


def part_stroke(
    class_id: int, part: Part, line: np.ndarray, start: float, stop: float, zoom: float, thick: float, phase: float
) -> Stroke | None:
    """The part between arc lengths `start` and `stop` of the centre line; None when nothing of it lies there."""
    s_line = arc_lengths(line)
    knots = np.array([k for k, _ in part.width]) * zoom
    first, last = start + knots[0], min(start + knots[-1], stop)
    if last <= first:
        return None
    offsets = np.array([k for k, _ in part.offset]) * zoom
    inner = np.concatenate([start + knots, start + offsets, s_line])
    s = np.unique(np.concatenate([[first, last], inner[(inner > first) & (inner < last)]]))
    s = s[np.concatenate([[True], np.diff(s) > 1e-4])]
    if len(s) < 2:
        return None
    half_width = np.interp(s - start, knots, [w * zoom * thick for _, w in part.width])
    path = np.stack([np.interp(s, s_line, line[:, 0]), np.interp(s, s_line, line[:, 1])], axis=1)
    if len(part.offset) > 1:
        lateral = np.interp(s - start, offsets, [o * zoom for _, o in part.offset])
        path = path + normals(path) * lateral[:, None]
    return Stroke(class_id, path, half_width, part.material, phase)


def normals(path: np.ndarray) -> np.ndarray:
    """[n, 2] unit normals of a polyline, the mean of the neighbouring pieces' at each inner point."""
    d = np.diff(path, axis=0)
    d /= np.maximum(np.hypot(d[:, 0], d[:, 1]), 1e-9)[:, None]
    t = np.concatenate([d[:1], d[:-1] + d[1:], d[-1:]])
    t /= np.maximum(np.hypot(t[:, 0], t[:, 1]), 1e-9)[:, None]
    return np.stack([-t[:, 1], t[:, 0]], axis=1)


def outline(stroke: Stroke, least: float = 0.0) -> np.ndarray:
    """[2n, 2] the closed outline of a stroke, with half widths of at least `least`."""
    n = normals(stroke.path) * np.maximum(stroke.half_width, least)[:, None]
    return np.concatenate([stroke.path + n, (stroke.path - n)[::-1]])
