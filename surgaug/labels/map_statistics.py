"""What label maps hold, counted by class: in how many frames, how many pixels, and which classes touch which.

A model file keeps the counts of its training frames (`meta["statistics"]`), so that label maps without a class file can
be held against them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from surgaug.labels.label_space import IGNORE_INDEX, LabelSpace

LOOKED_AT = 48  # maps whose touching classes are counted; more tell little more
_LONGEST = 240  # pixels of the longer side that are looked at; every third or fourth pixel tells the same
_TOUCH = 2  # pairs of neighbouring pixels from which two classes touch


@dataclass(frozen=True, eq=False)
class MapStatistics:
    """Counts over `frames` label maps, by class index.

    presence: int64 [K], frames that show the class. pixels: int64 [K]. touching: float64 [K, K], of the frames that
    show the rarer of two classes, the share in which they touch; NaN where unknown. groups: videos; 1 where
    none is known.
    """

    frames: int
    presence: np.ndarray
    pixels: np.ndarray
    touching: np.ndarray
    groups: int

    @classmethod
    def from_dict(cls, counts: Mapping[str, Any], num_classes: int) -> MapStatistics | None:
        """Those of a model file; None where it has none (or others)."""
        try:
            frames = int(counts["frames"])
            presence, pixels = (np.asarray(counts[key], np.int64) for key in ("presence", "pixels"))
        except (KeyError, TypeError, ValueError):
            return None
        if frames < 1 or presence.shape != (num_classes,) or pixels.shape != (num_classes,) or not pixels.sum():
            return None
        touching = np.full((num_classes, num_classes), np.nan)
        given = np.asarray(counts.get("touching", ()), np.float64)
        if given.shape == touching.shape:
            rarer = np.minimum.outer(presence, presence)
            touching[rarer > 0] = (given / np.maximum(rarer, 1))[rarer > 0]
        return cls(frames, presence, pixels, touching, int(counts.get("videos", 1)))

    @property
    def shares(self) -> np.ndarray:
        """Of all labelled pixels, float64 [K]."""
        return self.pixels / max(int(self.pixels.sum()), 1)


def count_touching(label_maps: Iterable[np.ndarray], space: LabelSpace) -> tuple[np.ndarray, np.ndarray]:
    """Over label maps of ids [H, W]: frames in which two classes touch, int64 [K, K], symmetric; and frames that show
    each class, int64 [K]."""
    k = space.num_classes
    touching, presence = np.zeros((k, k), np.int64), np.zeros(k, np.int64)
    for label_map in label_maps:
        step = -(-max(label_map.shape) // _LONGEST)
        index = space.index_table[label_map[::step, ::step]]
        presence[[i for i in np.unique(index) if i != IGNORE_INDEX]] += 1
        touching += _neighbours(index)[:k, :k] >= _TOUCH
    return touching, presence


def _neighbours(index: np.ndarray) -> np.ndarray:
    """int64 [256, 256]: pairs of neighbouring pixels of two different classes, symmetric, 0 on the diagonal."""
    pairs = np.zeros(256 * 256, np.int64)
    for a, b in ((index[:, :-1], index[:, 1:]), (index[:-1], index[1:])):
        differ = a != b
        pairs += np.bincount(a[differ].astype(np.int64) * 256 + b[differ], minlength=256 * 256)
    square = pairs.reshape(256, 256)
    return square + square.T
