"""Roboflow's exports, whole: masks beside the images with `_classes.csv`, and COCO, in its folders by split."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from surgaug.datasets.dataset import PairedFrames, open_pairs
from surgaug.datasets.survey import find_faults
from surgaug.runtime.feedback import Silent

HW = (24, 32)
NAMES = ("op1_0007_jpg.rf.0a1b2c3d4e5f", "op2_0001_jpg.rf.99887766aabb")  # as it renames what was uploaded


def scene(k: int) -> np.ndarray:
    """A label map, uint8 [H, W], with a square of class 1 and one of class 2."""
    label_map = np.zeros(HW, np.uint8)
    label_map[4:12, 3 + k : 11 + k] = 1
    label_map[14:20, 16:24] = 2
    return label_map


def image(folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*HW, 3), 90, np.uint8)).save(folder / f"{name}.jpg")


def read(root: Path) -> PairedFrames:
    """The set, of which two frames can be used in their splits."""
    found = open_pairs(root)
    assert find_faults(found, Silent(), need_images=True) == []
    assert sorted((item.name, item.split) for item in found.items) == [(NAMES[0], "train"), (NAMES[1], "val")]
    return found


def test_png_masks(tmp_path: Path) -> None:
    for k, (split, name) in enumerate(zip(("train", "valid"), NAMES, strict=True)):
        image(tmp_path / split, name)
        Image.fromarray(scene(k)).save(tmp_path / split / f"{name}_mask.png")
        (tmp_path / split / "_classes.csv").write_text("Pixel Value, Class\n0, background\n1, iris\n2, hook\n")
    found = read(tmp_path)
    assert found.space.names == ("background", "iris", "hook")
    for i, item in enumerate(found.items):
        np.testing.assert_array_equal(found.load_label(i), scene(NAMES.index(item.name)))


def test_coco(tmp_path: Path) -> None:
    """Its categories begin with one of the project's name, which no annotation uses."""
    categories = [{"id": i, "name": name, "supercategory": "eyes"} for i, name in enumerate(("eyes", "hook", "iris"))]
    for k, (split, name) in enumerate(zip(("train", "valid"), NAMES, strict=True)):
        image(tmp_path / split, name)
        boxes = {2: (3 + k, 4, 8, 8), 1: (16, 14, 8, 6)}
        annotations = [
            {
                "id": n, "image_id": 0, "category_id": c, "bbox": [x, y, w, h], "area": w * h, "iscrowd": 0,
                "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]],
            }
            for n, (c, (x, y, w, h)) in enumerate(boxes.items())
        ]  # fmt: skip
        entry = {"id": 0, "file_name": f"{name}.jpg", "height": HW[0], "width": HW[1]}
        content = {"images": [entry], "annotations": annotations, "categories": categories}
        (tmp_path / split / "_annotations.coco.json").write_text(json.dumps(content))
    found = read(tmp_path)
    ids = {c.name: c.id for c in found.space.classes}
    for i, item in enumerate(found.items):
        wanted = np.array([ids["background"], ids["iris"], ids["hook"]])[scene(NAMES.index(item.name))]
        np.testing.assert_array_equal(found.load_label(i), wanted)
