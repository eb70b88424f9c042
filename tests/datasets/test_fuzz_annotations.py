"""Annotation files of any bytes and of any JSON: read or refused, never a foreign exception.

`--hypothesis-profile` or SURGAUG_FUZZ=N (examples a format) for longer runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from surgaug.datasets.dataset import open_masks, open_pairs
from surgaug.datasets.survey import survey, without_faults
from surgaug.errors import DataError, UsageError
from surgaug.runtime.feedback import Silent

HW = (6, 8)
pytest.importorskip("yaml")

OBJECT = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[1, 1, 5, 1, 5, 4]], "iscrowd": 0}
COCO = {
    "images": [{"id": 1, "file_name": "a.png", "height": 6, "width": 8}],
    "annotations": [OBJECT],
    "categories": [{"id": 1, "name": "knife"}],
}
TRIANGLE = [[1, 1], [5, 1], [5, 4]]
RLE = {"size": [6, 8], "counts": [10, 5, 33]}
PANOPTIC = {
    **COCO,
    "annotations": [{"image_id": 1, "file_name": "a.png", "segments_info": [{"id": 5, "category_id": 1}]}],
}
SUPERVISELY = {
    "size": {"height": 6, "width": 8},
    "objects": [
        {
            "classTitle": "a",
            "geometryType": "polygon",
            "points": {"exterior": [[1, 1], [5, 1], [5, 4]], "interior": []},
        },
        {"classTitle": "b", "geometryType": "bitmap", "bitmap": {"data": "eJw=", "origin": [1, 1]}},
    ],
}
LABELME = {
    "shapes": [{"label": "a", "points": [[1, 1], [5, 1], [5, 4]], "shape_type": "polygon"}],
    "imagePath": "a.png", "imageHeight": 6, "imageWidth": 8,
}  # fmt: skip
NNUNET = {"channel_names": {"0": "RGB"}, "labels": {"background": 0, "a": 1}, "numTraining": 1, "file_ending": ".png"}
FOLDS = [{"train": ["x"], "val": ["a"]}]
# Where each format's file lies, beside which files; and a good one.
FORMATS: dict[str, tuple[str, list[str], Any]] = {
    "coco": ("annotations/instances_train.json", ["images/a.png"], COCO),
    "coco rle": (
        "instances.json",
        ["a.png"],
        {**COCO, "annotations": [{**COCO["annotations"][0], "segmentation": RLE}]},
    ),
    "panoptic": ("annotations/panoptic_val.json", ["val/a.png", "panoptic_val/a.png"], PANOPTIC),
    "supervisely": ("ann/a.png.json", ["img/a.png"], SUPERVISELY),
    "labelme": ("a.json", ["a.png"], LABELME),
    "nnunet": ("dataset.json", ["imagesTr/a_0000.png", "labelsTr/a.png"], NNUNET),
    "nnunet folds": ("splits_final.json", ["imagesTr/a_0000.png", "labelsTr/a.png"], FOLDS),
    "hf lines": (
        "train/metadata.jsonl",
        ["train/a.png", "train/b.png"],
        {"file_name": "a.png", "mask_file_name": "b.png"},
    ),
    "prompts": ("prompt.json", ["a.png", "b.png"], {"target": "a.png", "source": "b.png"}),
    "classes": ("classes.json", ["images/a.png", "labels/a.png"], {"background": 0, "x": 1}),
    "description": ("dataset.json", ["images/a.png", "labels/a.png"], {"label_space": {"name": "x", "classes": []}}),
}
TEXTS = {
    "yolo": ("labels/a.txt", ["images/a.png"], b"0 0.1 0.1 0.5 0.1 0.5 0.5\n"),
    "yolo config": ("data.yaml", ["images/a.png"], b"names: [a, b]\ntrain: train.txt\n"),
    "yolo list": ("train.txt", ["images/a.png"], b"images/a.png\n"),
    "hf table": (
        "train/metadata.csv",
        ["train/a.png", "train/b.png"],
        b"image_file_name,label_file_name\na.png,b.png\n",
    ),
    "cadis splits": ("splits.txt", ["Video01/Images/a.png", "Video01/Labels/a.png"], b"# Training\nVideo01\n"),
    "label names": ("a_json/label_names.txt", ["a_json/img.png", "a_json/label.png"], b"_background_\nx\n"),
    "array": ("masks/a.npy", ["images/a.png"], b"\x93NUMPY\x01\x00"),
    "label map": ("labels/a.png", ["images/a.png"], b"\x89PNG\r\n\x1a\n"),
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=6)
    | st.sampled_from(["a.png", "../x", "a\0b", "segments_info", "knife", "{", "1", 255, 10**400, -1, [], {}]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
EXAMPLES = settings(
    max_examples=int(os.environ.get("SURGAUG_FUZZ", "4")), deadline=None, suppress_health_check=list(HealthCheck)
)


@contextlib.contextmanager
def planted(images: list[str]):
    root = Path(tempfile.mkdtemp())
    try:
        for k, name in enumerate(images):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            is_label = "label" in name or "panoptic" in name or name.endswith("b.png")
            array = np.zeros(HW if is_label and "panoptic" not in name else (*HW, 3), np.uint8)
            array[2:4] = 5 if "panoptic" in name else k
            Image.fromarray(array).save(root / name)
        yield root
    finally:
        shutil.rmtree(root)


def try_all(root: Path) -> None:
    """Open it in every way; only the package's own errors may come."""
    for open_ in (open_pairs, open_masks):
        with contextlib.suppress(DataError, UsageError):
            frames = open_(root)
            with contextlib.suppress(DataError):
                survey(frames, Silent(), need_images=True)
            frames = without_faults(frames, Silent(), need_images=False)
            for i in range(len(frames)):
                assert frames.load(i).shape == frames.scans[frames.items[i].label].hw
                frames.fingerprint(i)


def mutated(draw: Callable[[Any], Any], value: Any) -> Any:
    """`value` with one place in it, at any depth, replaced, removed, doubled, or renamed."""
    if isinstance(value, (dict, list)) and value and draw(st.integers(0, 3)):
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = draw(st.sampled_from(keys))
        copy = dict(value) if isinstance(value, dict) else list(value)
        what = draw(st.integers(0, 7))
        if what == 0:
            copy.pop(key)
        elif what == 1 and isinstance(copy, list):
            copy.append(value[key])
        else:
            copy[key] = mutated(draw, value[key])
        return copy
    return draw(VALUES)


@pytest.mark.parametrize("name", FORMATS)
@EXAMPLES
@given(data=st.data())
def test_any_json(name: str, data: st.DataObject) -> None:
    file, images, good = FORMATS[name]
    content = json.dumps(mutated(data.draw, good))
    with planted(images) as root:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        if name == "nnunet folds":
            (root / "dataset.json").write_text(json.dumps(NNUNET))
        (root / file).write_text(content)
        try_all(root)


@pytest.mark.parametrize("name", [*FORMATS, *TEXTS])
@EXAMPLES
@given(data=st.data())
def test_any_bytes(name: str, data: st.DataObject) -> None:
    file, images, good = (FORMATS | TEXTS)[name]
    content = good if isinstance(good, bytes) else json.dumps(good).encode()
    start, length = data.draw(st.integers(0, len(content))), data.draw(st.integers(0, 8))
    more = data.draw(
        st.binary(max_size=12) | st.sampled_from([b"[" * 3000, b"\xef\xbb\xbf", b"\xff\xfe", b"\r\n", b"0 nan"])
    )
    with planted(images) as root:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        if name.startswith("yolo"):
            (root / "data.yaml").write_text("names: [a, b]\ntrain: train.txt\n")
            (root / "labels").mkdir(exist_ok=True)
            (root / "labels" / "a.txt").write_text("0 0.1 0.1 0.5 0.1 0.5 0.5\n")
        (root / file).write_bytes(content[:start] + more + content[start + length :])
        try_all(root)


@pytest.mark.parametrize("name", [*FORMATS, *TEXTS])
def test_the_good_ones_are_read(name: str) -> None:
    """What is changed above is something that is read as it is, or is refused for one thing alone."""
    file, images, good = (FORMATS | TEXTS)[name]
    with planted(images) as root:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        if name == "nnunet folds":
            (root / "dataset.json").write_text(json.dumps(NNUNET))
        if name.startswith("yolo"):
            (root / "data.yaml").write_text("names: [a, b]\ntrain: train.txt\n")
            (root / "train.txt").write_text("images/a.png\n")
            (root / "labels").mkdir(exist_ok=True)
            (root / "labels" / "a.txt").write_text("0 0.1 0.1 0.5 0.1 0.5 0.5\n")
        (root / file).write_bytes(good if isinstance(good, bytes) else json.dumps(good).encode())
        if name in ("array", "label map"):
            with pytest.raises(DataError):
                survey(open_pairs(root), Silent(), need_images=True)
        elif name == "supervisely":
            with pytest.raises(DataError, match="breaks off"):
                survey(open_pairs(root), Silent(), need_images=True)
        else:
            assert len(open_pairs(root)) == 1
