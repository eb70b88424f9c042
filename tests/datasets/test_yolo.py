"""YOLO segmentation: what is written fills to the label maps again, what others wrote is drawn as Ultralytics does."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from written_cases import CADIS, GAPS, DatasetWriter, write

from surgaug.datasets import layouts
from surgaug.datasets.dataset import open_masks, open_pairs
from surgaug.datasets.survey import survey
from surgaug.errors import DataError
from surgaug.io.atomic import write_png, write_text
from surgaug.labels.builtin_spaces import load_space
from surgaug.labels.codecs.yolo import polygons
from surgaug.labels.label_space import LabelSpace
from surgaug.runtime.feedback import Silent

pytest.importorskip("yaml")
HW = (40, 60)


def foreign(root: Path, lines: dict[str, str], names: str = "names: [Pupil, Spatula]\n") -> Path:
    """A data set of frames as others write it: train/images, train/labels, data.yaml."""
    for name, text in lines.items():
        (root / "train" / "images").mkdir(parents=True, exist_ok=True)
        (root / "train" / "labels").mkdir(exist_ok=True)
        write_png(root / "train" / "images" / f"{name}.png", np.zeros((*HW, 3), np.uint8))
        if text:
            write_text(root / "train" / "labels" / f"{name}.txt", text)
    write_text(root / "data.yaml", names)
    return root


@pytest.mark.parametrize("space", [CADIS, GAPS], ids=["cadis", "gaps"])
def test_rules_and_exact_filling(tmp_path: Path, space: LabelSpace) -> None:
    made = write(tmp_path, "yolo", space)
    config = (tmp_path / "data.yaml").read_text()
    names = [json.loads(text) for text in re.findall(r"^  \d+: (.*)$", config, re.MULTILINE)]
    assert names == [n for n in space.names if n != "background"] and "\nval: images/val\n" in config
    ids = {c.name: c.id for c in space.classes}
    for frame, label_map in zip(made.frames, made.maps, strict=True):
        h, w = label_map.shape
        drawn = {i: np.zeros((h, w), np.uint8) for i in ids.values()}
        for line in (tmp_path / "labels" / frame.split / f"{frame.name}.txt").read_text().splitlines():
            number, *points = line.split()
            corners = np.array(points, np.float32).reshape(-1, 2)
            assert len(corners) >= 3 and corners.min() >= 0 and corners.max() <= 1
            cv2.fillPoly(drawn[ids[names[int(number)]]], [(corners * (w, h)).astype(np.int32)], 1)
        for name in names:
            np.testing.assert_array_equal(drawn[ids[name]].astype(bool), label_map == ids[name], err_msg=name)


@pytest.mark.slow
def test_ultralytics_reads_and_draws_the_same(tmp_path: Path) -> None:
    utils = pytest.importorskip("ultralytics.data.utils")
    made = write(tmp_path, "yolo")
    assert utils.check_det_dataset(str(tmp_path / "data.yaml"), autodownload=False)["nc"] == CADIS.num_classes
    for frame, label_map in zip(made.frames, made.maps, strict=True):
        label = tmp_path / "labels" / frame.split / f"{frame.name}.txt"
        args = (str(tmp_path / made.target.paths(frame)[0]), str(label), "", False, CADIS.num_classes, 0, 0, False)
        _, boxes, hw, segments, _, missing, found, _, corrupt, message = utils.verify_image_label(args)
        assert (missing, found, corrupt) == (0, 1, 0) and tuple(hw) == label_map.shape, message
        pixels = [np.clip(s * hw[::-1], 0, np.array(hw[::-1]) - 1) for s in segments]
        overlap, order = utils.polygons2masks_overlap(tuple(hw), pixels)
        ids = np.array([255, *(CADIS.ids[int(boxes[k, 0])] for k in order)], np.uint8)
        np.testing.assert_array_equal(ids[overlap], label_map)


def test_polygons_alone_give_the_label_maps_again(tmp_path: Path) -> None:
    made = write(tmp_path, "yolo")
    for path in [tmp_path / "surgaug.json", *(tmp_path / "label_maps").rglob("*.png")]:
        path.unlink()
    for folder in (tmp_path / "label_maps").iterdir():
        folder.rmdir()
    (tmp_path / "label_maps").rmdir()
    found = open_pairs(tmp_path, classes=CADIS)
    assert found.layout == "yolo" and found.codec.encoding == "yolo polygons"
    by_name = {item.name: i for i, item in enumerate(found.items)}
    for frame, label_map in zip(made.frames, made.maps, strict=True):
        np.testing.assert_array_equal(found.load_label(by_name[frame.name]), label_map)
        assert found.items[by_name[frame.name]].split == frame.split
    assert len(open_pairs(tmp_path, classes=CADIS, split="val")) == 1


def test_foreign_labels_smaller_objects_on_top_and_frames_without_file_empty(tmp_path: Path) -> None:
    square, inner = "0 0 0 0.5 0 0.5 0.5 0 0.5\n", "0 0.2 0.2 0.4 0.2 0.4 0.4 0.2 0.4\n"
    root = foreign(tmp_path, {"a": inner.replace("0 ", "1 ", 1) + square, "b": square + "\n" + inner, "c": ""})
    found = open_pairs(root)
    survey(found, Silent(), need_images=True)
    assert found.layout == "yolo" and found.space == load_space("cataract1k")
    pupil, spatula = (found.space.ids[found.space.names.index(name)] for name in ("Pupil", "Spatula"))
    a = found.load_label(0)
    assert a.shape == HW and a[0, 0] == pupil and a[10, 15] == spatula and a[30, 50] == 0
    assert a[20, 30] == pupil and a[21, 30] == 0, "a corner at half the size is the pixel with that number"
    assert np.unique(found.load_label(1)).tolist() == [0, pupil] and not found.load_label(2).any()
    np.testing.assert_array_equal(open_masks(root).load(0), a)
    flat = tmp_path / "flat"
    (root / "train").rename(flat)
    write_text(flat / "classes.txt", "Pupil\nSpatula\n")
    np.testing.assert_array_equal(open_pairs(flat).load_label(0), a)
    assert open_pairs(flat).items[0].split is None


def test_images_whose_ending_is_in_capitals(tmp_path: Path) -> None:
    root = foreign(tmp_path, {"a": "0 0 0 0.5 0 0.5 0.5 0 0.5\n"})
    image = open_pairs(root).items[0].image
    assert image is not None
    image.rename(image.with_suffix(".PNG"))
    assert open_pairs(root).load_label(0).any()


def test_background_is_a_hole_in_what_is_larger(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    write_text(root / "classes.txt", "background\ntool\n")
    write_png(root / "images" / "a.png", np.zeros((*HW, 3), np.uint8))
    write_text(root / "labels" / "a.txt", "1 0 0 0.9 0 0.9 0.9 0 0.9\n0 0.2 0.2 0.4 0.2 0.4 0.4 0.2 0.4\n")
    drawn = open_pairs(root).load_label(0)
    assert drawn[12, 18] == 0 and drawn[2, 2] == drawn[25, 40] == 1


def test_stems_that_occur_in_two_splits_get_the_split_before_them(tmp_path: Path) -> None:
    root = foreign(tmp_path / "label_maps", {"a": "0 0 0 0.5 0 0.5 0.5"})  # a name that means something inside only
    shutil.copytree(root / "train", root / "valid")
    assert [(i.name, i.split) for i in open_pairs(root).items] == [("train_a", "train"), ("val_a", "val")]
    assert [i.name for i in open_pairs(root, split="val").items] == ["val_a"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 0.5 0.5 0.1 0.1", "a.txt:1: a box, not a polygon"),
        ("0 0 0 0.5 0 0.5 0.5\n0 0.1 0.1 0.2 0.2 0.3", "a.txt:2: 5 coordinates"),
        ("2 0 0 0.5 0 0.5 0.5", "a.txt:1: class 2, and 2 are named"),
        ("0 0 0 50 0 50 50", "outside of 0 to 1"),
        ("pupil 0 0 1 0 1 1", "is no line of numbers"),
    ],
)
def test_lines_that_cannot_be_are_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        survey(open_pairs(foreign(tmp_path, {"a": text})), Silent(), need_images=True)


def test_classes_must_be_named(tmp_path: Path) -> None:
    line = {"a": "0 0 0 0.5 0 0.5 0.5"}
    assert open_pairs(foreign(tmp_path / "table", line, "names:\n  0: Pupil\n  1: x\n")).space.num_classes == 3
    for names, said in (("nc: 2\n", "names must be a list"), ("names: [a\n", "not YAML"), ("names: {1: a}\n", "a gap")):
        with pytest.raises(DataError, match=said):
            open_pairs(foreign(tmp_path / "bad", line, names))
    (tmp_path / "bad" / "data.yaml").unlink()
    with pytest.raises(DataError, match=r"no data\.yaml names the classes"):
        open_pairs(tmp_path / "bad")
    with pytest.raises(DataError, match="'Pupil' is none of the label space 'kvasir-seg'"):
        open_pairs(foreign(tmp_path / "other", line), classes="kvasir-seg").load_label(0)


def assert_drawn_again(mask: np.ndarray) -> None:
    drawn = np.zeros(mask.shape, np.uint8)
    for polygon in polygons(mask):
        one = np.zeros(mask.shape, np.uint8)
        cv2.fillPoly(one, [polygon.astype(np.int32)], 1)
        drawn |= one
    np.testing.assert_array_equal(drawn.astype(bool), mask)


def test_polygons_with_holes_points_and_lines() -> None:
    mask = np.zeros((20, 30), bool)
    mask[2:15, 2:15], mask[4:6, 4:6], mask[9:12, 8:12] = True, False, False
    mask[18, 3], mask[17, 10:20] = True, True
    assert_drawn_again(mask)
    assert polygons(np.zeros((4, 4), bool)) == []
    square = np.zeros((9, 9), bool)
    square[1:8, 1:8] = True
    assert len(polygons(square)[0]) == 4, "corners alone"


@pytest.mark.parametrize("seed", range(20))
def test_no_cut_to_a_hole_runs_through_another_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for share in (0.02, 0.1, 0.5):
        assert_drawn_again(rng.random((40, 40)) > share)


def test_a_set_of_training_frames_alone_says_so(tmp_path: Path) -> None:
    DatasetWriter(tmp_path, "yolo", CADIS).prepare([])
    layouts.get("yolo").finish(tmp_path, [], CADIS)
    assert "# no validation frames here" in (tmp_path / "data.yaml").read_text()


def test_lists_of_images_say_the_split(tmp_path: Path) -> None:
    config = "names: [Pupil]\ntrain: train.txt\nval: v.txt\n"
    root = foreign(tmp_path, dict.fromkeys("abcd", "0 0 0 0.5 0 0.5 0.5"), config)
    (root / "train").rename(root / "all")
    for folder in ("images", "labels"):
        (root / "all" / folder).rename(root / folder)
    write_text(root / "train.txt", "./images/a.png\n./images/b.png\n")
    write_text(root / "v.txt", "/somewhere/else/images/c.png\n")
    found = open_pairs(root)
    facts = dict(survey(found, Silent(), need_images=True).tables()[0][2])
    assert [(i.name, i.split) for i in found.items] == [("a", "train"), ("b", "train"), ("c", "val")]
    assert facts["images that no annotation names"] == "1 (d.png)" and facts["annotations"] == "3 read, 3 drawn"
    (root / "data.yaml").rename(root / "dataset.yml")
    assert len(open_pairs(root)) == 3
    (root / "v.txt").unlink()
    with pytest.raises(DataError, match=r"val is v\.txt, which is not there"):
        open_pairs(root)
