"""What each class id means to the operations, as tables by id, which a whole map is looked up in at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from surgaug.labels.class_roles import roles
from surgaug.labels.label_space import LabelSpace

NOTHING_ABOVE = 1 << 14


@dataclass(frozen=True, eq=False)
class Tables:
    """By id, of every id that the maps' type can hold.

    instruments: bool, fastened ones as well, and whatever else can be moved. depths: int16, what has more lies above
    (the ranks of the label space's depths); ignored pixels above everything. sources: bool, classes that may spread
    into a hole, which are neither objects nor ignored. covers: bool, what can lie above the eye's discs, or is not
    known. stiff: bool, what does not yield when the anatomy is deformed: instruments, and what lies above them, such as
    a hand.
    """

    instruments: np.ndarray
    depths: np.ndarray
    sources: np.ndarray
    covers: np.ndarray
    stiff: np.ndarray


@lru_cache(maxsize=64)
def tables(space: LabelSpace, dtype: np.dtype, objects: frozenset[int] = frozenset()) -> Tables:
    """Of `space`, for maps of `dtype`. objects: ids that are known to be objects from a map alone."""
    size, known = int(np.iinfo(dtype).max) + 1, roles(space)
    instruments, sources, covers = (np.zeros(size, bool) for _ in range(3))
    instruments[sorted(known.instruments | objects)] = True
    depths = np.zeros(size, np.int16)
    ranks = {depth: rank for rank, depth in enumerate(sorted({c.depth for c in space.classes}))}
    depths[list(space.ids)] = [ranks[c.depth] for c in space.classes]
    discs = {i for level in known.discs for i in level}
    deepest = max((depths[i] for i in discs), default=ranks.get(0, -1))
    covers[[i for i in space.ids if i not in discs and depths[i] > deepest]] = True
    covers[sorted(known.instruments)] = True
    sources[list(space.ids)] = True
    sources &= ~instruments
    stiff = instruments | (depths > min((depths[i] for i in known.movable), default=NOTHING_ABOVE))
    if space.ignore is not None:
        depths[space.ignore] = NOTHING_ABOVE
        sources[space.ignore] = stiff[space.ignore] = False
        covers[space.ignore] = True
    return Tables(instruments, depths, sources, covers, stiff)


def holds(table: np.ndarray, label_map: np.ndarray) -> np.ndarray:
    """`table[label_map]`, bool [H, W], for a table bool by id."""
    return looked_up(table.view(np.uint8), label_map).view(bool)


def looked_up(table: np.ndarray, label_map: np.ndarray) -> np.ndarray:
    """`table[label_map]`, [H, W], for a table uint8 or uint16 by id; several times faster where ids are bytes."""
    if label_map.dtype != np.uint8:
        return table[label_map]
    every = np.zeros(256, table.dtype)
    every[: len(table)] = table
    return cv2.LUT(label_map, every[None])
