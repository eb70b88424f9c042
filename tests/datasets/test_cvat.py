"""CVAT's segmentation masks as CVAT exports them, and as the library reads them by which CVAT imports."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from written_cases import CADIS, write

from surgaug.datasets.dataset import open_pairs
from surgaug.datasets.writer import DatasetWriter
from surgaug.errors import DataError, UsageError
from surgaug.io.atomic import write_png, write_text
from surgaug.labels.label_space import LabelClass, LabelSpace

LABELS = "# label:color_rgb:parts:actions\nbackground:0,0,0::\niris:10,200,30::\nforceps:250,5,5::\n"
COLORS = np.array([(0, 0, 0), (10, 200, 30), (250, 5, 5)], np.uint8)


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """A task of two frames in two subsets."""
    for folder in ("JPEGImages", "SegmentationClass", "SegmentationObject", "ImageSets/Segmentation"):
        (tmp_path / folder).mkdir(parents=True)
    write_text(tmp_path / "labelmap.txt", LABELS)
    for k, (name, subset) in enumerate((("a", "Train"), ("b", "Validation"))):
        write_png(tmp_path / "JPEGImages" / f"{name}.png", np.full((4, 6, 3), k, np.uint8))
        write_png(tmp_path / "SegmentationClass" / f"{name}.png", COLORS[indices(k)])
        write_png(tmp_path / "SegmentationObject" / f"{name}.png", COLORS[indices(k)])
        write_text(tmp_path / "ImageSets" / "Segmentation" / f"{subset}.txt", f"{name}\n")
    return tmp_path


def indices(k: int) -> np.ndarray:
    return np.random.default_rng(k).integers(0, 3, (4, 6))


def test_classes_colours_and_subsets(task: Path) -> None:
    found = open_pairs(task)
    assert found.layout == "cvat"
    assert found.space.names == ("background", "iris", "forceps")
    assert [(item.name, item.split) for item in found.items] == [("a", "train"), ("b", "val")]
    for k in range(2):
        np.testing.assert_array_equal(found.load_label(k), indices(k))
    assert [item.name for item in open_pairs(task, split="val").items] == ["b"]


@pytest.mark.parametrize("boxes", [(), ("a.xml", "b.xml")])
def test_boxes_beside_the_masks_are_passed_over(task: Path, boxes: tuple[str, ...]) -> None:
    """Datumaro, by which CVAT exports, leaves VOC's folder of boxes there, empty or not."""
    (task / "Annotations").mkdir()
    for name in boxes:
        write_text(task / "Annotations" / name, "<annotation/>")
    found = open_pairs(task)
    assert found.layout == "cvat"
    np.testing.assert_array_equal(found.load_label(0), indices(0))


def test_a_frame_of_two_subsets_is_refused(task: Path) -> None:
    listed = (task / "ImageSets" / "Segmentation" / "Train.txt").read_text()
    write_text(task / "ImageSets" / "Segmentation" / "test.txt", listed)
    with pytest.raises(DataError, match=r"test\.txt: a is of the list of train, too; keep it in one of them"):
        open_pairs(task)


def test_labels_meet_another_space_by_name(task: Path) -> None:
    space = LabelSpace("mine", (LabelClass(7, "Forceps"), LabelClass(3, "iris")), ignore=255)
    found = open_pairs(task, classes=space)
    np.testing.assert_array_equal(found.load_label(0), np.array([255, 3, 7])[indices(0)])


def test_a_colour_of_no_label_is_refused(task: Path) -> None:
    write_png(task / "SegmentationClass" / "a.png", np.full((4, 6, 3), 77, np.uint8))
    found = open_pairs(task)
    with pytest.raises(DataError, match=r"a\.png: the colour 77,77,77 is of no class; name it in labelmap\.txt"):
        found.load_label(0)


def test_two_labels_of_one_colour_are_refused(task: Path) -> None:
    write_text(task / "labelmap.txt", LABELS.replace("250,5,5", "10,200,30"))
    with pytest.raises(DataError, match="two labels have the colour 10,200,30"):
        open_pairs(task)


def test_names_that_the_file_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the class 'a:b' cannot stand in labelmap\.txt"):
        DatasetWriter(tmp_path, "cvat", LabelSpace("x", (LabelClass(0, "a:b"),))).check()


@pytest.mark.slow
def test_datumaro_reads_what_is_written_and_the_other_way_round(tmp_path: Path) -> None:
    """CVAT imports and exports "Segmentation mask 1.1" by Datumaro's VOC format."""
    datumaro = pytest.importorskip("datumaro", reason="datumaro is not installed")
    made = write(tmp_path / "set", "cvat")
    found = datumaro.Dataset.import_from(str(tmp_path / "set"), "voc_segmentation")
    labels = [label.name for label in found.categories()[datumaro.AnnotationType.label]]
    ids = {c.name: c.id for c in CADIS.classes} | {"ignore": CADIS.ignore}
    maps = {frame.name: label_map for frame, label_map in zip(made.frames, made.maps, strict=True)}
    splits = {frame.name: frame.split for frame in made.frames}
    assert {item.id: item.subset for item in found} == splits
    for item in found:
        drawn = np.full(maps[item.id].shape, -1)
        for mask in item.annotations:
            drawn[np.asarray(mask.image, bool)] = ids[labels[mask.label]]
        np.testing.assert_array_equal(drawn, maps[item.id])

    found.export(str(tmp_path / "export"), "voc_segmentation", save_media=True, label_map="source", apply_colormap=True)
    again = open_pairs(tmp_path / "export", classes=CADIS)
    assert again.layout == "cvat" and {item.name: item.split for item in again.items} == splits
    for i, item in enumerate(again.items):
        np.testing.assert_array_equal(again.load_label(i), maps[item.name])
