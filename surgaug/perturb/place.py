"""Move one object of a scene: taken out, its place filled, put down elsewhere, and held against the constraints."""

from __future__ import annotations

import numpy as np

from surgaug.perturb import constraints
from surgaug.perturb.objects import stray_parts
from surgaug.perturb.rejection import NotApplicable, Rejected
from surgaug.perturb.scene import Scene
from surgaug.perturb.sprites import Placed, apply, put


def pick_object(scene: Scene, rng: np.random.Generator, what: str = "instrument or object to move") -> int:
    """The position in `scene.objects` of one of them. NotApplicable where there is none."""
    if not scene.objects:
        raise NotApplicable(f"no {what}")
    return int(rng.integers(len(scene.objects)))


def move(scene: Scene, index: int, matrix: np.ndarray, max_tip: float) -> np.ndarray:
    """The label map [H, W] with `scene.objects[index]` under the affine `matrix` (see `sprites.put`).

    max_tip: how far the tip may go, in pixels. Raises Rejected with the constraint that it would break.
    """
    thing = scene.objects[index]
    if thing.kind == "instrument":
        tip = apply(matrix, thing.tip)
        _require(constraints.tip_in_frame(tip, scene.frame))
        _require(constraints.tip_stays_on_eye(scene.discs, thing.tip, tip))
        _require(constraints.tip_near(thing.tip, tip, max_tip))
    placed = put(scene.sprite(index), matrix, scene.frame, scene.label_map.dtype)
    _require(constraints.visible_enough(thing, placed))
    if thing.entries and thing.kind == "instrument":
        stray = stray_parts(placed.mask, placed.box, scene.frame)
        _require(constraints.reaches_border(thing, sum(int(np.count_nonzero(part)) for part in stray)))
        if not thing.stray:
            for part in stray:
                placed.mask[part] = False
    label_map = lay(scene.without(index), placed, scene.depths)
    before, after = _changed_counts(scene.label_map, label_map, thing.box, placed.box)
    before[list(thing.class_ids)] = after[list(thing.class_ids)] = 0
    _require(constraints.hides_too_much(scene, before, after))
    return label_map


def lay(background: np.ndarray, placed: Placed, depths: np.ndarray) -> np.ndarray:
    """`background` [H, W] with `placed` on it, below what has a greater depth (`depths` by id)."""
    y0, x0, y1, x1 = placed.box
    below = background[y0:y1, x0:x1]
    seen = placed.mask & (depths[placed.ids] >= depths[below])
    out = background.copy()
    out[y0:y1, x0:x1][seen] = placed.ids[seen]
    return out


def _changed_counts(before: np.ndarray, after: np.ndarray, *boxes: tuple[int, int, int, int]) -> list[np.ndarray]:
    """Pixels by id, then and now, among those in the region of the boxes that changed."""
    y0, x0 = np.min(boxes, 0)[:2]
    y1, x1 = np.max(boxes, 0)[2:]
    then, now = before[y0:y1, x0:x1], after[y0:y1, x0:x1]
    changed = then != now
    size = int(np.iinfo(before.dtype).max) + 1
    return [np.bincount(label_map[changed], minlength=size) for label_map in (then, now)]


def _require(reason: str | None) -> None:
    if reason:
        raise Rejected(reason)
