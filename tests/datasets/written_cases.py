"""A small data set of phantom frames with unlabelled pixels, written in any layout."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from surgaug.datasets.item import WrittenItem
from surgaug.datasets.writer import DatasetWriter
from surgaug.io.atomic import write_png, write_text
from surgaug.labels.builtin_spaces import load_space
from surgaug.labels.label_space import LabelClass, LabelSpace
from surgaug.phantom import render

CADIS = replace(load_space("cadis"), ignore=255)
GAPS = LabelSpace(
    "gaps",
    (LabelClass(3, "background", color=(1, 1, 1)), LabelClass(10, "Organ, left", color=(2, 9, 2)),
     LabelClass(300, "tool \"A\"", "instrument", (250, 3, 3))),
    ignore=65535,
)  # fmt: skip
SPLITS = ("train", "train", "train", "val", "test")


@dataclass(frozen=True)
class Written:
    target: DatasetWriter
    frames: list[WrittenItem]
    images: list[np.ndarray]
    maps: list[np.ndarray]


def write(root: Path, layout: str, space: LabelSpace = CADIS, palette: bool = False) -> Written:
    """Five frames of three videos; the third is a synthetic one of the first video."""
    target = DatasetWriter(root, layout, space, palette)
    target.check()
    frames, images, maps = [], [], []
    for i, split in enumerate(SPLITS):
        image, label_map = render(i, (32, 56))
        if space is GAPS:
            tools = label_map > 6
            label_map = np.where(tools, 300, np.where(label_map == 0, 10, 3)).astype(np.uint16)
        label_map[:3, :5] = space.ignore
        video = (1, 1, 1, 5, 2)[i]
        name = f"Video{video}_frame{10 * i:06d}"
        frames.append(WrittenItem(f"{name}_000000" if i == 2 else name, i, split, f"Video{video:02d}", i == 2))
        images.append(image)
        maps.append(label_map)
    target.prepare(frames)
    for frame, image, label_map in zip(frames, images, maps, strict=True):
        to_image, to_label = target.paths(frame)
        write_png(root / to_image, image)
        target.write_label(to_label, target.encode(label_map))
    target.finish(frames)
    write_text(target.description_file, json.dumps(target.description()))
    return Written(target, frames, images, maps)
