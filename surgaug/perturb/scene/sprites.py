"""An object cut out of its map, continued beyond the frame, and put down anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from surgaug.perturb.scene.objects import SceneObject

SHIFT = 4  # bits of a sixteenth of a pixel
_SMOOTH_FROM = 4.0  # pixels of width; thinner objects would break apart if their edge were smoothed
_LEAVES = 0.5  # cosine of the greatest angle between a direction out of the frame and the side's normal
_CUT = 0.4  # of a blob's extent that lies along the border, from which the border is taken to cut it


@dataclass(frozen=True)
class Sprite:
    """Layers of one object, (class id, uint8 [h, w] of 0 and 255), whose top left pixel lies at `origin` (y, x).

    The origin is in the frame that the object was cut from and may be negative.
    """

    origin: tuple[int, int]
    layers: tuple[tuple[int, np.ndarray], ...]
    smooth: bool

    @property
    def size(self) -> tuple[int, int]:
        return self.layers[0][1].shape


@dataclass(frozen=True)
class Placed:
    """A sprite inside a frame: class ids [h, w] in `box` (y0, x0, y1, x1), `mask` bool [h, w] where it is."""

    box: tuple[int, int, int, int]
    ids: np.ndarray
    mask: np.ndarray


def cut(obj: SceneObject, reach: float) -> Sprite:
    """The sprite of an object; what the frame cuts off is continued for `reach` pixels.

    An instrument goes on straight along its own axis. A blob is mirrored at a border that cuts it.
    """
    smooth = obj.width >= _SMOOTH_FROM
    if not obj.entries:
        layers = tuple((i, ((obj.ids == i) & obj.mask).view(np.uint8) * 255) for i in obj.class_ids)
        return Sprite(obj.box[:2], layers, smooth)
    return _extruded(obj, reach, smooth) if obj.kind == "instrument" else _mirrored(obj, smooth)


def _extruded(obj: SceneObject, reach: float, smooth: bool) -> Sprite:
    frame = obj.frame
    y0, x0, y1, x1 = obj.box
    corners = [np.array([y0, x0]), np.array([y1, x1])]
    for entry in obj.entries:
        end = np.array(entry.point) + reach * np.array(entry.direction)
        corners += [end - entry.length, end + entry.length]
    low = np.floor(np.min(corners, 0)).astype(int)
    high = np.ceil(np.max(corners, 0)).astype(int)
    # Beyond the frame only as far as something may be moved.
    low = np.maximum(low, [-int(reach), -int(reach)])
    high = np.minimum(high, [frame[0] + int(reach), frame[1] + int(reach)])
    beyond = continued(obj, reach)
    layers = []
    for class_id in obj.class_ids:
        canvas = np.zeros(high - low, np.uint8)
        own = (obj.ids == class_id) & obj.mask
        canvas[y0 - low[0] : y1 - low[0], x0 - low[1] : x1 - low[1]] = own.view(np.uint8) * 255
        for polygon in (polygon for i, polygon in beyond if i == class_id):
            cv2.fillConvexPoly(canvas, fixed_point(polygon - low[::-1]), 255, shift=SHIFT)
        layers.append((class_id, canvas))
    return Sprite((int(low[0]), int(low[1])), tuple(layers), smooth)


def continued(obj: SceneObject, reach: float) -> list[tuple[int, np.ndarray]]:
    """How an instrument goes on for `reach` pixels beyond the frame: class ids and convex polygons [4, 2] of (x, y)."""
    polygons = []
    for class_id in obj.class_ids:
        ends: list[tuple[np.ndarray, np.ndarray]] = []
        for a, b, out in _border_runs(obj, class_id):
            entry = min(obj.entries, key=lambda e: float(np.abs(e.pixels - (a + b) / 2).max(1).min()))
            # Round a corner of the frame, too, an entry has one direction: its sides' continuations lie side by side.
            ahead = reach * _outward(np.array(entry.direction), np.array(entry.normal))
            if ahead @ out <= 0:
                continue
            polygons.append((class_id, np.array([a, b, b + ahead, a + ahead])))
            # The two runs that meet at the corner are a pixel apart, which is the instrument's as well.
            for end in (a, b):
                polygons += [
                    (class_id, np.array([end, end + ahead, end + ahead + its_own, other + its_own]))
                    for other, its_own in ends
                    if np.abs(end - other).max() <= 1
                ]
            ends += [(a, ahead), (b, ahead)]
    return [(class_id, polygon[:, ::-1]) for class_id, polygon in polygons]


def _outward(direction: np.ndarray, out: np.ndarray) -> np.ndarray:
    """The unit vector `direction`, turned where it hardly leaves the frame, whose normal there is `out`."""
    short = _LEAVES - float(direction @ out)
    direction = direction + max(short, 0.0) * out
    return direction / np.hypot(*direction)


def fixed_point(points: np.ndarray) -> np.ndarray:
    """int32 [N, 2]: (x, y) as OpenCV draws them, with `SHIFT` bits behind the point."""
    return np.round(points * (1 << SHIFT)).astype(np.int32)


def _border_runs(obj: SceneObject, class_id: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """First and last pixel (y, x) of every run of a class along the frame's sides, and the side's outward normal."""
    y0, x0, y1, x1 = obj.box

    def along(line: Any) -> list[tuple[int, int]]:
        return _runs((obj.ids[line] == class_id) & obj.mask[line])

    runs = []
    if y0 == 0:
        runs += [((0, x0 + a), (0, x0 + b), (-1, 0)) for a, b in along(np.s_[0])]
    if y1 == obj.frame[0]:
        runs += [((y1 - 1, x0 + a), (y1 - 1, x0 + b), (1, 0)) for a, b in along(np.s_[-1])]
    if x0 == 0:
        runs += [((y0 + a, 0), (y0 + b, 0), (0, -1)) for a, b in along(np.s_[:, 0])]
    if x1 == obj.frame[1]:
        runs += [((y0 + a, x1 - 1), (y0 + b, x1 - 1), (0, 1)) for a, b in along(np.s_[:, -1])]
    return [(np.array(first, float), np.array(last, float), np.array(out, float)) for first, last, out in runs]


def _runs(line: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], line.view(np.int8), [0]])))
    return [(int(a), int(b) - 1) for a, b in edges.reshape(-1, 2)]


def _mirrored(obj: SceneObject, smooth: bool) -> Sprite:
    frame = obj.frame
    y0, x0, y1, x1 = obj.box
    h, w = obj.mask.shape
    sides = (
        (y0 == 0, obj.mask[0], w, h),
        (y1 == frame[0], obj.mask[-1], w, h),
        (x0 == 0, obj.mask[:, 0], h, w),
        (x1 == frame[1], obj.mask[:, -1], h, w),
    )
    above, below, left, right = (
        far if at and np.count_nonzero(line) > _CUT * extent else 0 for at, line, extent, far in sides
    )
    layers = tuple(
        (
            i,
            cv2.copyMakeBorder(
                ((obj.ids == i) & obj.mask).view(np.uint8) * 255, above, below, left, right, cv2.BORDER_REFLECT
            ),
        )
        for i in obj.class_ids
    )
    return Sprite((y0 - above, x0 - left), layers, smooth)


def put(sprite: Sprite, matrix: np.ndarray, frame: tuple[int, int], dtype: np.dtype) -> Placed | None:
    """The sprite under the affine `matrix` [2, 3], old (x, y) to new (x, y); None if nothing of it is in sight."""
    h, w = sprite.size
    oy, ox = sprite.origin
    corners = np.array([[ox - 1, oy - 1], [ox + w, oy - 1], [ox - 1, oy + h], [ox + w, oy + h]], float)
    corners = corners @ matrix[:, :2].T + matrix[:, 2]
    x0, y0 = np.maximum(np.floor(corners.min(0)).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(corners.max(0)).astype(int) + 1, [frame[1], frame[0]])
    if x1 <= x0 or y1 <= y0:
        return None
    local = matrix.astype(np.float64).copy()
    local[:, 2] += matrix[:, :2] @ [ox, oy] - [x0, y0]
    flags = cv2.INTER_LINEAR if sprite.smooth else cv2.INTER_NEAREST
    warped = [cv2.warpAffine(layer, local, (int(x1 - x0), int(y1 - y0)), flags=flags) for _, layer in sprite.layers]
    total = warped[0]
    ids = np.full(total.shape, sprite.layers[0][0], dtype)
    if len(warped) > 1:
        best = total
        for (class_id, _), layer in zip(sprite.layers[1:], warped[1:], strict=True):
            ids[layer > best] = class_id
            best = cv2.max(best, layer)
            total = cv2.add(total, layer)
    bx, by, bw, bh = cv2.boundingRect((total >= 128).view(np.uint8))
    if not bw:
        return None
    box = (int(y0) + by, int(x0) + bx, int(y0) + by + bh, int(x0) + bx + bw)
    inside = np.s_[by : by + bh, bx : bx + bw]
    return Placed(box, ids[inside], total[inside] >= 128)


def shift_matrix(dy: float, dx: float) -> np.ndarray:
    """[2, 3] for `put`: moved by (dy, dx) pixels."""
    return np.array([[1, 0, dx], [0, 1, dy]], float)


def turn_matrix(degrees: float, about: tuple[float, float], scale: float = 1.0) -> np.ndarray:
    """[2, 3] for `put`: turned (positive is clockwise on the screen) and scaled about the point (y, x)."""
    return similarity_matrix(degrees, scale, about, about)


def similarity_matrix(degrees: float, scale: float, old: tuple[float, float], new: tuple[float, float]) -> np.ndarray:
    """[2, 3] for `put`: turned clockwise and scaled, the point `old` (y, x) going to `new`."""
    angle = np.deg2rad(degrees)
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[c, -s, new[1] - c * old[1] + s * old[0]], [s, c, new[0] - s * old[1] - c * old[0]]], float)


def apply(matrix: np.ndarray, point: tuple[float, float]) -> tuple[float, float]:
    """Where the point (y, x) goes."""
    x, y = matrix @ [point[1], point[0], 1.0]
    return float(y), float(x)
