"""Every layout that is written: read back pixel for pixel, and by the code of those it is for, or by their rules."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from unittest.mock import MagicMock

import cv2
import numpy as np
import pytest
from PIL import Image
from written_cases import CADIS, GAPS, DatasetWriter, write

from surgaug.datasets import layouts
from surgaug.datasets.dataset import open_masks, open_pairs
from surgaug.datasets.item import WrittenItem
from surgaug.datasets.survey import survey
from surgaug.errors import DataError, UsageError
from surgaug.labels.label_space import LabelSpace
from surgaug.runtime.feedback import Silent


def ours(array: np.ndarray, space: LabelSpace = CADIS) -> np.ndarray:
    """Ids to class indices, 255 for ignore."""
    return space.to_index(array)


@pytest.mark.parametrize("space", [CADIS, GAPS], ids=["cadis", "gaps"])
@pytest.mark.parametrize("layout", layouts.written())
def test_read_again_pixel_for_pixel(tmp_path: Path, layout: str, space: LabelSpace) -> None:
    pytest.importorskip("pycocotools") if layout == "coco" else None
    root = tmp_path / "Dataset501_Test"
    made = write(root, layout, space)
    found = open_pairs(root)
    survey(found, Silent(), need_images=True)
    assert found.space == space and found.layout == ("splits" if layout == "folders" else layout)
    by_image = {item.image.resolve(): i for i, item in enumerate(found.items)}
    for frame, image, label_map in zip(made.frames, made.images, made.maps, strict=True):
        i = by_image[(root / made.target.paths(frame)[0]).resolve()]
        np.testing.assert_array_equal(found.load_label(i), label_map)
        np.testing.assert_array_equal(found.load_image(i), image)
        np.testing.assert_array_equal(made.target.decode(root / made.target.paths(frame)[1]), label_map)
        assert found.items[i].split == frame.split
    assert len(open_pairs(root, split="val")) == 1
    if layout not in ("coco", "cvat"):
        bits, colour_type = (root / made.target.paths(made.frames[0])[1]).read_bytes()[24:26]
        assert bits == (8 if space is CADIS or layout in ("nnunet", "mmseg", "hf", "fiftyone") else 16)
        assert colour_type == 0  # grey


def test_palettes_are_read_again_where_a_class_is_black_as_well_as_what_has_no_label(tmp_path: Path) -> None:
    black = replace(CADIS, classes=(replace(CADIS.classes[0], color=(0, 0, 0)), *CADIS.classes[1:]))
    made = write(tmp_path, "folders", black, palette=True)
    made.target.description_file.unlink()
    found = open_pairs(tmp_path, classes=black)
    by_label = {item.label: i for i, item in enumerate(found.items)}
    for frame, label_map in zip(made.frames, made.maps, strict=True):
        i = by_label[tmp_path / made.target.paths(frame)[1]]
        np.testing.assert_array_equal(found.load_label(i), label_map)


@pytest.mark.parametrize("layout", ["folders", "cadis", "mmseg", "hf", "yolo"])
def test_palettes_on_request_hold_the_values_as_indices(tmp_path: Path, layout: str) -> None:
    made = write(tmp_path, layout, palette=True)
    found = open_pairs(tmp_path)
    survey(found, Silent(), need_images=True)
    by_label = {item.label.resolve(): i for i, item in enumerate(found.items)}
    for frame, label_map in zip(made.frames, made.maps, strict=True):
        path = tmp_path / made.target.paths(frame)[1]
        np.testing.assert_array_equal(found.load_label(by_label[path.resolve()]), label_map)
        with Image.open(path) as stored:
            assert stored.mode == "P"
            np.testing.assert_array_equal(np.asarray(stored), made.target.encode(label_map))
            shown = np.asarray(stored.convert("RGB"))
        np.testing.assert_array_equal(shown, CADIS.colorize(label_map))


def test_palettes_are_refused_where_they_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--palette: not with --layout nnunet, which reads a palette as RGB"):
        write(tmp_path / "Dataset501_Test", "nnunet", palette=True)
    with pytest.raises(UsageError, match="--palette: not with --layout coco"):
        write(tmp_path, "coco", palette=True)
    with pytest.raises(UsageError, match="256 entries"):
        write(tmp_path, "folders", GAPS, palette=True)


def test_a_task_regroups_what_was_written_in_other_values(tmp_path: Path) -> None:
    made = write(tmp_path / "Dataset501_Test", "nnunet")
    plain = open_pairs(tmp_path / "Dataset501_Test", classes="cadis-task2")
    assert plain.codec.remapped == "cadis"
    labels = open_masks(tmp_path / "Dataset501_Test" / "labelsTr")  # found from inside as well
    i = next(k for k, item in enumerate(labels.items) if item.name == made.frames[0].name)
    np.testing.assert_array_equal(labels.load(i), made.maps[0])
    with pytest.raises(DataError, match="in 'kvasir-seg' it is background"):
        open_pairs(tmp_path / "Dataset501_Test", classes="kvasir-seg")


# CaDIS


def test_cadis_names_splits_and_classes(tmp_path: Path) -> None:
    write(tmp_path, "cadis")
    assert (tmp_path / "Video01" / "Images" / "Video1_frame000000.png").is_file()
    assert (tmp_path / "Video101" / "Labels" / "Video101_frame000002.png").is_file(), "synthesized from video 1"
    assert (tmp_path / "splits.txt").read_text().splitlines() == [
        "# Training", "Video01", "Video101", "# Validation", "Video05", "# Test", "Video02",
    ]  # fmt: skip
    lines = (tmp_path / "classes.csv").read_text().splitlines()
    assert lines[0] == "Index,Class" and lines[36] == "35,Iris Hooks" and len(lines) == 37


def test_cadis_cannot_split_a_video(tmp_path: Path) -> None:
    frames = [WrittenItem("a", 0, "train", "case7"), WrittenItem("b", 1, "val", "case7")]
    with pytest.raises(DataError, match="Video07 has frames of both train and val"):
        DatasetWriter(tmp_path, "cadis", CADIS).check_frames(frames)
    frames = [
        WrittenItem("a", 0, "train"),
        WrittenItem("b", 1, "val"),
        WrittenItem("c", 2, "test"),
        WrittenItem("d", 3, "train", None, True),
    ]
    DatasetWriter(tmp_path, "cadis", CADIS).check_frames(frames)
    folders = [layouts.get("cadis").paths(frame)[0].split("/")[0] for frame in frames]
    assert folders == ["Video00", "Video900", "Video901", "Video100"]


# MMSegmentation


def test_mmseg_rules_and_configuration(tmp_path: Path) -> None:
    made = write(tmp_path, "mmseg", GAPS)
    for frame, label_map in zip(made.frames, made.maps, strict=True):
        image, label = made.target.paths(frame)
        assert image == f"img_dir/{frame.split}/{frame.name}.png" and label == image.replace("img_dir", "ann_dir")
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / label)), ours(label_map, GAPS))
    config: dict = {}
    exec((tmp_path / "dataset.py").read_text(), config)
    assert config["metainfo"] == {"classes": GAPS.names, "palette": [[1, 1, 1], [2, 9, 2], [250, 3, 3]]}
    assert config["num_classes"] == 3 and config["data_root"] == tmp_path.resolve().as_posix()
    assert config["val_dataset"]["data_prefix"] == {"img_path": "img_dir/val", "seg_map_path": "ann_dir/val"}
    for split in ("train", "val", "test"):
        of = config[f"{split}_dataset"]
        assert of["img_suffix"] == of["seg_map_suffix"] == ".png" and of["reduce_zero_label"] is False
        assert of["ignore_index"] == 255


@pytest.mark.slow
@pytest.mark.parametrize("palette", [False, True], ids=["grey", "palette"])
def test_mmseg_loads_it_itself(tmp_path: Path, palette: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    config = pytest.importorskip("mmengine.config").Config
    pytest.importorskip("mmcv")
    compiled = MagicMock(__spec__=None)  # which mmcv-lite lacks, and no reader of data sets calls
    monkeypatch.setitem(sys.modules, "mmcv._ext", compiled)
    from mmengine.registry import init_default_scope
    from mmseg.datasets import BaseSegDataset

    init_default_scope("mmseg")
    made = write(tmp_path, "mmseg", palette=palette)
    read = config.fromfile(tmp_path / "dataset.py")
    by_path = {str(tmp_path.resolve() / made.target.paths(frame)[0]): frame.index for frame in made.frames}
    for split, count in (("train", 3), ("val", 1), ("test", 1)):
        settings = {key: value for key, value in read[f"{split}_dataset"].items() if key != "type"}
        found = BaseSegDataset(**settings, pipeline=[{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations"}])
        assert len(found) == count and found.metainfo["classes"] == CADIS.names
        for row in found:
            i = by_path[row["img_path"]]
            np.testing.assert_array_equal(row["img"][..., ::-1], made.images[i])
            np.testing.assert_array_equal(row["gt_seg_map"], ours(made.maps[i]))


# COCO


@pytest.mark.parametrize("space", [CADIS, GAPS], ids=["cadis", "gaps"])
def test_coco_instances_by_pycocotools(tmp_path: Path, space: LabelSpace, capsys: pytest.CaptureFixture) -> None:
    coco_module = pytest.importorskip("pycocotools.coco")
    made = write(tmp_path, "coco", space)
    for split in ("train", "val", "test"):
        coco = coco_module.COCO(tmp_path / "annotations" / f"instances_{split}.json")
        for frame, image, label_map in zip(made.frames, made.images, made.maps, strict=True):
            if frame.split != split:
                continue
            entry = coco.loadImgs([frame.index + 1])[0]
            assert (entry["height"], entry["width"]) == image.shape[:2]
            assert (tmp_path / split / entry["file_name"]).is_file() and entry["synthetic"] == frame.synthetic
            drawn = np.full(label_map.shape, 3 if space is GAPS else 255, label_map.dtype)  # background, or unlabelled
            for annotation in coco.loadAnns(coco.getAnnIds(imgIds=[frame.index + 1])):
                mask = coco.annToMask(annotation).astype(bool)
                assert mask.sum() == annotation["area"] and annotation["iscrowd"] == 0
                x, y, w, h = annotation["bbox"]
                assert np.argwhere(mask).min(0).tolist() == [y, x] and mask.any(0).sum() <= w and mask.any(1).sum() <= h
                drawn[mask] = coco.loadCats([annotation["category_id"]])[0]["label_id"]
            known = label_map != space.ignore
            np.testing.assert_array_equal(drawn[known], label_map[known])
    names = [c["name"] for c in coco.loadCats(coco.getCatIds())]
    assert names == [n for n in space.names if n != "background"]


def test_coco_panoptic_rules(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    made = write(tmp_path, "coco")
    found = json.loads((tmp_path / "annotations" / "panoptic_train.json").read_text())
    categories = {c["id"]: c for c in found["categories"]}
    assert categories[1]["name"] == "Pupil" and categories[1]["isthing"] == 0 and categories[14]["isthing"] == 1
    for annotation in found["annotations"]:
        frame = made.frames[annotation["image_id"] - 1]
        rgb = np.asarray(Image.open(tmp_path / "panoptic_train" / annotation["file_name"])).astype(int)
        segments = rgb[..., 0] + 256 * rgb[..., 1] + 65536 * rgb[..., 2]
        infos = {s["id"]: s for s in annotation["segments_info"]}
        assert set(np.unique(segments)) - {0} == infos.keys()
        np.testing.assert_array_equal(segments == 0, made.maps[frame.index] == 255)
        for segment, info in infos.items():
            assert info["area"] == (segments == segment).sum()
            own = np.unique(made.maps[frame.index][segments == segment])
            assert own.tolist() == [categories[info["category_id"]]["label_id"]]
            if categories[info["category_id"]]["isthing"]:
                assert cv2.connectedComponents((segments == segment).astype(np.uint8))[0] == 2


# Hugging Face


@pytest.mark.slow
def test_hf_by_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    made = write(tmp_path / "data", "hf", GAPS)
    found = datasets.load_dataset(
        "imagefolder", data_dir=str(tmp_path / "data"), cache_dir=str(tmp_path / "cache"), verification_mode="no_checks"
    )
    assert {split: len(found[split]) for split in found} == {"train": 3, "validation": 1, "test": 1}
    by_name = {row["name"]: row for split in found for row in found[split]}
    for frame, image, label_map in zip(made.frames, made.images, made.maps, strict=True):
        row = by_name[frame.name]
        np.testing.assert_array_equal(np.asarray(row["image"]), image)
        np.testing.assert_array_equal(np.asarray(row["label"]), ours(label_map, GAPS))
        assert str(row["synthetic"]).lower() == str(frame.synthetic).lower()
    names = json.loads((tmp_path / "data" / "id2label.json").read_text())
    assert names == {str(k): name for k, name in enumerate(GAPS.names)}


def test_hf_rules(tmp_path: Path) -> None:
    made = write(tmp_path, "hf")
    lines = (tmp_path / "train" / "metadata.csv").read_text().splitlines()
    assert lines[0] == "image_file_name,label_file_name,name,video,synthetic" and len(lines) == 4
    name = made.frames[2].name
    assert lines[3] == f"images/{name}.png,labels/{name}.png,{name},Video01,true"
    assert not (tmp_path / "val").exists() and (tmp_path / "validation" / "metadata.csv").is_file()
