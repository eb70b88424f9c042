"""Label maps of a written data set that are named by their folder, or in a list: read as the data set keeps them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from written_cases import CADIS, GAPS, write

from surgaug.datasets import layouts
from surgaug.datasets.dataset import open_masks, open_pairs
from surgaug.errors import DataError
from surgaug.io.atomic import write_png
from surgaug.labels.label_space import LabelClass, LabelSpace


@pytest.mark.parametrize("space", [CADIS, GAPS], ids=["cadis", "gaps"])
@pytest.mark.parametrize("layout", layouts.written())
def test_a_label_folder_alone_is_read_as_its_data_set_keeps_it(tmp_path: Path, layout: str, space: LabelSpace) -> None:
    pytest.importorskip("pycocotools") if layout == "coco" else None
    made = write(tmp_path / "Dataset501_Test", layout, space)
    for frame, label_map in zip(made.frames, made.maps, strict=True):
        file = made.target.root / made.target.paths(frame)[1]
        for source in (file.parent, [file]):
            found = open_masks(source)
            i = [item.label for item in found.items].index(file)
            np.testing.assert_array_equal(found.load(i), label_map)
            assert found.space == space


def test_a_folder_that_links_to_labels_is_read_as_these(tmp_path: Path) -> None:
    made = write(tmp_path / "set", "fiftyone")
    (tmp_path / "here").symlink_to(tmp_path / "set/fields/ground_truth", target_is_directory=True)
    np.testing.assert_array_equal(open_masks(tmp_path / "here").load(0), made.maps[0])


@pytest.mark.parametrize(("one", "two"), [("nnunet", "folders"), ("cvat", "folders"), ("nnunet", "cvat")])
def test_a_list_of_labels_that_are_kept_differently_is_refused(tmp_path: Path, one: str, two: str) -> None:
    sets = [write(tmp_path / f"Dataset50{k}_X", layout) for k, layout in enumerate((one, two))]
    files = [made.target.root / made.target.paths(made.frames[0])[1] for made in sets]
    for order in (files, files[::-1]):
        with pytest.raises(DataError, match=r"in different ways \(see .*; give them one at a time"):
            open_masks(order)


def test_foreign_masks_within_a_written_data_set_are_not_taken_for_its_own(tmp_path: Path) -> None:
    write(tmp_path, "mmseg")
    mine = tmp_path / "mine" / "deep" / "masks"
    mine.mkdir(parents=True)
    write_png(mine / "a.png", np.array([[0, 1], [1, 2]], np.uint8))
    found = open_masks(mine)
    assert found.space.name == "auto" and found.load(0).tolist() == [[0, 1], [1, 2]]


def named(*names: str, first: int = 0, ignore: int | None = None) -> LabelSpace:
    return LabelSpace("asked", tuple(LabelClass(first + i, name) for i, name in enumerate(names)), ignore)


@pytest.mark.parametrize("ours", [True, False], ids=["described", "by others"])
def test_classes_meet_by_name_where_other_ids_are_asked_for(tmp_path: Path, ours: bool) -> None:
    made = write(tmp_path / "Dataset501_X", "nnunet")
    root = made.target.root
    if not ours:
        made.target.description_file.unlink()
    asked = named(*CADIS.names, *() if ours else ("background",), first=100, ignore=255)
    found = open_pairs(root, classes=asked)
    expected = np.where(made.maps[0] == 255, 255, made.maps[0].astype(int) + 100)
    i = [item.name for item in found.items].index(made.frames[0].name)
    np.testing.assert_array_equal(found.load_label(i), expected)


@pytest.mark.parametrize("ours", [True, False], ids=["described", "by others"])
def test_classes_that_do_not_meet_are_refused_by_name(tmp_path: Path, ours: bool) -> None:
    made = write(tmp_path / "Dataset501_X", "nnunet")
    if not ours:
        made.target.description_file.unlink()
    with pytest.raises(DataError, match="Leave --classes out"):  # of 36 names one is another
        open_pairs(made.target.root, classes=named("Lens", *CADIS.names[1:], ignore=255))
    with pytest.raises(DataError, match="which 'asked' has neither by name nor by id"):
        open_pairs(made.target.root, classes=named("Lens", "Tape", first=300))


def test_an_nnunet_set_of_others_goes_by_its_names_not_its_numbers(tmp_path: Path) -> None:
    made = write(tmp_path / "Dataset501_X", "nnunet")
    made.target.description_file.unlink()
    labels = json.loads((made.target.root / "dataset.json").read_text())["labels"]
    turned = [*labels]
    turned[1], turned[2] = turned[2], turned[1]
    found = open_pairs(made.target.root, classes=named(*turned[:-1], ignore=99))
    i = [item.name for item in found.items].index(made.frames[0].name)
    values = made.maps[0].astype(int) + 1  # CaDIS has no background: nnU-Net's numbers are one more
    values = np.where(made.maps[0] == 255, 99, np.where(values == 1, 2, np.where(values == 2, 1, values)))
    np.testing.assert_array_equal(found.load_label(i), values)
