"""The whole picture seen otherwise: nearer, turned, from beside. What comes in from beyond the frame is continued."""

from __future__ import annotations

import cv2
import numpy as np

from surgaug.perturb import Rejected
from surgaug.perturb.geometry.place import lay_on
from surgaug.perturb.scene.class_tables import holds
from surgaug.perturb.scene.eye_discs import mark
from surgaug.perturb.scene.scene import BEYOND, ROWS, Scene, count_ids
from surgaug.perturb.scene.sprites import SHIFT, continued, fixed_point, put

_STEP = 8  # pixels of the grid on which places beyond the frame are computed
_GRAIN = 2  # pixels in which what lies beyond the frame is drawn
_LEAD = 16  # steps of a cell in which the lead of a class is stored
_LEFT = 0.4  # of each disc's pixels that must remain in the picture


def view(scene: Scene, matrix: np.ndarray) -> np.ndarray:
    """The label map [H, W] under the affine `matrix` [2, 3] (old (x, y) to new).

    Beyond the frame instruments go on along their axes and the eye's discs along their outlines; the rest is continued
    from the border, away from the eye. Raises Rejected when too little of the eye is left.
    """
    h, w = scene.frame
    out = cv2.warpAffine(scene.label_map, matrix, (w, h), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    new = _inside(matrix, scene.frame) == 0
    if new.any():
        beyond = _beyond(scene, cv2.invertAffineTransform(matrix), new)
        for index in sorted(range(len(scene.objects)), key=lambda i: _height(scene, i)):
            _continue_object(scene, index, matrix, beyond)
        np.copyto(out, beyond, where=new)
    before, after = scene.sampled, count_ids(out[::ROWS])
    scale = abs(float(np.linalg.det(matrix[:, :2])))
    for disc in scene.discs:
        ids = list(disc.class_ids)
        if after[ids].sum() < _LEFT * before[ids].sum() * min(scale, 1.0):
            raise Rejected("too little of the eye visible")
    return scene.keep_ignored(out)


def _height(scene: Scene, index: int) -> int:
    return max(int(scene.tables.depths[i]) for i in scene.objects[index].class_ids)


def _continue_object(scene: Scene, index: int, matrix: np.ndarray, beyond: np.ndarray) -> None:
    """Draw on `beyond` [H, W], in place, how `objects[index]` goes on outside the old frame, under `matrix`."""
    obj = scene.objects[index]
    if not obj.entries:
        return
    if obj.kind != "instrument":
        placed = put(scene.sprite(index), matrix, scene.frame, beyond.dtype)
        if placed is not None:
            lay_on(beyond, placed, scene.tables.depths)
        return
    # Seen where it crosses the border, it stays seen: what has a greater depth, such as a hand, does not hide it.
    for class_id, polygon in reversed(continued(scene.whole(index), BEYOND * scene.diagonal)):
        moved = polygon @ matrix[:, :2].T + matrix[:, 2]
        cv2.fillConvexPoly(beyond, fixed_point(moved), class_id, shift=SHIFT)


def _inside(matrix: np.ndarray, frame: tuple[int, int]) -> np.ndarray:
    """uint8 [H, W]: 1 where pixels come from inside the old frame."""
    h, w = frame
    corners = np.array([[-0.5, -0.5], [w - 0.5, -0.5], [w - 0.5, h - 0.5], [-0.5, h - 0.5]])
    corners = corners @ matrix[:, :2].T + matrix[:, 2]
    canvas = np.zeros(frame, np.uint8)
    cv2.fillConvexPoly(canvas, np.round(corners * 16).astype(np.int32), 1, shift=4)
    return canvas


def _beyond(scene: Scene, back: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Ids [H, W], right where `new` (bool [H, W]): there `back` [2, 3] leads from the new map out of the old frame.

    Hooks, retractors and hands go on straight away from the eye, at which they point; the eye's discs as far as they
    are known to; the edges between all else as they were heading.
    """
    h, w = scene.frame
    eye = scene.eye
    cy, cx = eye.centre if eye and 0 < eye.centre[0] < h - 1 and 0 < eye.centre[1] < w - 1 else (h / 2, w / 2)
    # Smooth but for a kink at the old frame, so that a coarse grid will do.
    columns, rows = max(2, w // _STEP), max(2, h // _STEP)
    x, y = np.meshgrid((np.arange(columns) + 0.5) * w / columns - 0.5, (np.arange(rows) + 0.5) * h / rows - 0.5)
    x, y = (row[0] * x + row[1] * y + row[2] for row in back)
    right, left, below, above = (max(distance, 0.5) for distance in (w - 1 - cx, cx, h - 1 - cy, cy))
    # How many times farther away than the border, sideways or up and down.
    dx, dy = x - cx, y - cy
    far = np.maximum(np.maximum(dx / right, -dx / left), np.maximum(dy / below, -dy / above))
    far = np.maximum(far, 1)
    size = -(-w // _GRAIN), -(-h // _GRAIN)
    from_x, from_y = (cv2.resize((d / far + c).astype(np.float32), size) for d, c in ((dx, cx), (dy, cy)))
    ids = cv2.remap(scene.bare, from_x, from_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    of_eye = holds(scene.of_eye, ids)
    np.copyto(ids, _continued(scene, x, y, size), where=of_eye | holds(scene.tables.sources, ids))
    ids = cv2.resize(ids, (w, h), interpolation=cv2.INTER_NEAREST)
    left, top, columns, rows = (_GRAIN * side for side in cv2.boundingRect(of_eye.view(np.uint8)))
    if columns:
        part = np.s_[top : min(top + rows, h), left : min(left + columns, w)]
        small = of_eye[top // _GRAIN : (top + rows) // _GRAIN, left // _GRAIN : (left + columns) // _GRAIN]
        eyes = small.repeat(_GRAIN, 0).repeat(_GRAIN, 1)[: ids[part].shape[0], : ids[part].shape[1]] & new[part]
        _draw_discs(scene, back, ids, eyes, (top, left))
    return ids


def _draw_discs(scene: Scene, back: np.ndarray, ids: np.ndarray, where: np.ndarray, origin: tuple[int, int]) -> None:
    """Mark in `ids` [H, W] the discs of the eye at the places `where` (bool [h, w] at `origin`), seen from `back`."""
    rows, columns = np.nonzero(where)
    rows, columns = rows + origin[0], columns + origin[1]
    x, y = (row[0] * columns + row[1] * rows + row[2] for row in back)
    shown = ids[rows, columns]
    mark(shown, scene.discs, y, x)
    ids[rows, columns] = shown


def _continued(scene: Scene, x: np.ndarray, y: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Ids of `size` (width, height) of what surrounds the eye, at places x, y [h, w] in and around the old frame, which
    are a coarse grid of them.

    Each class's signed distance goes on beyond the frame at the rate at which it came to its border, and the largest
    wins: straight edges stay straight.
    """
    h, w = scene.frame
    ids, distances = scene.anatomy.surroundings
    if len(ids) == 1:
        return np.full(size[::-1], ids[0], scene.label_map.dtype)
    rows, columns = distances[0].shape
    x, y = ((x + 0.5) * columns / w - 0.5).astype(np.float32), ((y + 0.5) * rows / h - 0.5).astype(np.float32)
    edge = np.clip(x, 0, columns - 1), np.clip(y, 0, rows - 1)
    mirrored = 2 * edge[0] - x, 2 * edge[1] - y
    values = np.stack(
        [
            2 * cv2.remap(signed, *edge, cv2.INTER_LINEAR) - cv2.remap(signed, *mirrored, cv2.INTER_LINEAR,
                                                                     borderMode=cv2.BORDER_REPLICATE)
            for signed in distances
        ]
    )  # fmt: skip
    # Only by how much a class leads or lags counts, and that only near the edges: bytes will do, and are fast.
    second, first = np.partition(values, -2, axis=0)[-2:]
    leads = values - np.where(values == first, second, first)
    leads = np.clip(leads * _LEAD + 128, 0, 255).astype(np.uint8)
    winner, best = np.full(size[::-1], ids[0], scene.label_map.dtype), cv2.resize(leads[0], size)
    for class_id, lead in zip(ids[1:], leads[1:], strict=True):
        value = cv2.resize(lead, size)
        winner[value > best] = class_id
        best = cv2.max(best, value)
    return winner
