"""Move one object of a scene: taken out, its place filled, put down elsewhere, and held against the constraints."""

from __future__ import annotations

import numpy as np

from surgaug.perturb import constraints
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
    if thing.entry is not None or thing.kind == "instrument":
        tip = apply(matrix, thing.tip)
        _require(constraints.tip_in_frame(tip, scene.frame))
        _require(constraints.tip_near(thing.tip, tip, max_tip))
    placed = put(scene.sprite(index), matrix, scene.frame, scene.label_map.dtype)
    _require(constraints.visible_enough(thing, placed))
    _require(constraints.reaches_border(thing, placed, scene.frame))
    return lay(scene, scene.without(index), placed)


def lay(scene: Scene, background: np.ndarray, placed: Placed) -> np.ndarray:
    """`background` [H, W] with `placed` on it, below what has a greater depth and outside what is ignored."""
    y0, x0, y1, x1 = placed.box
    below = background[y0:y1, x0:x1]
    np.logical_and(placed.mask, scene.depths[placed.ids] >= scene.depths[below], out=placed.mask)
    _require(constraints.hides_too_much(scene, background, placed))
    out = background.copy()
    out[y0:y1, x0:x1][placed.mask] = placed.ids[placed.mask]
    return out


def _require(reason: str | None) -> None:
    if reason:
        raise Rejected(reason)
