"""What a perturbed object must fulfil. Each check returns the reason why not, or None."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from surgaug.perturb.scene.eye_discs import Disc
from surgaug.perturb.scene.objects import MIN_PIXELS, SceneObject
from surgaug.perturb.scene.scene import Scene
from surgaug.perturb.scene.sprites import Placed

MIN_VISIBLE = 0.35  # of the object's pixels before
MAX_OVERLAP = 0.08  # of another instrument's pixels that it may newly cover
MIN_LEFT = 0.3  # of a class's pixels that must stay visible
EYE_MARGIN = 1.15  # radii of the eye's outermost disc
_SPECK = 0.02  # of the object's pixels
_NEAR = 3  # pixels between an instrument and what holds it
_COMMON = 64  # pixels from which a class counts as visible


def visible_enough(thing: SceneObject, placed: Placed | None, scale: float = 1.0) -> str | None:
    """`scale`: how much larger it is than it was."""
    if placed is None:
        return "out of sight"
    shown = int(np.count_nonzero(placed.mask))
    return "too little of it visible" if shown < max(MIN_PIXELS, MIN_VISIBLE * thing.area * scale**2) else None


def tip_in_frame(tip: tuple[float, float], frame: tuple[int, int]) -> str | None:
    inside = 0 <= tip[0] <= frame[0] - 1 and 0 <= tip[1] <= frame[1] - 1
    return None if inside else "tip outside the frame"


def tip_near(before: tuple[float, float], after: tuple[float, float], limit: float) -> str | None:
    """`limit` in pixels."""
    return "tip too far from where it was" if np.hypot(before[0] - after[0], before[1] - after[1]) > limit else None


def tip_stays_on_eye(discs: Sequence[Disc], before: tuple[float, float], after: tuple[float, float]) -> str | None:
    """What worked inside the eye may come out of it a little, no more. `discs`: inner to outer."""
    if not discs:
        return None
    eye = discs[-1]
    left = eye.nearness(before) <= 1 and eye.nearness(after) > EYE_MARGIN
    return "tip leaves the eye" if left else None


def within_reach(discs: Sequence[Disc], limit: float, before: float, after: tuple[float, float]) -> str | None:
    """No tip farther from the eye's centre than real ones, or than it was. `limit`, `before`: in radii."""
    if not discs:
        return None
    return "tip beyond the reach of real ones" if discs[-1].nearness(after) > max(limit, before) else None


def reaches_border(thing: SceneObject, stray: int, before: int) -> str | None:
    """What came in from the frame's border still does. `stray`, `before`: pixels of its parts that do not reach it."""
    if not thing.entries or thing.kind != "instrument":
        return None
    return "no longer reaches the border" if stray > before + speck(thing) else None


def stays_attached(scene: Scene, thing: SceneObject, placed: Placed) -> str | None:
    """What lies free in the frame and is held (by a hand, by a handle of another class) still is."""
    if thing.entries or thing.kind != "instrument" or not scene.roles.known:
        return None
    if not _touches_holder(scene, thing.mask, thing.box[:2], thing.class_ids):
        return None
    held = _touches_holder(scene, placed.mask, placed.box[:2], thing.class_ids)
    return None if held else "leaves what holds it"


def _touches_holder(scene: Scene, mask: np.ndarray, origin: tuple[int, int], own: tuple[int, ...]) -> bool:
    """Whether a mask [h, w] at `origin` (y, x) lies at, or below, what lies above the class ids `own`."""
    grown = cv2.dilate(np.pad(mask.view(np.uint8), _NEAR), np.ones((2 * _NEAR + 1, 2 * _NEAR + 1), np.uint8))
    y, x = origin[0] - _NEAR, origin[1] - _NEAR
    top, left = max(-y, 0), max(-x, 0)
    seen = scene.label_map[y + top : y + grown.shape[0], x + left : x + grown.shape[1]]
    grown = grown[top : top + seen.shape[0], left : left + seen.shape[1]]
    depth = max(int(scene.tables.depths[i]) for i in own)
    return bool(((scene.tables.depths[seen] > depth) & (grown > 0)).any())


def speck(thing: SceneObject) -> float:
    """Pixels up to which a part of the object is a speck."""
    return max(_SPECK * thing.area, MIN_PIXELS)


def hides_too_much(scene: Scene, before: np.ndarray, after: np.ndarray) -> str | None:
    """No class may (nearly) vanish. `before`, `after`: pixels by id that the change touches, then and now."""
    left = scene.counts - before + after
    common = (scene.counts >= _COMMON) & (left < scene.counts)
    for class_id in np.flatnonzero(common):
        is_instrument = scene.tables.instruments[class_id]
        if left[class_id] < (1 - MAX_OVERLAP if is_instrument else MIN_LEFT) * scene.counts[class_id]:
            return "covers another instrument" if is_instrument else "hides a class"
    return None


def map_is_sound(before: Scene, label_map: np.ndarray, counts: np.ndarray) -> str | None:
    """Same shape and type, no id that the space lacks, ignore pixels unmoved. `counts`: the new map's pixels by id."""
    old, space = before.label_map, before.space
    if label_map.shape != old.shape or label_map.dtype != old.dtype:
        return "shape or type changed"
    if not {int(i) for i in np.flatnonzero(counts)} <= {*space.ids, space.ignore}:
        return "an id outside the label space"
    if space.ignore is not None and not np.array_equal(old == space.ignore, label_map == space.ignore):
        return "ignore pixels moved"
    return None
