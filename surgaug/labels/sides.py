"""Classes that name a side: what is left becomes right in a mirror image."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np

from surgaug.labels.label_space import IGNORE_INDEX, LabelSpace

_SIDE = re.compile(r"(?<![a-z])(left|right)(?![a-z])", re.IGNORECASE)


@lru_cache(maxsize=16)
def other_sides(space: LabelSpace) -> np.ndarray:
    """By class index, the index of the class on the other side, uint8 [256], read-only: "left eye" and "right eye", as
    far as names differ in that alone; of all others, and of pixels without label, their own."""
    by_name = {name.casefold(): k for k, name in enumerate(space.names)}
    table = np.arange(IGNORE_INDEX + 1, dtype=np.uint8)
    for k, name in enumerate(space.names):
        table[k] = by_name.get(_turned(name), k)
    table.flags.writeable = False
    return table


def exchanged(label_map: np.ndarray, space: LabelSpace) -> np.ndarray:
    """Ids [H, W] with those of left and right classes exchanged."""
    if not has_sides(space):
        return label_map
    ids = np.array(space.ids)
    table = np.arange(np.iinfo(label_map.dtype).max + 1, dtype=label_map.dtype)
    table[ids] = ids[other_sides(space)[: len(ids)]]
    return table[label_map]


def one_sided(space: LabelSpace) -> tuple[str, ...]:
    """The classes that name a side of which there is no other: a mirror image shows what has no class."""
    names = {name.casefold() for name in space.names}
    return tuple(name for name in space.names if _turned(name) not in names)


def has_sides(space: LabelSpace) -> bool:
    """Whether the name of a class says on which side it is."""
    return any(map(_SIDE.search, space.names))


def _turned(name: str) -> str:
    return _SIDE.sub(lambda side: "right" if side[0].lower() == "left" else "left", name).casefold()
