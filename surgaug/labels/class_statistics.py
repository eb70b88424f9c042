"""What a set of label maps shows, class by class: in how many maps, on how many pixels, and which classes touch.

It is stored in every model file, so that what a model never saw, or ids that cannot be its own, can be told later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np

from surgaug.labels.label_space import LabelSpace

LONGEST = 240  # pixels of the longer side that are looked at; every third or fourth pixel tells the same
TOUCH = 2  # pairs of neighbouring pixels from which two classes touch
_DIGITS = 4


@dataclass(frozen=True)
class ClassStatistics:
    """By class id, over `frames` label maps.

    presence: maps that show the class, 0 for a class that none shows. pixels: its share of the labelled pixels.
    touching: (a, b), a < b, to the number of maps in which the two classes touch.
    """

    frames: int = 0
    presence: Mapping[int, int] = field(default_factory=dict)
    pixels: Mapping[int, float] = field(default_factory=dict)
    touching: Mapping[tuple[int, int], int] = field(default_factory=dict)

    @property
    def unseen(self) -> tuple[int, ...]:
        """Ids of classes that no map shows."""
        return tuple(i for i, n in self.presence.items() if n == 0)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types: {"frames", "presence": {id: maps}, "pixels": {id: share}, "touching": [[a, b, maps]]}."""
        return {
            "frames": self.frames,
            "presence": {str(i): n for i, n in self.presence.items()},
            "pixels": {str(i): float(f"{share:.{_DIGITS}g}") for i, share in self.pixels.items()},
            "touching": [[a, b, n] for (a, b), n in self.touching.items()],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], ids: Sequence[int]) -> ClassStatistics:
        """The inverse of `to_dict`; also of version 0.1's lists in the order of the class `ids`."""
        presence, pixels = data.get("presence", {}), data.get("pixels", {})
        if isinstance(presence, list):
            total = max(1, sum(pixels))
            presence = dict(zip(ids, presence, strict=True))
            pixels = {i: n / total for i, n in zip(ids, pixels, strict=True)}
        return cls(
            int(data.get("frames", 0)),
            {int(i): int(n) for i, n in presence.items()},
            {int(i): float(share) for i, share in pixels.items()},
            {(int(a), int(b)): int(n) for a, b, n in data.get("touching", [])},
        )


def statistics_of(
    ids: Sequence[int], presence: np.ndarray, pixels: np.ndarray, contacts: Sequence[Iterable[tuple[int, int]]]
) -> ClassStatistics:
    """From counts in the order of the class `ids`: presence bool [N, K], pixels int [K], and the classes (ids) that
    touch in some of the maps, a collection of pairs for each. Numbers of maps that touch are scaled up to all N.
    """
    frames, counted = len(presence), max(1, len(contacts))
    found = Counter(chain.from_iterable(contacts))
    touching = {pair: max(1, round(n * frames / counted)) for pair, n in sorted(found.items())}
    total = max(1, int(pixels.sum()))
    return ClassStatistics(
        frames,
        dict(zip(ids, presence.sum(axis=0).tolist(), strict=True)),
        {i: n / total for i, n in zip(ids, pixels.tolist(), strict=True)},
        touching,
    )


def touching_classes(label_map: np.ndarray, space: LabelSpace) -> list[tuple[int, int]]:
    """Pairs (a, b) of class ids, a < b, that touch in a label map of ids [H, W]."""
    k, ids = space.num_classes, space.ids
    index = np.minimum(space.index_table, np.uint8(k))[reduced(label_map)]
    touching = borders(index, k + 1)[:k, :k] >= TOUCH
    return [(min(ids[a], ids[b]), max(ids[a], ids[b])) for a, b in np.argwhere(np.triu(touching, 1)).tolist()]


def reduced(label_map: np.ndarray) -> np.ndarray:
    """Every second, third, ... pixel of a label map, so that its longer side has at most `LONGEST`."""
    step = -(-max(label_map.shape) // LONGEST)
    return np.ascontiguousarray(label_map[::step, ::step])


def borders(index: np.ndarray, k: int) -> np.ndarray:
    """Pairs of neighbouring pixels that differ, by their values: int64 [k, k], symmetric, zero on the diagonal.

    index: contiguous, values from 0 to k - 1, [H, W].
    """
    flat, width = index.ravel(), index.shape[1]
    pairs = np.zeros(k * k, np.int64)
    for step in (1, width):
        differ = flat[:-step] != flat[step:]
        if step == 1:  # the end of a row and the beginning of the next are no neighbours
            differ[width - 1 :: width] = False
        at = np.flatnonzero(differ)
        pairs += np.bincount(flat[at].astype(np.int64) * k + flat[at + step], minlength=k * k)
    square = pairs.reshape(k, k)
    return square + square.T
