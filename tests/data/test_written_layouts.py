"""Every layout that is written: read back pixel for pixel, and by the code of those it is for, or by their rules."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import written_cases
from PIL import Image
from written_cases import CADIS, GAPS, write

from surgaug.data import layouts
from surgaug.data.dataset import open_masks, open_pairs
from surgaug.data.item import Frame
from surgaug.data.label_space import LabelClass, LabelSpace
from surgaug.data.layouts import nnunet
from surgaug.data.layouts.yolo import polygons
from surgaug.data.survey import survey
from surgaug.errors import DataError, UsageError
from surgaug.feedback import Silent


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
    by_label = {item.label.resolve(): i for i, item in enumerate(found.items)}
    for frame, image, label_map in zip(made.frames, made.images, made.maps, strict=True):
        i = by_label[(root / made.target.paths(frame)[1]).resolve()]
        np.testing.assert_array_equal(found.load_label(i), label_map)
        np.testing.assert_array_equal(found.load_image(i), image)
        np.testing.assert_array_equal(made.target.decode(root / made.target.paths(frame)[1]), label_map)
        assert found.items[i].split == frame.split
    assert len(open_pairs(root, split="val")) == 1
    if layout not in ("coco",):
        with Image.open(root / made.target.paths(made.frames[0])[1]) as stored:
            assert stored.mode == ("L" if space is CADIS or layout in ("nnunet", "mmseg", "hf") else "I;16")


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
    assert (tmp_path / "Video101" / "Labels" / "Video101_frame000002.png").is_file(), "painted from video 1"
    assert (tmp_path / "splits.txt").read_text().splitlines() == [
        "# Training", "Video01", "Video101", "# Validation", "Video05", "# Test", "Video02",
    ]  # fmt: skip
    lines = (tmp_path / "classes.csv").read_text().splitlines()
    assert lines[0] == "Index,Class" and lines[36] == "35,Iris Hooks" and len(lines) == 37


def test_cadis_cannot_split_a_video(tmp_path: Path) -> None:
    frames = [Frame("a", 0, "train", "case7"), Frame("b", 1, "val", "case7")]
    with pytest.raises(DataError, match="Video07 has frames of both train and val"):
        layouts.get("cadis").finish(tmp_path, frames, CADIS)


# nnU-Net


def test_nnunet_rules(tmp_path: Path) -> None:
    root = tmp_path / "Dataset501_Test"
    made = write(root, "nnunet")
    described = json.loads((root / "dataset.json").read_text())
    labels = described["labels"]
    assert sorted(labels.values()) == list(range(38)) and labels["background"] == 0
    assert labels["Pupil"] == 1 and labels["Iris Hooks"] == 36 and labels["ignore"] == max(labels.values()) == 37
    assert described["channel_names"] == {"0": "R", "1": "G", "2": "B"} and described["file_ending"] == ".png"
    cases = {p.name.removesuffix("_0000.png") for p in (root / "imagesTr").iterdir()}
    assert cases == {p.stem for p in (root / "labelsTr").iterdir()} and described["numTraining"] == len(cases) == 4
    assert {p.name for p in (root / "imagesTs").iterdir()} == {"Video2_frame000040_0000.png"}
    stored = np.asarray(Image.open(root / "labelsTr" / f"{made.frames[0].name}.png"))
    assert (stored[made.maps[0] == 0] == 1).all() and (stored[made.maps[0] == 255] == 37).all()
    assert json.loads((root / "splits_final.json").read_text()) == [
        {"train": [f.name for f in made.frames[:3]], "val": [made.frames[3].name]}
    ]


def test_nnunet_background_is_zero_where_there_is_one(tmp_path: Path) -> None:
    write(tmp_path / "Dataset001_Gaps", "nnunet", GAPS)
    described = json.loads((tmp_path / "Dataset001_Gaps" / "dataset.json").read_text())
    assert described["labels"] == {"background": 0, "Organ, left": 1, 'tool "A"': 2, "ignore": 3}


def test_nnunet_folds_keep_videos_and_painted_frames_where_they_belong() -> None:
    real = [Frame(f"v{v}_{i}", 10 * v + i, "train", f"v{v}") for v in range(7) for i in range(3)]
    painted = [Frame(f"v{v}_{i}_p", 100 + 10 * v + i, "train", f"v{v}", True) for v in range(7) for i in range(2)]
    folds = nnunet.folds([*real, *painted])
    assert len(folds) == nnunet.FOLDS
    assert sorted(name for fold in folds for name in fold["val"]) == sorted(f.name for f in real)
    for fold in folds:
        held = {name.split("_")[0] for name in fold["val"]}
        assert fold["train"] and not held & {name.split("_")[0] for name in fold["train"]}
    assert nnunet.folds(painted) == []


def test_nnunet_refuses_names_that_it_does_not_take(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="DatasetNNN_NAME"):
        write(tmp_path / "out", "nnunet")
    space = LabelSpace("x", (LabelClass(0, "Ignore"),))
    with pytest.raises(UsageError, match="keeps for unlabelled pixels"):
        nnunet.check(tmp_path / "Dataset001_X", space)


def test_nnunet_of_others_is_read_and_regions_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "Dataset120_Roads"
    write(root, "nnunet", GAPS)
    (root / "surgaug.json").unlink()
    found = open_pairs(root)
    assert found.space.names == ("background", "Organ, left", 'tool "A"') and found.space.ignore == 3
    assert sorted(np.unique(found.load_label(0)).tolist()) in ([0, 1, 3], [0, 1, 2, 3])
    (root / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "all": [1, 2]}, "file_ending": ".png"}))
    with pytest.raises(DataError, match="all is a region of several labels"):
        open_pairs(root)


@pytest.mark.slow
def test_nnunet_verifies_it_itself(tmp_path: Path) -> None:
    verify = pytest.importorskip("nnunetv2.experiment_planning.verify_dataset_integrity")
    reader = pytest.importorskip("nnunetv2.imageio.natural_image_reader_writer").NaturalImage2DIO()
    root = tmp_path / "Dataset501_Test"
    made = write(root, "nnunet")
    verify.verify_dataset_integrity(str(root), 1)
    image, _ = reader.read_images([str(root / "imagesTr" / f"{made.frames[0].name}_0000.png")])
    np.testing.assert_array_equal(image[:, 0].transpose(1, 2, 0), made.images[0])
    label, _ = reader.read_seg(str(root / "labelsTr" / f"{made.frames[0].name}.png"))
    np.testing.assert_array_equal(label[0, 0], made.target.encode(made.maps[0]))


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


# YOLO


@pytest.mark.parametrize("space", [CADIS, GAPS], ids=["cadis", "gaps"])
def test_yolo_rules_and_exact_filling(tmp_path: Path, space: LabelSpace) -> None:
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
            corners = np.array(points, float).reshape(-1, 2)
            assert len(corners) >= 3 and corners.min() >= 0 and corners.max() <= 1
            one = np.zeros((h, w), np.uint8)
            cv2.fillPoly(one, [np.round(corners * (w, h)).astype(np.int32)], 1)
            drawn[ids[names[int(number)]]] |= one
        for name in names:
            np.testing.assert_array_equal(drawn[ids[name]].astype(bool), label_map == ids[name], err_msg=name)


def test_polygons_with_holes_points_and_lines() -> None:
    mask = np.zeros((20, 30), bool)
    mask[2:15, 2:15], mask[4:6, 4:6], mask[9:12, 8:12] = True, False, False
    mask[18, 3], mask[17, 10:20] = True, True
    drawn = np.zeros(mask.shape, np.uint8)
    for polygon in polygons(mask):
        one = np.zeros(mask.shape, np.uint8)
        cv2.fillPoly(one, [polygon.astype(np.int32)], 1)
        drawn |= one
    np.testing.assert_array_equal(drawn.astype(bool), mask)
    assert polygons(np.zeros((4, 4), bool)) == []


def test_yolo_of_training_frames_alone_says_so(tmp_path: Path) -> None:
    target = written_cases.Target(tmp_path, "yolo", CADIS)
    target.prepare([])
    layouts.get("yolo").finish(tmp_path, [], CADIS)
    assert "# no validation frames here" in (tmp_path / "data.yaml").read_text()
