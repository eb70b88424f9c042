"""Move an object of a scene, or put one in: held against the constraints, below what lies above it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from surgaug.perturb import NotApplicable, Rejected
from surgaug.perturb.geometry import constraints
from surgaug.perturb.prior.instrument_bank import InstrumentBank
from surgaug.perturb.scene.objects import SceneObject, stray_parts
from surgaug.perturb.scene.scene import Scene
from surgaug.perturb.scene.sprites import Placed, Sprite, apply, put


def pick_object(scene: Scene, rng: np.random.Generator) -> int:
    """The position in `scene.objects` of one of them. NotApplicable where there is none."""
    if not scene.objects:
        raise NotApplicable("no instrument or object to move")
    return int(rng.integers(len(scene.objects)))


def move(
    scene: Scene, index: int, matrix: np.ndarray, max_tip: float, bank: InstrumentBank | None = None
) -> np.ndarray:
    """The label map [H, W] with `scene.objects[index]` under the affine `matrix` (see `sprites.put`).

    max_tip: how far the tip may go, in pixels. bank: tells how far from the eye tips may be, if there is one. Raises
    Rejected with the constraint that it would break.
    """
    obj = scene.objects[index]
    if obj.kind == "instrument":
        tip = apply(matrix, obj.tip)
        check_tip(scene, obj.class_ids, tip, bank, obj.tip)
        _require(constraints.tip_stays_on_eye(scene.discs, obj.tip, tip))
        _require(constraints.tip_near(obj.tip, tip, max_tip))
    placed = _placed(scene, obj, scene.sprite(index), matrix, obj.stray)
    label_map = lay(scene.without(index), placed, scene.tables.depths)
    _check_counts(scene, label_map, obj, (obj.box, placed.box))
    return label_map


def insert(
    scene: Scene, obj: SceneObject, sprite: Sprite, matrix: np.ndarray, bank: InstrumentBank | None = None
) -> np.ndarray:
    """The label map [H, W] with one more object, `obj` of another map cut out as `sprite`, under `matrix`.

    Raises Rejected with the constraint that it would break.
    """
    if obj.kind == "instrument":
        check_tip(scene, obj.class_ids, apply(matrix, obj.tip), bank)
    placed = _placed(scene, obj, sprite, matrix, 0)
    label_map = lay(scene.label_map, placed, scene.tables.depths)
    _check_counts(scene, label_map, obj, (placed.box,))
    return label_map


def check_tip(
    scene: Scene,
    class_ids: Iterable[int],
    tip: tuple[float, float],
    bank: InstrumentBank | None,
    before: tuple[float, float] | None = None,
) -> None:
    """Raises Rejected for a tip (y, x) outside the frame, or farther from the eye than real ones and than it was."""
    _require(constraints.tip_in_frame(tip, scene.frame))
    if bank is not None and scene.discs:
        limit = max(bank.farthest(scene.roles.handles.get(i, i)) for i in class_ids)
        was = scene.discs[-1].nearness(before) if before else 0.0
        _require(constraints.within_reach(scene.discs, limit, was, tip))


def _placed(scene: Scene, obj: SceneObject, sprite: Sprite, matrix: np.ndarray, stray_before: int) -> Placed:
    placed = put(sprite, matrix, scene.frame, scene.label_map.dtype)
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    _require(constraints.visible_enough(obj, placed, scale))
    assert placed is not None  # what is out of sight is not visible enough
    _require(constraints.stays_attached(scene, obj, placed))
    if obj.entries and obj.kind == "instrument":
        stray = stray_parts(placed.mask, placed.box, scene.frame)
        pixels = sum(int(np.count_nonzero(part)) for part in stray)
        _require(constraints.reaches_border(obj, pixels, stray_before))
        if not stray_before:
            for part in stray:
                placed.mask[part] = False
    return placed


def lay(background: np.ndarray, placed: Placed, depths: np.ndarray) -> np.ndarray:
    """`background` [H, W] with `placed` on it, below what has a greater depth (`depths` by id)."""
    out = background.copy()
    lay_on(out, placed, depths)
    return out


def lay_on(background: np.ndarray, placed: Placed, depths: np.ndarray) -> None:
    """As `lay`, in place."""
    y0, x0, y1, x1 = placed.box
    below = background[y0:y1, x0:x1]
    seen = placed.mask & (depths[placed.ids] >= depths[below])
    below[seen] = placed.ids[seen]


def _check_counts(
    scene: Scene, label_map: np.ndarray, obj: SceneObject, boxes: tuple[tuple[int, int, int, int], ...]
) -> None:
    """Refuse what (nearly) hides another class or instrument; pixels are counted where the boxes' region changed."""
    y0, x0 = np.min(boxes, 0)[:2]
    y1, x1 = np.max(boxes, 0)[2:]
    then, now = scene.label_map[y0:y1, x0:x1], label_map[y0:y1, x0:x1]
    changed = then != now
    size = int(np.iinfo(label_map.dtype).max) + 1
    before, after = (np.bincount(part[changed], minlength=size) for part in (then, now))
    before[list(obj.class_ids)] = after[list(obj.class_ids)] = 0
    _require(constraints.hides_too_much(scene, before, after))


def _require(reason: str | None) -> None:
    if reason:
        raise Rejected(reason)
