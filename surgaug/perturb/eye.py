"""The eye changed below what lies on it: its discs moved, its pupil made wider, its surroundings deformed.

Instruments are taken off, the anatomy is changed, the instruments are put back where they were.
"""

from __future__ import annotations

import cv2
import numpy as np

from surgaug.perturb.discs import Disc
from surgaug.perturb.fill import fill
from surgaug.perturb.rejection import NotApplicable, Rejected
from surgaug.perturb.scene import Scene, count_ids
from surgaug.perturb.whole import keep_ignored

_VISIBLE = 0.5  # of each disc's pixels that must remain
_INSIDE = 0.96  # of the outer disc's radius that an inner one may fill


def require_eye(scene: Scene) -> None:
    """NotApplicable where there is no eye, or hooks hold its pupil."""
    if not scene.discs:
        raise NotApplicable("no eye of which enough is visible")
    if any(scene.counts[i] for i in scene.roles.hooks):
        raise NotApplicable("hooks hold the pupil")


def move_eye(scene: Scene, matrix: np.ndarray) -> np.ndarray:
    """The label map [H, W] with all discs of the eye under the affine `matrix` [2, 3] (old (x, y) to new).

    They glide below lids, tape and whatever else is no disc; the place they leave is filled with what surrounds them.
    """
    base, eye = scene.bare, scene.discs[-1]
    of_eye = np.zeros(int(np.iinfo(base.dtype).max) + 1, bool)
    for disc in scene.discs:
        of_eye[list(disc.class_ids)] = True
    whole = _completed(scene, base, of_eye)
    inside = eye.drawn(scene.frame)
    moved = cv2.warpAffine(inside, matrix, scene.frame[::-1], flags=cv2.INTER_NEAREST).view(bool)
    content = cv2.warpAffine(whole, matrix, scene.frame[::-1], flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    now_eye = of_eye[base]
    around = _around(scene, base, now_eye)
    sources = np.zeros_like(of_eye)
    sources[around] = True
    out = base.copy()
    box = cv2.boundingRect(now_eye.view(np.uint8))
    part = np.s_[box[1] : box[1] + box[3], box[0] : box[0] + box[2]]
    out[part] = fill(base, now_eye[part], (box[1], box[0]), sources, ())
    # Content from beyond the frame is what the discs' outlines say.
    unseen = moved & ~of_eye[content]
    content[unseen] = _labelled(scene, matrix, unseen)
    place = moved & ((out == around) | now_eye)
    out[place] = content[place]
    return finished(scene, out)


def _completed(scene: Scene, base: np.ndarray, of_eye: np.ndarray) -> np.ndarray:
    """`base` with the eye's own classes also where lids or the like hide the discs."""
    out = base.copy()
    for disc in reversed(scene.discs):
        inside = disc.drawn(scene.frame).view(bool) & ~of_eye[base]
        out[inside] = disc.class_ids[0]
    return out


def _labelled(scene: Scene, matrix: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Ids [N] of the discs at the places `where` (bool [H, W]) after they went under `matrix`."""
    rows, columns = np.nonzero(where)
    back = cv2.invertAffineTransform(matrix)
    x, y = back @ np.stack([columns, rows, np.ones(len(rows))])
    ids = np.full(len(rows), scene.discs[-1].class_ids[0], scene.label_map.dtype)
    for disc in reversed(scene.discs):
        ids[disc.contains(y, x)] = disc.class_ids[0]
    return ids


def _around(scene: Scene, base: np.ndarray, eye: np.ndarray) -> int:
    """The class in which the eye lies: the commonest next to it that is no cover."""
    ring = cv2.dilate(eye.view(np.uint8), np.ones((5, 5), np.uint8)).view(bool) & ~eye
    counts = np.bincount(base[ring & scene.sources[base]], minlength=1)
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
    y0, x0, y1, x1 = _box(outer or pupil, scene.frame, 1.0 if outer else 2.0)
    y, x = np.mgrid[y0:y1, x0:x1].astype(np.float32)
    length, angle = cv2.cartToPolar(x - pupil.centre[1], y - pupil.centre[0], angleInDegrees=True)
    bins = np.minimum(angle.astype(np.int32), len(pupil.radius) - 1)
    inner_old = pupil.radius[bins]
    limit = (_seen_from(outer, pupil.centre) if outer else 1.9 * pupil.radius)[bins]
    if outer is not None and (pupil.radius * factor > _INSIDE * _seen_from(outer, pupil.centre)).any():
        raise Rejected("pupil wider than what surrounds it")
    inner_new = inner_old * factor
    ring = np.maximum(limit - inner_new, 1e-3)
    source = np.where(
        length <= inner_new,
        length / factor,
        np.where(length < limit, inner_old + (length - inner_new) * (limit - inner_old) / ring, length),
    )
    ratio = source / np.maximum(length, 1e-6)
    map_x, map_y = pupil.centre[1] + (x - pupil.centre[1]) * ratio, pupil.centre[0] + (y - pupil.centre[0]) * ratio
    base, covers = scene.bare, scene.covers
    seen = covers[base]
    part = np.s_[y0:y1, x0:x1]
    whole = base
    if seen[part].any():
        of_eye = np.zeros_like(covers)
        for disc in scene.discs:
            of_eye[list(disc.class_ids)] = True
        whole = _completed(scene, base, of_eye)
    out = base.copy()
    out[part] = cv2.remap(
        whole, map_x.astype(np.float32), map_y.astype(np.float32), cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
    )
    out[seen] = base[seen]
    return finished(scene, out)


def _seen_from(disc: Disc, centre: tuple[float, float]) -> np.ndarray:
    """The disc's radius by angle as `Disc.radius`, but from another centre (y, x) within it."""
    angles = np.deg2rad(np.arange(len(disc.radius)) + 0.5)
    x = disc.centre[1] + disc.radius * np.cos(angles) - centre[1]
    y = disc.centre[0] + disc.radius * np.sin(angles) - centre[0]
    around = np.arctan2(y, x) % (2 * np.pi)
    return np.interp(angles, around[order := np.argsort(around)], np.hypot(x, y)[order], period=2 * np.pi)


def _box(disc: Disc, frame: tuple[int, int], factor: float) -> tuple[int, int, int, int]:
    reach = float(disc.radius.max()) * factor + 2
    y, x = disc.centre
    y0, x0 = max(int(y - reach), 0), max(int(x - reach), 0)
    y1, x1 = min(int(y + reach) + 1, frame[0]), min(int(x + reach) + 1, frame[1])
    if y1 <= y0 or x1 <= x0:
        raise NotApplicable("no pupil of which enough is visible")
    return y0, x0, y1, x1


def deform(scene: Scene, field: np.ndarray) -> np.ndarray:
    """The label map [H, W] whose anatomy is taken from elsewhere: `field` float32 [h, w, 2], (dy, dx) in pixels.

    A coarse field is interpolated to the frame. Positive dx shows at x what lay at x + dx.
    """
    h, w = scene.frame
    dy, dx = (cv2.resize(np.ascontiguousarray(field[..., k]), (w, h), interpolation=cv2.INTER_CUBIC) for k in (0, 1))
    dx += np.arange(w, dtype=np.float32)
    dy += np.arange(h, dtype=np.float32)[:, None]
    return finished(scene, cv2.remap(scene.bare, dx, dy, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE))


def finished(scene: Scene, base: np.ndarray) -> np.ndarray:
    """`base` [H, W], a changed `scene.bare`, with the instruments on it and ignored pixels where they were.

    Raises Rejected when too little of the eye is left.
    """
    out = keep_ignored(scene, base)
    if out is scene.bare or out is base:
        out = base.copy()
    for thing in scene.objects:
        y0, x0, y1, x1 = thing.box
        out[y0:y1, x0:x1][thing.mask] = thing.ids[thing.mask]
    before, after = scene.counts, count_ids(out)
    for disc in scene.discs:
        ids = list(disc.class_ids)
        if after[ids].sum() < _VISIBLE * before[ids].sum():
            raise Rejected("too little of the eye visible")
    return out
