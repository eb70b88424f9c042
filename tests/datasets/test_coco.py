"""COCO as others write it: every annotation is drawn or refused, none vanishes; run lengths and polygons as pycocotools
draws them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as pycoco

from surgaug.datasets.dataset import PairedFrames, open_masks, open_pairs
from surgaug.datasets.survey import survey, without_faults
from surgaug.errors import DataError
from surgaug.io.atomic import write_png
from surgaug.runtime.feedback import Silent

HW = (12, 16)
SQUARE = [[2, 3, 9, 3, 9, 8, 2, 8]]
TOOLS = [{"id": 1, "name": "knife"}, {"id": 2, "name": "hook"}]


def annotation(image_id: Any = 0, category: Any = 1, segmentation: Any = SQUARE, number: int = 7) -> dict[str, Any]:
    return {"id": number, "image_id": image_id, "category_id": category, "segmentation": segmentation}


def write(
    root: Path,
    annotations: list[dict[str, Any]],
    images: list[dict[str, Any]] | None = None,
    categories: list[dict[str, Any]] = TOOLS,
    file: str = "annotations/instances_default.json",
    folder: str = "images",
) -> Path:
    """An annotation file with its images, a.png by default, in `folder`."""
    images = [{"id": 0, "file_name": "a.png"}] if images is None else images
    for image in images:
        name = Path(str(image.get("file_name", "")).replace("\\", "/")).name
        (root / folder).mkdir(parents=True, exist_ok=True)
        write_png(root / folder / name, np.zeros((*HW, 3), np.uint8))
    content = {
        "images": [{"height": HW[0], "width": HW[1], **image} for image in images],
        "annotations": annotations,
        "categories": categories,
    }
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(json.dumps(content))
    return root


def names_in(frames: PairedFrames, i: int) -> set[str]:
    return {frames.space.by_id(int(v)).name for v in np.unique(frames.load_label(i))}


def refused(root: Path) -> str:
    with pytest.raises(DataError) as caught:
        survey(open_pairs(root), Silent(), need_images=True)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["polygons", "text", "list"])
def test_objects_are_drawn_as_pycocotools_draws_them(tmp_path: Path, kind: str) -> None:
    rle = pycoco.merge(pycoco.frPyObjects([[1.3, 2.2, 11.9, 2.7, 8.1, 9.6], [12, 1, 15, 1, 15, 4]], *HW))
    mask = pycoco.decode(rle).astype(bool)
    flat = np.flatnonzero(np.diff(np.r_[False, mask.T.ravel(), False]))
    runs = np.diff(np.r_[0, flat, mask.size] if flat[-1] < mask.size else np.r_[0, flat]).tolist()
    shape: Any = {
        "polygons": [[1.3, 2.2, 11.9, 2.7, 8.1, 9.6], [12, 1, 15, 1, 15, 4]],
        "text": {"size": list(HW), "counts": rle["counts"].decode()},
        "list": {"size": list(HW), "counts": runs},
    }[kind]
    frames = open_pairs(write(tmp_path, [annotation(segmentation=shape)]))
    np.testing.assert_array_equal(frames.load_label(0) == frames.space.ids[frames.space.names.index("knife")], mask)


def test_run_lengths_of_any_mask_are_read_as_pycocotools_reads_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    masks = [rng.random(HW) < p for p in (0.02, 0.3, 0.5, 0.97)] + [np.ones(HW, bool)]
    rles = [pycoco.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in masks]
    shapes = [{"size": list(HW), "counts": rle["counts"].decode()} for rle in rles]
    annotations = [annotation(i, 1, shape) for i, shape in enumerate(shapes)]
    frames = open_pairs(write(tmp_path, annotations, [{"id": i, "file_name": f"{i}.png"} for i in range(len(masks))]))
    for i, mask in enumerate(masks):
        np.testing.assert_array_equal(frames.load_label(i) > 0, mask)


@pytest.mark.parametrize(
    ("segmentation", "said"),
    [
        ([], "has a box and no mask"),
        (None, "has a box and no mask"),
        ([[2, 3, 9, 3]], "3 corners or more"),
        ([[2, 3, 9, 3, 9]], "3 corners or more"),
        ([[2, 3, 9, 3, "x", 8]], "no list of numbers"),
        ([[2, 3, 9, 3, float("nan"), 8]], "3 corners or more"),
        ([[50, 50, 60, 50, 60, 60]], "covers no pixel"),
        ({"size": list(HW), "counts": [5, 20]}, "over 25 of 192 pixels"),
        ({"size": list(HW), "counts": [500]}, "over 500 of 192 pixels"),
        ({"size": list(HW), "counts": [-1, 193]}, "over 192 of 192"),
        ({"size": list(HW), "counts": "00"}, "of 192 pixels"),
        ({"size": list(HW), "counts": "é"}, "the character"),
        ({"size": list(HW), "counts": "oo"}, "break off"),
        ({"size": [16, 12], "counts": [192]}, "the size"),
        ({"counts": [192]}, "the size"),
        ("polygon", "no list of numbers"),
    ],
)
def test_a_mask_that_cannot_be_drawn_is_refused_with_its_annotation(
    tmp_path: Path, segmentation: Any, said: str
) -> None:
    told = refused(write(tmp_path, [annotation(segmentation=segmentation)]))
    assert said in told and "annotation 7 of a.png (knife)" in told and "instances_default.json" in told


def test_an_annotation_without_the_key_of_its_mask_is_refused(tmp_path: Path) -> None:
    entry = annotation()
    del entry["segmentation"]
    assert "has a box and no mask" in refused(write(tmp_path, [entry]))


def test_background_is_a_hole_in_what_stands_before_it(tmp_path: Path) -> None:
    categories = [*TOOLS, {"id": 3, "name": "background"}]
    hole = annotation(category=3, segmentation=[[4, 4, 6, 4, 6, 6, 4, 6]])
    after = open_pairs(write(tmp_path / "after", [annotation(), hole], categories=categories)).load_label(0)
    before = open_pairs(write(tmp_path / "before", [hole, annotation()], categories=categories)).load_label(0)
    assert after[5, 5] == 0 and after[3, 3] == before[5, 5] != 0
    cut_away = write(tmp_path / "whole", [annotation(), annotation(category=3)], categories=categories)
    assert "an object of a.png (knife) lies whole under background that stands after it" in refused(cut_away)


def test_ids_as_text_mean_the_same(tmp_path: Path) -> None:
    frames = open_pairs(write(tmp_path, [annotation("0", "2")], categories=[*TOOLS, {"id": "3", "name": "wire"}]))
    assert names_in(frames, 0) == {"background", "hook"}


def test_annotations_of_no_image_are_refused_or_left_out_and_counted(tmp_path: Path) -> None:
    root = write(tmp_path, [annotation(), annotation(99, 2, number=8)])
    assert "annotation 8 belongs to image 99, which the file does not list" in refused(root)
    frames = without_faults(open_pairs(root), Silent(), need_images=True)
    assert len(frames) == 1 and "annotation 8" in frames.left_out[0]
    survey(frames, Silent(), need_images=True)


def test_a_category_that_is_not_listed_is_refused(tmp_path: Path) -> None:
    assert "has the category 5, which the file does not list" in refused(write(tmp_path, [annotation(0, 5)]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"images": [{"id": 0, "file_name": "a.png"}, {"id": "0", "file_name": "b.png"}]}, "two images have the id 0"),
        ({"images": [{"file_name": "a.png"}]}, "id is None"),
        ({"images": [{"id": 0, "file_name": ["a.png"]}]}, "has no file_name"),
        ({"categories": [{"id": 1, "name": "knife"}, {"id": 1, "name": "hook"}]}, "is both 'knife' and 'hook'"),
        ({"categories": [{"id": 1}]}, "category 1 has no name"),
        ({"annotations": {}}, "'annotations' is no list"),
        ({"annotations": [annotation(None)]}, "image_id is None"),
        ({"annotations": [annotation(True)]}, "image_id is True"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    root = write(tmp_path, [annotation()])
    path = root / "annotations" / "instances_default.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(DataError, match=said):
        open_pairs(root)


def test_one_image_listed_twice_is_refused_alone(tmp_path: Path) -> None:
    images = [{"id": i, "file_name": name} for i, name in enumerate(("a.png", "a.png", "b.png"))]
    root = write(tmp_path, [annotation(i) for i in range(3)], images)
    assert "a.png is listed 2 times" in refused(root)
    assert [i.name for i in without_faults(open_pairs(root), Silent(), True).items] == ["b"]


def test_splits_come_from_the_folders_and_names_may_occur_in_each(tmp_path: Path) -> None:
    for split in ("train", "valid", "test"):
        write(tmp_path, [annotation()], file=f"{split}/_annotations.coco.json", folder=split)
    frames = open_pairs(tmp_path)
    assert [(i.name, i.split, i.video) for i in frames.items] == [
        ("test_a", "test", None), ("train_a", "train", None), ("val_a", "val", None)
    ]  # fmt: skip
    assert {i.image.parent.name for i in frames.items} == {"train", "valid", "test"}
    assert len(open_pairs(tmp_path, split="val")) == 1


def test_one_stem_in_several_folders_of_one_file_stays_apart(tmp_path: Path) -> None:
    images = [{"id": i, "file_name": f"case_{i}/a.png"} for i in range(2)]
    root = write(tmp_path, [annotation(0, 1), annotation(1, 2)], images)
    for i in range(2):
        (root / "images" / f"case_{i}").mkdir()
        write_png(root / "images" / f"case_{i}" / "a.png", np.zeros((*HW, 3), np.uint8))
    frames = open_pairs(root)
    assert [i.name for i in frames.items] == ["case_0_a", "case_1_a"]
    assert [names_in(frames, i) - {"background"} for i in range(2)] == [{"knife"}, {"hook"}]
    assert [i.image.parent.name for i in frames.items] == ["case_0", "case_1"]


def test_one_image_for_entries_of_two_folders_is_refused(tmp_path: Path) -> None:
    images = [{"id": i, "file_name": f"case_{i}/a.png"} for i in range(2)]
    root = write(tmp_path, [annotation(0, 1), annotation(1, 2)], images)
    with pytest.raises(DataError, match=r"a\.png: could be the image of two entries, case_0_a and case_1_a; keep"):
        open_pairs(root)


@pytest.mark.parametrize(("name", "split"), [("instances_trainset", "train"), ("test-data", "test"), ("dev", "val")])
def test_splits_come_from_the_files_names(tmp_path: Path, name: str, split: str) -> None:
    root = write(tmp_path, [annotation()], file=f"annotations/{name}.json")
    assert [item.split for item in open_pairs(root).items] == [split]


@pytest.mark.parametrize(
    "name", ["images\\a.png", "../../label-studio/media/upload/4/a.png", "/data/upload/4/0123abcd-a.png"]
)
def test_paths_of_windows_and_of_label_studio(tmp_path: Path, name: str) -> None:
    root = write(tmp_path, [annotation()], [{"id": 0, "file_name": name}], file="result.json")
    for path in (root / "images").iterdir():
        path.rename(root / "images" / "a.png")
    frames = open_pairs(root)
    survey(frames, Silent(), need_images=True)
    assert frames.items[0].image == root / "images" / "a.png"


def test_label_maps_of_a_list_with_a_folder_of_annotations(tmp_path: Path) -> None:
    root = write(tmp_path / "set", [annotation()])
    np.testing.assert_array_equal(open_masks([root]).load(0), open_pairs(root).load_label(0))
    write_png(tmp_path / "b.png", np.eye(4, dtype=np.uint8))
    with pytest.raises(DataError, match="a data set of the layout coco, whose label files cannot be read without it"):
        open_masks([root, tmp_path / "b.png"])


def test_a_group_of_categories_is_no_class_and_images_without_entry_are_told(tmp_path: Path) -> None:
    categories = [{"id": 0, "name": "tools", "supercategory": "none"}]
    categories += [{**c, "supercategory": "tools"} for c in TOOLS]
    root = write(tmp_path, [annotation()], [{"id": i, "file_name": f"{n}.png"} for i, n in enumerate("ab")], categories)
    write_png(root / "images" / "forgotten.png", np.zeros((*HW, 3), np.uint8))
    frames = open_pairs(root)
    assert frames.space.names == ("background", "hook", "knife")
    facts = dict(survey(frames, Silent(), need_images=True).tables()[0][2])
    assert facts["annotations"] == "1 read, 1 drawn" and facts["frames without objects"] == "1, all background"
    assert facts["images that no annotation names"] == "1 (forgotten.png)"
