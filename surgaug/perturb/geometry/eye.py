"""The eye changed below what lies on it: its discs moved, its pupil made wider, its surroundings deformed.

Instruments are taken off, the anatomy is changed, the instruments are put back where they were.
"""

from __future__ import annotations

import cv2
import numpy as np

from surgaug.perturb import NotApplicable, Rejected
from surgaug.perturb.scene.class_tables import holds
from surgaug.perturb.scene.eye_discs import Disc, drawn, mark
from surgaug.perturb.scene.scene import ROWS, Scene, count_ids

_VISIBLE, _PUPIL_VISIBLE = 0.5, 0.25  # of the pixels that must remain
_CALM = 3.0  # greatest displacements from the frame's border within which a deformation ceases
_STEP = 8  # pixels of the grid on which a deformation is smooth
_INSIDE = 0.96  # of the outer disc's radius that an inner one may fill


def require_eye(scene: Scene) -> None:
    """NotApplicable where there is no eye, or hooks hold its pupil."""
    if not scene.discs:
        raise NotApplicable("no eye of which enough is visible")
    if any(scene.counts[i] for i in scene.roles.hooks):
        raise NotApplicable("hooks hold the pupil")


def move_eye(scene: Scene, matrix: np.ndarray) -> np.ndarray:
    """The label map [H, W] with all discs of the eye under the affine `matrix` [2, 3] (old (x, y) to new).

    They glide below lids, tape and whatever else is no disc; the place they leave becomes what surrounds them.
    """
    eye = scene.discs[-1]
    new_outline = eye.outline @ matrix[:, :2].T + matrix[:, 2]
    y0, x0, y1, x1 = _box(np.concatenate([eye.outline, new_outline]), scene.frame)
    size, origin = (y1 - y0, x1 - x0), (y0, x0)
    base = scene.bare[y0:y1, x0:x1]
    local = matrix.copy()
    local[:, 2] += matrix[:, :2] @ [x0, y0] - [x0, y0]
    moved = drawn(new_outline, size, origin).view(bool)
    # What lids hide of the discs, or the frame cuts off, comes to light as well, as the discs' outlines say.
    content = cv2.warpAffine(_completed(scene, base, origin), local, size[::-1], flags=cv2.INTER_NEAREST)
    beyond = moved & (cv2.warpAffine(np.ones(size, np.uint8), local, size[::-1], flags=cv2.INTER_NEAREST) == 0)
    content[beyond] = _labelled(scene, matrix, beyond, origin)
    # Along the outline rounding leads to pixels that lie just outside, of whatever is there.
    content[~holds(scene.of_eye, content)] = scene.discs[-1].class_ids[0]
    now_eye = holds(scene.of_eye, base)
    around = _around(scene, base, now_eye)
    out = np.where(now_eye, base.dtype.type(around), base)
    place = moved & ((base == around) | now_eye)
    out[place] = content[place]
    whole = scene.bare.copy()
    whole[y0:y1, x0:x1] = out
    return finished(scene, whole)


def _completed(scene: Scene, base: np.ndarray, origin: tuple[int, int]) -> np.ndarray:
    """`base` [h, w] with the eye's own classes also where lids or the like hide the discs."""
    out = base.copy()
    hidden = ~holds(scene.of_eye, base)
    for disc in reversed(scene.discs):
        out[disc.drawn(base.shape, origin).view(bool) & hidden] = disc.class_ids[0]
    return out


def _labelled(scene: Scene, matrix: np.ndarray, where: np.ndarray, origin: tuple[int, int]) -> np.ndarray:
    """Ids [N] of the discs at the places `where` (bool [h, w] at `origin`) after they went under `matrix`."""
    rows, columns = np.nonzero(where)
    back = cv2.invertAffineTransform(matrix)
    x, y = back @ np.stack([columns + origin[1], rows + origin[0], np.ones(len(rows))])
    ids = np.full(len(rows), scene.discs[-1].class_ids[0], scene.label_map.dtype)
    mark(ids, scene.discs, y, x)
    return ids


def _around(scene: Scene, base: np.ndarray, eye: np.ndarray) -> int:
    """The class in which the eye lies: the commonest next to it that is no cover."""
    ring = cv2.dilate(eye.view(np.uint8), np.ones((5, 5), np.uint8)).view(bool) & ~eye
    counts = np.bincount(base[ring & scene.tables.sources[base]], minlength=1)
    if not counts.any():
        raise NotApplicable("nothing around the eye to move it in")
    return int(counts.argmax())


def pupil_and_outer(scene: Scene) -> tuple[Disc, Disc | None]:
    """The disc of the pupil and the next one outward, if there is one. NotApplicable without a pupil."""
    for i, disc in enumerate(scene.discs):
        if set(disc.class_ids) & set(scene.roles.pupil):
            return disc, scene.discs[i + 1] if i + 1 < len(scene.discs) else None
    raise NotApplicable("no pupil of which enough is visible")


def scale_pupil(scene: Scene, factor: float) -> np.ndarray:
    """The label map [H, W] with a pupil `factor` times as wide: what is in it grows along, the ring around yields."""
    pupil, outer = pupil_and_outer(scene)
    end = _seen_from(outer, pupil.centre) if outer else 1.9 * pupil.radius
    if (pupil.radius * factor > _INSIDE * end).any():
        raise Rejected("pupil wider than what surrounds it")
    reach = outer.outline if outer else pupil.centre[::-1] + 1.9 * (pupil.outline - pupil.centre[::-1])
    y0, x0, y1, x1 = _box(reach, scene.frame)
    base = scene.bare[y0:y1, x0:x1]
    y, x = np.arange(y0, y1, dtype=np.float32) - pupil.centre[0], np.arange(x0, x1, dtype=np.float32) - pupil.centre[1]
    x, y = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    length, angle = cv2.cartToPolar(x, y, angleInDegrees=True)
    bins = np.minimum(angle.astype(np.int32), len(pupil.radius) - 1)
    # Straight from the pupil's new edge, where its old one comes to lie, to the ring's outer edge, which stays.
    edge, slope = pupil.radius * factor, (end - pupil.radius) / (end - pupil.radius * factor)
    offset = (pupil.radius - edge * slope).astype(np.float32)
    ratio = slope.astype(np.float32)[bins] + offset[bins] / np.maximum(length, 1e-3)
    ratio[length <= edge.astype(np.float32)[bins]] = 1 / factor
    ratio[length >= end.astype(np.float32)[bins]] = 1
    map_x, map_y = x * ratio + np.float32(pupil.centre[1] - x0), y * ratio + np.float32(pupil.centre[0] - y0)
    seen = holds(scene.tables.covers, base)
    shown = _completed(scene, base, (y0, x0)) if seen.any() else base
    out = cv2.remap(shown, map_x, map_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    # Of what comes in from beyond the frame no more is known than the discs' outlines.
    source_y, source_x = map_y + np.float32(y0), map_x + np.float32(x0)
    h, w = scene.frame
    beyond = np.nonzero((source_y < -0.5) | (source_y > h - 0.5) | (source_x < -0.5) | (source_x > w - 0.5))
    ids = out[beyond]
    mark(ids, scene.discs, source_y[beyond], source_x[beyond])
    out[beyond] = ids
    out[seen] = base[seen]
    whole = scene.bare.copy()
    whole[y0:y1, x0:x1] = out
    return finished(scene, whole)


def _seen_from(disc: Disc, centre: tuple[float, float]) -> np.ndarray:
    """The disc's radius by angle as `Disc.radius`, but from another centre (y, x) within it."""
    angles = np.deg2rad(np.arange(len(disc.radius)) + 0.5)
    x = disc.centre[1] + disc.radius * np.cos(angles) - centre[1]
    y = disc.centre[0] + disc.radius * np.sin(angles) - centre[0]
    around = np.arctan2(y, x) % (2 * np.pi)
    return np.interp(angles, around[order := np.argsort(around)], np.hypot(x, y)[order], period=2 * np.pi)


def _box(points: np.ndarray, frame: tuple[int, int]) -> tuple[int, int, int, int]:
    """The part of the frame that holds the points (x, y) and a little more."""
    x0, y0 = np.maximum(np.floor(points.min(0)).astype(int) - 4, 0)
    x1, y1 = np.minimum(np.ceil(points.max(0)).astype(int) + 5, frame[::-1])
    if y1 <= y0 or x1 <= x0:
        raise NotApplicable("no eye of which enough is visible")
    return int(y0), int(x0), int(y1), int(x1)


def deform(scene: Scene, field: np.ndarray, spare_eye: bool = False) -> np.ndarray:
    """The label map [H, W] whose anatomy is taken from elsewhere: `field` float32 [h, w, 2], (dy, dx) in pixels.

    A coarse field is interpolated to the frame. Positive dx shows at x what lay at x + dx; toward the frame's border
    the movement ceases, so that nothing comes in from beyond it. Instruments and hands are stiff. spare_eye: its discs
    stay.
    """
    h, w = scene.frame
    reach = max(_CALM * float(np.abs(field).max()), 1.0)
    # Cubic on a coarse grid, and linear from there: as smooth, for a fifth of the time.
    coarse = (max(2, w // _STEP), max(2, h // _STEP))
    field = cv2.resize(field, coarse, interpolation=cv2.INTER_CUBIC)
    map_y = cv2.resize(field[..., 0] * _calm(h, coarse[1], reach)[:, None], (w, h), interpolation=cv2.INTER_LINEAR)
    map_x = cv2.resize(field[..., 1] * _calm(w, coarse[0], reach), (w, h), interpolation=cv2.INTER_LINEAR)
    map_y += np.arange(h, dtype=np.float32)[:, None]
    map_x += np.arange(w, dtype=np.float32)
    base, (soft, stiff) = scene.bare, scene.soft
    out = cv2.remap(soft, map_x, map_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    if spare_eye:
        np.copyto(out, soft, where=holds(scene.of_eye, soft) | holds(scene.of_eye, out))
    if stiff is not None:
        np.copyto(out, base, where=stiff)
    return finished(scene, out)


def _calm(size: int, cells: int, reach: float) -> np.ndarray:
    """float32 [cells]: 0 at the ends of `size` pixels, rising to 1 at `reach` from them."""
    at = (np.arange(cells, dtype=np.float32) + 0.5) * size / cells - 0.5
    return np.clip(np.minimum(at, size - 1 - at) / np.float32(reach), 0, 1)


def finished(scene: Scene, base: np.ndarray) -> np.ndarray:
    """`base` [H, W], a changed `scene.bare`, with the instruments on it and ignored pixels where they were.

    Raises Rejected when too little of the eye is left.
    """
    out = scene.keep_ignored(base)
    if out is scene.bare or out is base:
        out = base.copy()
    for obj in scene.objects:
        y0, x0, y1, x1 = obj.box
        out[y0:y1, x0:x1][obj.mask] = obj.ids[obj.mask]
    before, after = scene.sampled, count_ids(out[::ROWS])
    if after[scene.of_eye].sum() < _VISIBLE * before[scene.of_eye].sum():
        raise Rejected("too little of the eye visible")
    pupil = list(scene.roles.pupil)
    if after[pupil].sum() < _PUPIL_VISIBLE * before[pupil].sum():
        raise Rejected("too little of the pupil visible")
    return out
