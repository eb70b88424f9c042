"""Label maps made wrong on purpose, in the ways that annotators and generators err: `spoil`."""

from __future__ import annotations

import cv2
import numpy as np

from surgaug.labels.label_space import IGNORE_INDEX

KINDS = ("moved", "swapped", "other")
FARTHEST, NEAREST = 0.4, 0.12  # of the frame's diagonal, that an instrument is moved
LEAST = 0.003  # of the frame's pixels that a class must have to be moved or swapped


def spoil(maps: np.ndarray, i: int, kind: str, tools: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Map i of `maps` uint8 [N, H, W] of indices, made wrong: uint8 [H, W].

    moved: an instrument stands elsewhere, and what lies around fills its place. swapped: the pixels of one class are
    called by the name of another that the set shows. other: the map of another frame. tools: bool [256], which indices
    are instruments. A frame without an instrument gets the map of another frame instead of a move.
    """
    index_map = maps[i]
    if kind == "moved":
        shown = _large(index_map, tools)
        if len(shown):
            return _moved(index_map, rng.choice(shown), tools, rng)
        kind = "other"
    if kind == "swapped":
        shown = _large(index_map, np.arange(256) != IGNORE_INDEX)
        one = rng.choice(shown)
        alike = np.flatnonzero(np.bincount(maps.ravel(), minlength=256)[:IGNORE_INDEX])
        others = [k for k in alike if k != one and tools[k] == tools[one]] or [k for k in alike if k != one]
        return np.where(index_map == one, np.uint8(rng.choice(others)), index_map)
    return maps[rng.choice([k for k in range(len(maps)) if (maps[k] != index_map).any()])]


def _large(index_map: np.ndarray, among: np.ndarray) -> np.ndarray:
    counts = np.bincount(index_map.ravel(), minlength=256)
    return np.flatnonzero((counts >= LEAST * index_map.size) & among)


def _moved(index_map: np.ndarray, tool: int, tools: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    own = index_map == tool
    _, nearest = cv2.distanceTransformWithLabels(
        tools[index_map].astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    around = np.zeros(int(nearest.max()) + 1, np.uint8)
    around[nearest[~tools[index_map]]] = index_map[~tools[index_map]]
    out = np.where(own, around[nearest], index_map)
    height, width = own.shape
    for _ in range(50):
        far = rng.uniform(NEAREST, FARTHEST) * np.hypot(height, width)
        angle = rng.uniform(0, 2 * np.pi)
        dy, dx = round(far * np.sin(angle)), round(far * np.cos(angle))
        y, x = np.nonzero(own)
        inside = (y + dy >= 0) & (y + dy < height) & (x + dx >= 0) & (x + dx < width)
        if inside.mean() >= 0.5:
            break
    out[y[inside] + dy, x[inside] + dx] = tool
    return out
