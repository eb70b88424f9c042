"""What a perturbed object and a finished map must fulfil. Each check returns None, or why it fails.

A failed check rejects the try, and its text is counted in the manifest. Positions are (y, x) in pixels.
"""

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


def visible_enough(obj: SceneObject, placed: Placed | None, scale: float = 1.0) -> str | None:
    """At least `MIN_VISIBLE` of the object's pixels lie in the frame. `placed`: where it would lie, None if nowhere in
    the frame. `scale`: how many times as large it is as before."""
    if placed is None:
        return "out of sight"
    shown = int(np.count_nonzero(placed.mask))
    return "too little of it visible" if shown < max(MIN_PIXELS, MIN_VISIBLE * obj.area * scale**2) else None


def tip_in_frame(tip: tuple[float, float], frame: tuple[int, int]) -> str | None:
    """The tip lies in the frame (H, W)."""
    inside = 0 <= tip[0] <= frame[0] - 1 and 0 <= tip[1] <= frame[1] - 1
    return None if inside else "tip outside the frame"


def tip_near(before: tuple[float, float], after: tuple[float, float], limit: float) -> str | None:
    """The tip has moved by at most `limit` pixels."""
    return "tip too far from where it was" if np.hypot(before[0] - after[0], before[1] - after[1]) > limit else None


def tip_stays_on_eye(discs: Sequence[Disc], before: tuple[float, float], after: tuple[float, float]) -> str | None:
    """A tip that was inside the eye is at most `EYE_MARGIN` radii from its centre. `discs`: inner to outer."""
    if not discs:
        return None
    eye = discs[-1]
    left = eye.nearness(before) <= 1 and eye.nearness(after) > EYE_MARGIN
    return "tip leaves the eye" if left else None


def within_reach(discs: Sequence[Disc], limit: float, before: float, after: tuple[float, float]) -> str | None:
    """The tip is no farther from the eye's centre than `limit`, or than it was `before`, both in radii of the eye."""
    if not discs:
        return None
    return "tip beyond the reach of real ones" if discs[-1].nearness(after) > max(limit, before) else None


def reaches_border(obj: SceneObject, stray: int, before: int) -> str | None:
    """An instrument that came in from the frame's border still does. `stray`, `before`: pixels, now and before, of its
    parts that do not reach the border."""
    if not obj.entries or obj.kind != "instrument":
        return None
    return "no longer reaches the border" if stray > before + speck(obj) else None


def stays_attached(scene: Scene, obj: SceneObject, placed: Placed) -> str | None:
    """An instrument that lies free in the frame, held by a hand or by a handle of another class, is still held."""
    if obj.entries or obj.kind != "instrument" or not scene.roles.known:
        return None
    if not _touches_holder(scene, obj.mask, obj.box[:2], obj.class_ids):
        return None
    held = _touches_holder(scene, placed.mask, placed.box[:2], obj.class_ids)
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


def speck(obj: SceneObject) -> float:
    """The number of pixels up to which a part of the object is a speck."""
    return max(_SPECK * obj.area, MIN_PIXELS)


def hides_too_much(scene: Scene, before: np.ndarray, after: np.ndarray) -> str | None:
    """Every class keeps enough of its visible pixels: `MIN_LEFT` of them, an instrument all but `MAX_OVERLAP`. Classes
    of less than `_COMMON` pixels do not count.

    before, after: pixels by id among those that changed, in the old map and in the new one.
    """
    left = scene.counts - before + after
    common = (scene.counts >= _COMMON) & (left < scene.counts)
    for class_id in np.flatnonzero(common):
        is_instrument = scene.tables.instruments[class_id]
        if left[class_id] < (1 - MAX_OVERLAP if is_instrument else MIN_LEFT) * scene.counts[class_id]:
            return "covers another instrument" if is_instrument else "hides a class"
    return None


def map_is_sound(before: Scene, label_map: np.ndarray, counts: np.ndarray) -> str | None:
    """The new map has the old one's shape, type and ignored pixels, and no id that its space lacks. `counts`: the new
    map's pixels by id."""
    old, space = before.label_map, before.space
    if label_map.shape != old.shape or label_map.dtype != old.dtype:
        return "shape or type changed"
    if not {int(i) for i in np.flatnonzero(counts)} <= {*space.ids, space.ignore}:
        return "an id outside the label space"
    if space.ignore is not None and not np.array_equal(old == space.ignore, label_map == space.ignore):
        return "ignore pixels moved"
    return None
