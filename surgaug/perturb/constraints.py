"""What a perturbed object must fulfil. Each check returns the reason why not, or None."""

from __future__ import annotations

import cv2
import numpy as np

from surgaug.data.label_space import LabelSpace
from surgaug.perturb.objects import MIN_PIXELS, SceneObject
from surgaug.perturb.scene import Scene, count_ids
from surgaug.perturb.sprites import Placed

MIN_VISIBLE = 0.35  # of the object's pixels before
MAX_OVERLAP = 0.35  # of another instrument's pixels that it may newly cover
MIN_LEFT = 0.3  # of a class's pixels that must stay visible
_SPECK = 0.02  # of the object's pixels: a part below this is dropped rather than refused
_COMMON = 64  # pixels from which a class counts as visible


def visible_enough(thing: SceneObject, placed: Placed | None) -> str | None:
    if placed is None:
        return "out of sight"
    shown = int(np.count_nonzero(placed.mask))
    return "too little of it visible" if shown < max(MIN_PIXELS, MIN_VISIBLE * thing.area) else None


def tip_in_frame(tip: tuple[float, float], frame: tuple[int, int]) -> str | None:
    inside = 0 <= tip[0] <= frame[0] - 1 and 0 <= tip[1] <= frame[1] - 1
    return None if inside else "tip outside the frame"


def tip_near(before: tuple[float, float], after: tuple[float, float], limit: float) -> str | None:
    """`limit` in pixels."""
    return "tip too far from where it was" if np.hypot(before[0] - after[0], before[1] - after[1]) > limit else None


def reaches_border(thing: SceneObject, placed: Placed, frame: tuple[int, int]) -> str | None:
    """Every part of an instrument that came in from the frame's border still does. Specks are taken off `placed.mask`."""
    if not thing.entries:
        return None
    y0, x0, y1, x1 = placed.box
    count, parts, stats, _ = cv2.connectedComponentsWithStats(placed.mask.view(np.uint8), connectivity=8)
    for part in range(1, count):
        x, y, w, h, area = stats[part]
        if y0 + y == 0 or x0 + x == 0 or y0 + y + h == frame[0] or x0 + x + w == frame[1]:
            continue
        if area > max(_SPECK * thing.area, MIN_PIXELS):
            return "no longer reaches the border"
        placed.mask[parts == part] = False
    return None


def hides_too_much(scene: Scene, background: np.ndarray, placed: Placed) -> str | None:
    """No class may (nearly) vanish below the object. `background`: the label map without it."""
    y0, x0, y1, x1 = placed.box
    covered = np.bincount(background[y0:y1, x0:x1][placed.mask], minlength=1)
    counts = scene.counts
    for class_id in np.flatnonzero(covered):
        total = max(int(counts[class_id]), int(covered[class_id]))
        if class_id == scene.space.ignore or total < _COMMON:
            continue
        is_object = any(class_id in thing.class_ids for thing in scene.objects)
        if covered[class_id] > (MAX_OVERLAP if is_object else 1 - MIN_LEFT) * total:
            return "covers another instrument" if is_object else "hides a class"
    return None


def map_is_sound(before: np.ndarray, after: np.ndarray, space: LabelSpace) -> str | None:
    """Same shape and type, no id that the space lacks, ignore pixels unmoved."""
    if after.shape != before.shape or after.dtype != before.dtype:
        return "shape or type changed"
    allowed = {*space.ids, space.ignore}
    if not {int(i) for i in np.flatnonzero(count_ids(after))} <= allowed:
        return "an id outside the label space"
    if space.ignore is not None and not np.array_equal(before == space.ignore, after == space.ignore):
        return "ignore pixels moved"
    return None
