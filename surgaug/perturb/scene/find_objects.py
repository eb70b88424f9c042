"""The objects in a label map that can be moved, found whole; see `surgaug.perturb.scene.objects`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from surgaug.labels.class_roles import Roles, axis_lengths, lies_along, movable_in, shape_of
from surgaug.perturb.scene.class_tables import looked_up
from surgaug.perturb.scene.objects import MIN_PIXELS, Entry, SceneObject, long_axis

_GAP = 0.03  # of the frame's diagonal: parts of one class that lie nearer to each other are one object
_WIDE = 0.12  # of the frame's diagonal: the border along which an object may lie and still be one that came in
_COARSE = 4
_SAMPLED = 1000  # pixels from which a direction is told


def find_objects(label_map: np.ndarray, roles: Roles, ignore: int | None) -> tuple[SceneObject, ...]:
    """The movable objects of a label map [H, W], the same order for the same map."""
    if roles.known:
        return tuple(_of_classes(label_map, sorted(roles.movable), roles.handles, _known_kind))
    class_ids, any_shape = movable_in(label_map, ignore)
    found = _of_classes(label_map, class_ids, {}, _shape_of)
    return tuple(found if any_shape else (obj for obj in found if obj.kind == "instrument"))


def find_again(
    label_map: np.ndarray, before: np.ndarray, objects: Sequence[SceneObject], roles: Roles, bare: np.ndarray
) -> tuple[SceneObject, ...]:
    """The objects of a label map [H, W], of which `objects` were there in `before` [H, W]; `bare` [H, W] is without.

    Those that nothing came near are the same ones; the rest is looked at where something changed. What was no object
    does not become one, and an object remains one, wherever it was moved.
    """
    x, y, w, h = cv2.boundingRect(cv2.compare(label_map, before, cv2.CMP_NE))
    if not w:
        return tuple(objects)
    margin = int(np.ceil(_GAP * np.hypot(*label_map.shape))) + 1
    changed = (y - margin, x - margin, y + h + margin, x + w + margin)
    far = [obj for obj in objects if not _meet(obj.box, changed)]
    near = [obj.box for obj in objects if _meet(obj.box, changed)] + [(y, x, y + h, x + w)]
    y0, x0 = np.min(near, 0)[:2].tolist()
    y1, x1 = np.max(near, 0)[2:].tolist()
    box = (y0, x0, y1, x1)
    found = _of_classes(label_map, sorted(roles.movable), roles.handles, lambda obj: obj.kind, box, far, bare)
    return tuple(sorted([*far, *found], key=lambda obj: (roles.handles.get(i := obj.class_ids[0], i), obj.box)))


def _meet(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _shape_of(obj: SceneObject) -> str:
    return shape_of(obj.mask, obj.at_border)


def _known_kind(obj: SceneObject) -> str | None:
    """Of what is known to be an instrument; None for one that lies along the frame's border and frames the picture, as
    a laryngoscope's blade: nobody knows its shape beyond, so that it stays where it is, and is no object."""
    wide = obj.at_border > _WIDE * np.hypot(*obj.frame)
    return None if wide and lies_along(axis_lengths(obj.mask)[0], obj.at_border) else "instrument"


def _of_classes(
    label_map: np.ndarray,
    class_ids: list[int],
    handles: dict[int, int],
    kind_of: Callable[[SceneObject], str | None],
    box: tuple[int, int, int, int] | None = None,
    known: Sequence[SceneObject] = (),
    bare: np.ndarray | None = None,
) -> list[SceneObject]:
    """The objects of these classes; in `box`, if given, where `known` ones and what is in `bare` are left out."""
    table = np.zeros(int(np.iinfo(label_map.dtype).max) + 1, np.uint16)
    for class_id in class_ids:
        table[class_id] = handles.get(class_id, class_id) + 1
    top, left, bottom, right = box or (0, 0, *label_map.shape)
    part = label_map[top:bottom, left:right]
    owners = looked_up(table, part)
    if bare is not None:
        owners[part == bare[top:bottom, left:right]] = 0
    for obj in known:
        y0, x0 = max(obj.box[0], top), max(obj.box[1], left)
        y1, x1 = min(obj.box[2], bottom), min(obj.box[3], right)
        if y0 < y1 and x0 < x1:
            own = obj.mask[y0 - obj.box[0] : y1 - obj.box[0], x0 - obj.box[1] : x1 - obj.box[1]]
            owners[y0 - top : y1 - top, x0 - left : x1 - left][own] = 0
    x, y, w, h = cv2.boundingRect((owners > 0).view(np.uint8))
    if not w:
        return []
    owners = owners[y : y + h, x : x + w]
    y, x = y + top, x + left
    present = np.flatnonzero(np.bincount(owners.ravel()))
    found = []
    for owner in present[present > 0]:
        found += _split((owners == owner).view(np.uint8), (y, x), label_map, kind_of)
    return found


def _split(
    mask: np.ndarray,
    offset: tuple[int, int],
    label_map: np.ndarray,
    kind_of: Callable[[SceneObject], str | None],
) -> list[SceneObject]:
    """The objects in a mask of one class (and its handle's): connected parts, joined where they lie near each other."""
    frame = label_map.shape
    x, y, w, h = cv2.boundingRect(mask)
    part = mask[y : y + h, x : x + w]
    offset = (offset[0] + y, offset[1] + x)
    gap = _GAP * np.hypot(*frame)
    step = _COARSE if min(w, h) >= 2 * _COARSE else 1
    near = part if step == 1 else cv2.resize(part * 255, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA)
    size = 2 * int(np.ceil(gap / 2 / step)) + 1
    count, groups = cv2.connectedComponents(cv2.dilate((near > 0).view(np.uint8), np.ones((size, size), np.uint8)))
    if count > 2:
        groups = cv2.resize(groups.astype(np.uint16), (w, h), interpolation=cv2.INTER_NEAREST)
    found = []
    for group in range(1, count):
        own = part if count == 2 else part * (groups == group).view(np.uint8)
        gx, gy, gw, gh = cv2.boundingRect(own)
        own = own[gy : gy + gh, gx : gx + gw].astype(bool)
        if np.count_nonzero(own) < MIN_PIXELS:
            continue
        y0, x0 = offset[0] + gy, offset[1] + gx
        box = (y0, x0, y0 + gh, x0 + gw)
        ids = np.where(own, label_map[y0 : y0 + gh, x0 : x0 + gw], 0)
        obj = SceneObject(frame, box, ids, own, "instrument", _entries(own, box, frame))
        if kind := kind_of(obj):
            found.append(obj if kind == obj.kind else SceneObject(frame, box, ids, own, kind, obj.entries))
    return found


def _entries(mask: np.ndarray, box: tuple[int, int, int, int], frame: tuple[int, int]) -> tuple[Entry, ...]:
    """The runs of border pixels of an object, round the corners of the frame, and the direction out of each."""
    height, width = frame
    y0, x0, y1, x1 = box
    points = []
    if y0 == 0:
        points += [(0, x0 + c, -1.0, 0.0) for c in np.flatnonzero(mask[0])]
    if x1 == width:
        points += [(y0 + r, width - 1, 0.0, 1.0) for r in np.flatnonzero(mask[:, -1])]
    if y1 == height:
        points += [(height - 1, x0 + c, 1.0, 0.0) for c in np.flatnonzero(mask[-1])[::-1]]
    if x0 == 0:
        points += [(y0 + r, 0, 0.0, -1.0) for r in np.flatnonzero(mask[:, 0])[::-1]]
    if not points:
        return ()
    border = np.array(points)
    broken = np.abs(np.diff(border[:, :2], axis=0)).max(1) > 2
    runs = np.split(border, np.flatnonzero(broken) + 1)
    if len(runs) > 1 and np.abs(runs[0][0, :2] - runs[-1][-1, :2]).max() <= 2:
        runs[0] = np.concatenate([runs.pop(), runs[0]])
    return tuple(_entry(run, mask, (y0, x0)) for run in runs)


def _entry(run: np.ndarray, mask: np.ndarray, origin: tuple[int, int]) -> Entry:
    point, out = run[:, :2].mean(0), run[:, 2:].mean(0)
    out = out / np.hypot(*out) if np.hypot(*out) > 1e-6 else run[0, 2:]
    reach = max(3.0 * len(run), 24.0)
    low = np.maximum(np.floor(point - origin - reach).astype(int), 0)
    high = np.ceil(point - origin + reach).astype(int) + 1
    part = mask[low[0] : high[0], low[1] : high[1]].view(np.uint8)
    _, labels = cv2.connectedComponents(part, connectivity=8)
    first = run[0, :2].astype(int) - origin - low
    near = np.argwhere(labels == labels[first[0], first[1]]) + low + origin
    near = near[((near - point) ** 2).sum(1) < reach**2].astype(float)
    near = near[:: -(-len(near) // _SAMPLED)]
    axis, elongation = long_axis(near)
    inward = near.mean(0) - point
    # What is round near the border has no axis to trust: its direction is that from its middle to the border.
    if elongation < 2.0:
        axis = -inward / max(float(np.hypot(*inward)), 1e-9) if np.hypot(*inward) > 1 else out
    elif axis @ (inward if abs(axis @ out) < 0.1 else -out) > 0:
        axis = -axis
    lean = float(axis @ out)
    if lean < 0.3:
        side = axis - lean * out
        side = side / max(np.hypot(*side), 1e-9) * np.sqrt(1 - 0.09)
        axis = 0.3 * out + side
    sides = np.unique(run[:, 2:], axis=0)
    side = sides[np.argmax(sides @ axis)]
    return Entry(
        (float(point[0]), float(point[1])),
        len(run),
        (float(axis[0]), float(axis[1])),
        (float(side[0]), float(side[1])),
        run[:, :2].astype(int),
    )
