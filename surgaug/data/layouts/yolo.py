"""YOLO segmentation: images/SPLIT/NAME.png with labels/SPLIT/NAME.txt, an object a line, and data.yaml.

Format: docs.ultralytics.com/datasets/segment: class number, then x y of each corner from 0 to 1. A polygon cannot have
a hole, so a hole is joined to the outline by a cut of no width. Filled with their outlines (cv2.fillPoly) the polygons
give the maps pixel for pixel. The maps themselves lie under label_maps/SPLIT; class numbers leave out the background.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from surgaug.data.atomic import write_text
from surgaug.data.item import Frame, Item
from surgaug.data.label_space import LabelSpace
from surgaug.data.pairing import pair_folders
from surgaug.data.raster import read_raw
from surgaug.data.scan import in_threads
from surgaug.data.stored import BACKGROUND
from surgaug.data.stored import plain_values as values
from surgaug.errors import DataError
from surgaug.feedback import Silent

__all__ = ["finish", "matches", "paths", "read", "values"]

_SPLITS = ("train", "val", "test")
CONFIG = "data.yaml"


def matches(root: Path) -> bool:
    """Whether a data.yaml stands beside images/SPLIT and label_maps/SPLIT, as written here."""
    splits = (s for s in _SPLITS if (root / "images" / s).is_dir())
    return (root / CONFIG).is_file() and any((root / "label_maps" / s).is_dir() for s in splits)


def read(root: Path, *, split: str | None = None) -> list[Item]:
    """The items of every split, or of one, from the files under label_maps. Raises DataError: no such split."""
    found = []
    for name in (s for s in _SPLITS if split in (None, s)):
        images, labels = root / "images" / name, root / "label_maps" / name
        if images.is_dir() and labels.is_dir():
            found += [Item(stem, image, label, split=name) for stem, image, label in pair_folders(images, labels)]
    if not found:
        raise DataError(f"{root}: no split '{split}' under images and label_maps")
    return found


def paths(frame: Frame) -> tuple[str, str]:
    """images/SPLIT/NAME.png and label_maps/SPLIT/NAME.png."""
    split = frame.split or "train"
    return f"images/{split}/{frame.name}.png", f"label_maps/{split}/{frame.name}.png"


def finish(root: Path, frames: Sequence[Frame], space: LabelSpace) -> None:
    """labels/SPLIT/NAME.txt for each frame, and `data.yaml`."""
    classes = [c for c in space.classes if c.name.lower() != BACKGROUND]
    for split in {frame.split or "train" for frame in frames}:
        (root / "labels" / split).mkdir(parents=True, exist_ok=True)

    def write(frame: Frame) -> None:
        label_map = read_raw(root / paths(frame)[1]).values
        lines = [
            " ".join([str(k), *(f"{v:.6f}" for v in (polygon / label_map.shape[::-1]).ravel())])
            for k, c in enumerate(classes)
            for polygon in polygons(label_map == c.id)
        ]
        target = root / "labels" / (frame.split or "train") / f"{frame.name}.txt"
        write_text(target, "".join(f"{line}\n" for line in lines))

    for _ in in_threads(write, frames, Silent(), "polygons"):
        pass
    there = {frame.split or "train" for frame in frames}
    # Ultralytics wants both keys; a set of training frames alone points both at them, and says so.
    note = "" if "val" in there else "# no validation frames here: val points at the training frames\n"
    names = "".join(f"  {k}: {json.dumps(c.name, ensure_ascii=False)}\n" for k, c in enumerate(classes))
    test = "test: images/test\n" if "test" in there else ""
    text = (
        f"path: {json.dumps(root.resolve().as_posix())}\ntrain: images/train\n"
        f"{note}val: images/{'val' if 'val' in there else 'train'}\n{test}names:\n{names}"
    )
    write_text(root / CONFIG, text)


def polygons(mask: np.ndarray) -> list[np.ndarray]:
    """Outlines of the parts of a bool mask [H, W], each int [N, 2] of x, y with N >= 3; holes are joined in."""
    contours, tree = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if tree is None:
        return []
    found = []
    for i, (_, _, hole, parent) in enumerate(tree[0]):
        if parent >= 0:
            continue
        outline = contours[i][:, 0]
        holes = []
        while hole >= 0:
            holes.append(contours[hole][:, 0])
            hole = tree[0][hole][0]
        for inner in sorted(holes, key=lambda h: int(h[:, 0].min())):
            outline = _joined(outline, inner)
        if len(outline) < 3:  # a point or a line of pixels
            outline = np.concatenate([outline, np.repeat(outline[-1:], 3 - len(outline), axis=0)])
        found.append(outline)
    return found


def _joined(outline: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """One closed line along the outline, over the shortest cut to the hole, around it, and back."""
    distance = ((outline[:, None] - hole[None]) ** 2).sum(-1)
    i, j = np.unravel_index(int(distance.argmin()), distance.shape)
    around = np.concatenate([hole[j:], hole[: j + 1]])
    return np.concatenate([outline[: i + 1], around, outline[i:]])
