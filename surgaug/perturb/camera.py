"""The whole picture seen otherwise: nearer, turned, from beside. What comes in from beyond the frame is continued."""

from __future__ import annotations

import cv2
import numpy as np

from surgaug.perturb.knowledge import eye_of
from surgaug.perturb.place import lay
from surgaug.perturb.rejection import Rejected
from surgaug.perturb.scene import Scene, count_ids
from surgaug.perturb.sprites import put
from surgaug.perturb.whole import keep_ignored

_LEFT = 0.4  # of each disc's pixels that must remain in the picture


def view(scene: Scene, matrix: np.ndarray) -> np.ndarray:
    """The label map [H, W] under the affine `matrix` [2, 3] (old (x, y) to new).

    Beyond the frame instruments go on along their axes and the eye's discs along their outlines; the rest is continued
    from the border, away from the eye. Raises Rejected when too little of the eye is left.
    """
    h, w = scene.frame
    out = cv2.warpAffine(scene.bare, matrix, (w, h), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    y, x = np.nonzero(~_inside(matrix, scene.frame))
    if len(y):
        out[y, x] = _beyond(scene, *(cv2.invertAffineTransform(matrix) @ np.stack([x, y, np.ones(len(x))])))
    for index in sorted(range(len(scene.objects)), key=lambda i: _height(scene, i)):
        placed = put(scene.sprite(index), matrix, scene.frame, out.dtype)
        if placed is not None:
            out = lay(out, placed, scene.depths)
    before, after = scene.counts, count_ids(out)
    scale = abs(float(np.linalg.det(matrix[:, :2])))
    for disc in scene.discs:
        ids = list(disc.class_ids)
        if after[ids].sum() < _LEFT * before[ids].sum() * min(scale, 1.0):
            raise Rejected("too little of the eye visible")
    return keep_ignored(scene, out)


def _height(scene: Scene, index: int) -> int:
    return max(int(scene.depths[i]) for i in scene.objects[index].class_ids)


def _inside(matrix: np.ndarray, frame: tuple[int, int]) -> np.ndarray:
    """bool [H, W]: pixels that come from inside the old frame."""
    h, w = frame
    corners = np.array([[-0.5, -0.5], [w - 0.5, -0.5], [w - 0.5, h - 0.5], [-0.5, h - 0.5]])
    corners = corners @ matrix[:, :2].T + matrix[:, 2]
    canvas = np.zeros(frame, np.uint8)
    cv2.fillConvexPoly(canvas, np.round(corners * 16).astype(np.int32), 1, shift=4)
    return canvas.view(bool)


def _beyond(scene: Scene, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Ids [N] at places outside the frame: what lies at the border on the way from there to the eye.

    Hooks and lids point at it. Its discs go on as far as they are known to.
    """
    h, w = scene.frame
    eye = eye_of(scene)
    cy, cx = eye.centre if eye and 0 < eye.centre[0] < h - 1 and 0 < eye.centre[1] < w - 1 else (h / 2, w / 2)
    dx, dy = x - cx, y - cy
    with np.errstate(divide="ignore"):
        to_side = np.where(dx > 0, w - 1 - cx, cx) / np.abs(dx)
        to_end = np.where(dy > 0, h - 1 - cy, cy) / np.abs(dy)
    share = np.minimum(np.minimum(to_side, to_end), 1.0)
    at_x = np.clip(np.rint(cx + dx * share), 0, w - 1).astype(int)
    at_y = np.clip(np.rint(cy + dy * share), 0, h - 1).astype(int)
    ids = scene.bare[at_y, at_x]
    of_eye = scene.of_eye[ids]
    if of_eye.any():
        ids[of_eye] = _beside(scene)
        for disc in reversed(scene.discs):
            ids[of_eye & disc.contains(y, x)] = disc.class_ids[0]
    return ids


def _beside(scene: Scene) -> int:
    """The class that surrounds the eye: the commonest just outside its outermost disc, instruments left out."""
    eye = scene.discs[-1]
    x, y = np.rint(eye.centre[::-1] + 1.05 * (eye.outline - eye.centre[::-1])).astype(int).T
    seen = (x >= 0) & (y >= 0) & (x < scene.frame[1]) & (y < scene.frame[0])
    around = scene.bare[y[seen], x[seen]]
    around = around[scene.sources[around] & ~scene.of_eye[around]]
    if not len(around):
        raise Rejected("nothing around the eye to continue it with")
    return int(np.bincount(around).argmax())
