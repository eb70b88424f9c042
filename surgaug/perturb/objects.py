"""The things in a label map that can be moved, found as whole objects: a tip with its handle, both arms of a forceps.

Positions are (y, x) in pixels of the frame, directions unit vectors (dy, dx). Boxes are (y0, x0, y1, x1), end excluded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from surgaug.perturb.roles import Roles

MIN_PIXELS = 12  # fewer are a slip of the annotator's hand
_GAP = 0.03  # of the frame's diagonal: parts of one class that lie nearer to each other are one object
_COARSE = 4
_SAMPLED = 1000  # pixels from which a direction is told
_BACKGROUND_SHARE = 0.2  # a class of an unknown label space is background from this share of the frame's rim
_THIN = 3.0  # length to width, from which something at the border is taken for an instrument where nothing is known


@dataclass(frozen=True)
class Entry:
    """Where an object comes into the frame: the middle of its border pixels, their number, and the way out."""

    point: tuple[float, float]
    length: int
    direction: tuple[float, float]


@dataclass(frozen=True)
class SceneObject:
    """One object. `ids`: [h, w] class ids inside `box`; `mask`: bool [h, w], true where the object is.

    kind: "instrument" goes on beyond the frame where it is cut; "blob" is closed there (a polyp, say). frame: (H, W).
    """

    frame: tuple[int, int]
    box: tuple[int, int, int, int]
    ids: np.ndarray
    mask: np.ndarray
    kind: str
    entries: tuple[Entry, ...]

    @cached_property
    def class_ids(self) -> tuple[int, ...]:
        return tuple(int(i) for i in np.unique(self.ids[self.mask]))

    @cached_property
    def area(self) -> int:
        return int(np.count_nonzero(self.mask))

    @cached_property
    def _points(self) -> np.ndarray:
        return np.argwhere(self.mask) + np.array(self.box[:2])

    @cached_property
    def centre(self) -> tuple[float, float]:
        y, x = self._points.mean(0)
        return float(y), float(x)

    @property
    def entry(self) -> Entry | None:
        """The widest entry, None for an object that lies free in the frame."""
        return max(self.entries, key=lambda e: e.length, default=None)

    @cached_property
    def tip(self) -> tuple[float, float]:
        """The pixel farthest from the entry; for a free object the end of its long axis that is nearer to (0, 0)."""
        start = self.entry.point if self.entry else (1e6, 1e6)
        far = self._points[np.argmax(((self._points - start) ** 2).sum(1))]
        return float(far[0]), float(far[1])

    @cached_property
    def axis(self) -> tuple[float, float]:
        """The way from the entry to the tip; for a free object its long axis."""
        if self.entry:
            dy, dx = self.tip[0] - self.entry.point[0], self.tip[1] - self.entry.point[1]
            norm = float(np.hypot(dy, dx))
            return (dy / norm, dx / norm) if norm > 0 else (-self.entry.direction[0], -self.entry.direction[1])
        dy, dx = _long_axis(self._points)[0]
        return float(dy), float(dx)

    @cached_property
    def length(self) -> float:
        """From the entry to the tip, or along the long axis."""
        along = self._points @ np.array(self.axis)
        return float(along.max() - along.min() + 1)

    @cached_property
    def stray(self) -> int:
        """Pixels of its parts that do not reach the frame's border."""
        return sum(int(np.count_nonzero(part)) for part in stray_parts(self.mask, self.box, self.frame))

    @property
    def width(self) -> float:
        """Mean extent across the axis."""
        return self.area / self.length


def stray_parts(mask: np.ndarray, box: tuple[int, int, int, int], frame: tuple[int, int]) -> list[np.ndarray]:
    """bool [h, w] of every connected part of a mask in `box` that does not reach the border of the frame (H, W)."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    stray = []
    for part in range(1, count):
        x, y, w, h, _ = stats[part]
        if min(box[0] + y, box[1] + x) > 0 and box[0] + y + h < frame[0] and box[1] + x + w < frame[1]:
            stray.append(parts == part)
    return stray


def find_objects(label_map: np.ndarray, roles: Roles, ignore: int | None) -> tuple[SceneObject, ...]:
    """The movable objects of a label map [H, W], the same order for the same map."""
    if roles.known:
        return tuple(_of_classes(label_map, sorted(roles.movable), roles.handles, None))
    return tuple(_of_unknown(label_map, ignore))


def _of_unknown(label_map: np.ndarray, ignore: int | None) -> list[SceneObject]:
    """Objects where the label space tells nothing: what is not background.

    With one foreground class everything of it may move; with more, only what is thin and comes in from the border.
    """
    rim = _perimeter(label_map)
    present, counts = np.unique(label_map[label_map != ignore] if ignore is not None else label_map, return_counts=True)
    if len(present) < 2:
        return []
    on_rim = {int(i): float(np.mean(rim == i)) for i in present}
    background = int(max(zip(present, counts, strict=True), key=lambda p: p[1] * (on_rim[int(p[0])] + 1e-3))[0])
    foreground = [int(i) for i in present if i != background]
    if len(foreground) == 1:
        return _of_classes(label_map, foreground, {}, _kind_by_shape)
    candidates = [i for i in foreground if on_rim[i] < _BACKGROUND_SHARE]
    found = _of_classes(label_map, candidates, {}, _kind_by_shape)
    return [thing for thing in found if thing.kind == "instrument"]


def _kind_by_shape(thing: SceneObject) -> str:
    return "instrument" if thing.entries and thing.length > _THIN * thing.width else "blob"


def _of_classes(label_map: np.ndarray, class_ids: list[int], handles: dict[int, int], kind_of) -> list[SceneObject]:
    table = np.zeros(int(np.iinfo(label_map.dtype).max) + 1, np.uint16)
    for class_id in class_ids:
        table[class_id] = handles.get(class_id, class_id) + 1
    owners = table[label_map] if label_map.dtype != np.uint8 else cv2.LUT(label_map, table[None, :256])
    x, y, w, h = cv2.boundingRect((owners > 0).view(np.uint8))
    if not w:
        return []
    owners = owners[y : y + h, x : x + w]
    present = np.flatnonzero(np.bincount(owners.ravel()))
    found = []
    for owner in present[present > 0]:
        found += _split((owners == owner).view(np.uint8), (y, x), label_map, kind_of)
    return found


def _split(mask: np.ndarray, offset: tuple[int, int], label_map: np.ndarray, kind_of) -> list[SceneObject]:
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
        thing = SceneObject(frame, box, ids, own, "instrument", _entries(own, box, frame))
        if kind_of is not None and kind_of(thing) != thing.kind:
            thing = SceneObject(frame, box, ids, own, kind_of(thing), thing.entries)
        found.append(thing)
    return found


def _perimeter(array: np.ndarray) -> np.ndarray:
    """The border pixels of [H, W] in clockwise order from the top left, each once."""
    if min(array.shape) == 1:
        return array.ravel()
    return np.concatenate([array[0], array[1:, -1], array[-1, -2::-1], array[-2:0:-1, 0]])


def _entries(mask: np.ndarray, box: tuple[int, int, int, int], frame: tuple[int, int]) -> tuple[Entry, ...]:
    """The runs of border pixels of an object, round the corners of the frame, and which way each goes out."""
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
    way, elongation = _long_axis(near)
    inward = near.mean(0) - point
    # What is round here has no axis that one could trust, so there the way is that to the middle of what is seen.
    if elongation < 2.0:
        way = -inward / max(float(np.hypot(*inward)), 1e-9) if np.hypot(*inward) > 1 else out
    elif way @ (inward if abs(way @ out) < 0.1 else -out) > 0:
        way = -way
    lean = float(way @ out)
    if lean < 0.3:
        side = way - lean * out
        side = side / max(np.hypot(*side), 1e-9) * np.sqrt(1 - 0.09)
        way = 0.3 * out + side
    return Entry((float(point[0]), float(point[1])), len(run), (float(way[0]), float(way[1])))


def _long_axis(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Unit vector (dy, dx) along float [N, 2] points, upward or leftward, and how much longer than wide they lie."""
    centred = points - points.mean(0)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    way = vectors[:, -1]
    ratio = float(np.sqrt(max(values[1], 0.0) / max(values[0], 1e-9)))
    return (way if tuple(way) < (0, 0) else -way), ratio
