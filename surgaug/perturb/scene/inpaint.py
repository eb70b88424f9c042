"""What a map does not show: the anatomy below an object, an object behind another, what lies beyond the frame.

`fill`: below an object. Inside the discs of the eye that is known (`perturb/scene/eye_discs.py`). Elsewhere every
class around the hole spreads into it as heat does (Laplace's equation for each class's share, insulated at the frame),
and the largest share wins. So an edge that enters the hole on one side and leaves it on the other is joined by a smooth
line, where the nearest label would follow the hole's middle.

`bridge`: a thin object that goes on behind another is joined. `surroundings`: what is needed to continue the classes
around the eye beyond the frame.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from surgaug.perturb import NotApplicable, Rejected
from surgaug.perturb.scene.eye_discs import Disc

_MARGIN = 6
_THIN = 3.0  # pixels from the hole's rim to its middle: below, the nearest label is as good
_GRID = 6  # half width of a hole, in cells of the grid on which the heat spreads
_SWEEPS = 30
_STRAIGHT = 0.6  # cosine of the angle by which a part may point past the other
_REACH = 12.0  # pixels from the place of contact in which a part's direction is seen, or twice its width
_WIDE = 5  # pixels of contact from which widths are compared
_ALIKE = 3.0  # times the width of the other part
CELL = 6  # pixels of the grid on which `surroundings` measures distances


def fill(
    label_map: np.ndarray,
    hole: np.ndarray,
    origin: tuple[int, int],
    sources: np.ndarray,
    discs: Sequence[Disc],
) -> np.ndarray:
    """The class ids [h, w] of the box at `origin` (y, x) with the hole filled; `label_map` [H, W] stays as it is.

    hole: bool [h, w]. sources: bool [max id + 1], which ids may spread. discs: inner to outer; their classes do not
    spread beyond them. Raises NotApplicable where nothing is left to fill the hole with.
    """
    y, x = origin
    h, w = hole.shape
    out = label_map[y : y + h, x : x + w].copy()
    rest = hole
    spreads = sources.copy()
    if discs:
        rest = hole.copy()
        rows, columns = np.nonzero(hole)
        free = np.ones(len(rows), bool)
        for disc in discs:
            inside = free & disc.contains(rows + y, columns + x)
            out[rows[inside], columns[inside]] = disc.class_ids[0]
            free &= ~inside
            spreads[list(disc.class_ids)] = False
        rest[rows[~free], columns[~free]] = False
    if rest.any():
        _spread(label_map, out, rest, origin, spreads, sources)
    return out


def _spread(
    label_map: np.ndarray,
    out: np.ndarray,
    hole: np.ndarray,
    origin: tuple[int, int],
    spreads: np.ndarray,
    sources: np.ndarray,
) -> None:
    """Fill `hole` of `out` in place from what surrounds it in `label_map`."""
    height, width = label_map.shape
    hx, hy, hw, hh = cv2.boundingRect(hole.view(np.uint8))
    y0, x0 = max(origin[0] + hy - _MARGIN, 0), max(origin[1] + hx - _MARGIN, 0)
    y1, x1 = min(origin[0] + hy + hh + _MARGIN, height), min(origin[1] + hx + hw + _MARGIN, width)
    around = label_map[y0:y1, x0:x1]
    inside = np.zeros(around.shape, bool)
    iy, ix = origin[0] + hy - y0, origin[1] + hx - x0
    inside[iy : iy + hh, ix : ix + hw] = hole[hy : hy + hh, hx : hx + hw]
    known = spreads[around] & ~inside
    if not known.any():
        known = sources[around] & ~inside
    if not known.any():
        out[hole] = _commonest(label_map, sources, hole, origin)
        return
    ids = np.flatnonzero(np.bincount(around[known]))
    if len(ids) == 1:
        out[hole] = ids[0]
        return
    out[hole] = _harmonic(around, known, inside)[iy : iy + hh, ix : ix + hw][hole[hy : hy + hh, hx : hx + hw]]


def _commonest(label_map: np.ndarray, sources: np.ndarray, hole: np.ndarray, origin: tuple[int, int]) -> int:
    usable = sources[label_map]
    usable[origin[0] : origin[0] + hole.shape[0], origin[1] : origin[1] + hole.shape[1]] &= ~hole
    counts = np.bincount(label_map[usable])
    if not counts.any():
        raise NotApplicable("nothing but the object to fill its place with")
    return int(counts.argmax())


def _harmonic(around: np.ndarray, known: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Ids [h, w]: the nearest known one, and in the hole, where classes meet, the one with the largest share."""
    nearest, distance = nearest_ids(around, known)
    meet = np.zeros(hole.shape, bool)
    meet[1:] |= nearest[1:] != nearest[:-1]
    meet[:, 1:] |= nearest[:, 1:] != nearest[:, :-1]
    meet &= hole
    reach = float(distance[meet].max()) if meet.any() else 0.0
    if reach <= _THIN:
        return nearest
    x, y, w, h = cv2.boundingRect(meet.view(np.uint8))
    margin = int(np.ceil(2 * reach))
    part = np.s_[max(y - margin, 0) : y + h + margin, max(x - margin, 0) : x + w + margin]
    nearest[part] = _shares(nearest[part], known[part], max(1.0, reach / _GRID))
    return nearest


def nearest_ids(ids: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At each place of `ids` [h, w] the nearest of those that are `known` (bool [h, w]), and how far away it is,
    float32 [h, w]."""
    distance, labels = cv2.distanceTransformWithLabels(
        (~known).view(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    seeds = np.zeros(labels.max() + 1, ids.dtype)
    seeds[labels[known]] = ids[known]
    return seeds[labels], distance


def _shares(nearest: np.ndarray, known: np.ndarray, step: float) -> np.ndarray:
    """Ids [h, w] by the largest share, after the shares have spread from `known` on a grid of `step` pixels."""
    h, w = nearest.shape
    ids = np.flatnonzero(np.bincount(nearest.ravel()))
    size = (max(2, round(w / step)), max(2, round(h / step)))
    weight = cv2.resize(known.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    free = (weight <= 0.3).astype(np.float32)
    start, held = [], []
    for class_id in ids:
        own = nearest == class_id
        start.append(cv2.resize(own.astype(np.float32), size, interpolation=cv2.INTER_AREA))
        share = cv2.resize((own & known).astype(np.float32), size, interpolation=cv2.INTER_AREA)
        held.append(share / np.maximum(weight, 1e-6) * (1 - free))
    winner, best = np.zeros((h, w), np.uint16), np.full((h, w), -1, np.float32)
    for class_id, field, fixed in zip(ids, start, held, strict=True):
        for _ in range(_SWEEPS):
            field = cv2.add(cv2.multiply(cv2.blur(field, (3, 3), borderType=cv2.BORDER_REPLICATE), free), fixed)
        share = cv2.resize(field, (w, h), interpolation=cv2.INTER_LINEAR)
        winner[share > best] = class_id
        best = np.maximum(best, share)
    return winner.astype(nearest.dtype)


def bridge(own: np.ndarray, over: np.ndarray) -> np.ndarray:
    """bool [h, w]: pixels of `over` where the object `own` goes on behind it. Both bool [h, w].

    Two places where `own` meets `over` are joined by a straight band if what lies behind each points at the other and
    the line between them lies within `over`.
    """
    found = np.zeros(own.shape, np.uint8)
    contact = own & cv2.dilate(over.view(np.uint8), np.ones((3, 3), np.uint8)).view(bool)
    if not contact.any():
        return found.view(bool)
    count, _, stats, centres = cv2.connectedComponentsWithStats(contact.view(np.uint8), connectivity=8)
    widths = stats[:, cv2.CC_STAT_AREA]
    points = np.argwhere(own)
    directions = [_direction_out(points, centres[i][::-1], float(widths[i])) for i in range(1, count)]
    for i in range(1, count):
        for j in range(i + 1, count):
            if (
                _face(centres[i][::-1], directions[i - 1], centres[j][::-1], directions[j - 1])
                and _alike(widths[i], widths[j])
                and _within(centres[i], centres[j], own | over)
            ):
                _band(found, centres[i], centres[j], float(min(widths[i], widths[j])))
    return found.view(bool) & over


def _direction_out(points: np.ndarray, at: np.ndarray, width: float) -> np.ndarray:
    """The direction (dy, dx) in which the part behind the place of contact `at` points."""
    near = points[((points - at) ** 2).sum(1) <= max(_REACH, 2 * width) ** 2]
    out = at - near.mean(0)
    return out / max(float(np.hypot(*out)), 1e-9)


def _face(a: np.ndarray, toward_b: np.ndarray, b: np.ndarray, toward_a: np.ndarray) -> bool:
    between = (b - a) / max(float(np.hypot(*(b - a))), 1e-9)
    return float(toward_b @ between) > _STRAIGHT and float(toward_a @ -between) > _STRAIGHT


def _alike(a: int, b: int) -> bool:
    return max(a, b) < _WIDE or max(a, b) <= _ALIKE * min(a, b)


def _band(canvas: np.ndarray, a: np.ndarray, b: np.ndarray, width: float) -> None:
    """Draw ones from a to b (x, y), `width` pixels across, a little longer than their distance."""
    along = (b - a) / max(float(np.hypot(*(b - a))), 1e-9)
    across = np.array([-along[1], along[0]]) * (width - 1) / 2
    corners = np.array([a - along - across, b + along - across, b + along + across, a - along + across])
    cv2.fillConvexPoly(canvas, np.round(corners * 16).astype(np.int32), 1, shift=4)


def _within(a: np.ndarray, b: np.ndarray, area: np.ndarray) -> bool:
    steps = np.linspace(0, 1, 32)[:, None]
    x, y = np.round(a + steps * (b - a)).astype(int).T
    return bool(area[y, x].mean() > 0.9)


def surroundings(label_map: np.ndarray, usable: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """The ids at the border of a map [H, W], and of each the signed distance from its edge, float32 on a grid of `CELL`
    pixels, in cells, positive inside.

    usable: bool by id, which classes count; where none of them is at the border, all that the map has. Raises Rejected
    where it has none.
    """
    h, w = label_map.shape
    small = cv2.resize(label_map, (max(1, w // CELL), max(1, h // CELL)), interpolation=cv2.INTER_NEAREST)
    rim = np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]])
    ids = np.unique(rim[usable[rim]]) if usable[rim].any() else np.unique(small[usable[small]])
    if not len(ids):
        raise Rejected("nothing around the eye to continue it with")
    own = [(small == class_id).view(np.uint8) for class_id in ids]
    return ids, [cv2.distanceTransform(o, cv2.DIST_L2, 5) - cv2.distanceTransform(1 - o, cv2.DIST_L2, 5) for o in own]
