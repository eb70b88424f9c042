"""What comes to light when an object is taken away: the anatomy below it, continued.

Inside the discs of the eye that is known (`perturb/scene/eye_discs.py`). Elsewhere every class around the hole
spreads into it as heat does (Laplace's equation for each class's share, insulated at the frame), and the largest share
wins. So an edge that enters the hole on one side and leaves it on the other is joined by a smooth line, where the
nearest label would follow the hole's middle.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from surgaug.perturb.rejection import NotApplicable
from surgaug.perturb.scene.eye_discs import Disc

_MARGIN = 6
_THIN = 3.0  # pixels from the hole's rim to its middle: below, the nearest label is as good
_GRID = 6  # half width of a hole, in cells of the grid on which the heat spreads
_SWEEPS = 30


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
    distance, labels = cv2.distanceTransformWithLabels(
        (~known).view(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    seeds = np.zeros(labels.max() + 1, around.dtype)
    seeds[labels[known]] = around[known]
    nearest = seeds[labels]
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
