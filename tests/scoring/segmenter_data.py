"""Labelled frames that are quick to learn: a reddish rectangle (class 1) on bluish ground (class 0), with grain."""

from __future__ import annotations

import cv2
import numpy as np

from surgaug.labels.label_space import LabelClass, LabelSpace
from surgaug.segmenter.frames import LabelledFrames

SPACE = LabelSpace("two", (LabelClass(0, "ground"), LabelClass(3, "tool")), 255)
HW = (32, 48)


def scene(seed, number):
    """Image uint8 [32, 48, 3] and map of indices uint8 [32, 48]."""
    rng = np.random.default_rng([seed, number])
    index_map = np.zeros(HW, np.uint8)
    y, x = rng.integers(2, 18, 2)
    index_map[y : y + rng.integers(8, 13), x : x + rng.integers(10, 24)] = 1
    colours = np.where((index_map == 1)[..., None], [190, 70, 60], [80, 90, 150])
    return np.clip(colours + rng.normal(0, 20, (*HW, 3)), 0, 255).astype(np.uint8), index_map


def labelled(count, seed=0):
    """`count` frames, of which the first are those of a smaller `count`."""
    images, maps = zip(*(scene(seed, i) for i in range(count)), strict=True)
    names = tuple(f"{seed}_{i}" for i in range(count))
    return LabelledFrames(names, np.stack(images), np.stack(maps), names, (None,) * count, SPACE)


def write_set(root, count, seed, change=lambda image, label_map, i: (image, label_map)):
    """A data set of such frames on disk, ids as labels; `change` may spoil them."""
    for sub in ("images", "labels"):
        (root / sub).mkdir(parents=True)
    for i in range(count):
        image, label_map = change(*scene(seed, i), i)
        cv2.imwrite(str(root / "images" / f"{seed}_{i}.png"), image[..., ::-1])
        cv2.imwrite(str(root / "labels" / f"{seed}_{i}.png"), SPACE.to_ids(label_map))
    return root
