from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from surgaug.datasets import layouts
from surgaug.datasets.dataset import open_pairs
from surgaug.datasets.survey import survey, without_faults
from surgaug.errors import DataError
from surgaug.io.atomic import write_png
from surgaug.runtime.feedback import Silent


def test_layouts_are_listed_without_importing_them() -> None:
    code = (
        "import sys; from surgaug.datasets import layouts; print(layouts.names()); "
        "assert not any(m.startswith('surgaug.datasets.layouts.') for m in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    read_only = {"beside", "cases", "cholecseg8k", "cityscapes", "endovis2017", "endovis2018", "robustmis", "splits"}
    read_only |= {"class_files", "cvat_xml", "labelme", "supervisely", "two_folders"}
    written = {"cadis", "coco", "cvat", "fiftyone", "folders", "hf", "label_studio", "mmseg", "nnunet", "yolo"}
    assert done.stdout.strip() == str(sorted(read_only | written)) and set(layouts.written()) == written


def test_each_has_matches_and_read() -> None:
    for name in layouts.names():
        assert callable(layouts.get(name).matches) and callable(layouts.get(name).read)


FOLDERS = {  # of images and of label maps (NAME stands for a frame), and further files
    "cadis": ("Video01/Images/Video1_frameNAME.png", "Video01/Labels/Video1_frameNAME.png", {}),
    "yolo": ("images/train/NAME.png", "labels/train/NAME.txt", {"data.yaml": "train: images/train\nnames: [eye]\n"}),
    "beside": ("NAME.png", "NAME_mask.png", {}),
    "mmseg": ("img_dir/train/NAME.png", "ann_dir/train/NAME.png", {}),
    "nnunet": (
        "imagesTr/NAME_0000.png",
        "labelsTr/NAME.png",
        {"dataset.json": '{"file_ending": ".png", "labels": {"background": 0, "eye": 1}}'},
    ),
    "cvat": (
        "JPEGImages/NAME.png",
        "SegmentationClass/NAME.png",
        {"labelmap.txt": "background:0,0,0::\neye:1,1,1::\n"},
    ),
    "endovis2018": ("seq_1/left_frames/NAME.png", "seq_1/labels/NAME.png", {}),
}


@pytest.mark.parametrize("layout", FOLDERS)
def test_one_bad_frame_among_good_ones_is_refused_with_a_way_round(layout: str, tmp_path: Path) -> None:
    """Two files of one stem, an image and a label map without partner, a damaged image: each one line of the refusal,
    and left out where that is asked for."""
    image, label, files = FOLDERS[layout]
    for name in ("000010", "000020", "000030", "000040", "000050", "000060"):
        for path, pixels in ((image, np.full((8, 8, 3), 90, np.uint8)), (label, np.full((8, 8), 1, np.uint8))):
            target = tmp_path / path.replace("NAME", name)
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.suffix == ".txt":
                target.write_text("0 0.1 0.1 0.9 0.1 0.5 0.9\n")
            else:
                write_png(target, np.repeat(pixels[..., None], 3, 2) if layout == "cvat" and path == label else pixels)
    for path, text in files.items():
        (tmp_path / path).write_text(text)
    twin = tmp_path / image.replace("NAME", "000020")
    twin.with_suffix(".jpg").write_bytes(twin.read_bytes())
    (tmp_path / image.replace("NAME", "000030")).unlink()
    (tmp_path / label.replace("NAME", "000040")).unlink()
    damaged = tmp_path / image.replace("NAME", "000050")
    damaged.write_bytes(damaged.read_bytes()[:50])

    frames = open_pairs(tmp_path)
    assert frames.layout == layout
    with pytest.raises(DataError, match="--leave-out-bad") as refusal:
        survey(frames, Silent(), need_images=True)
    without_label = 0 if layout == "yolo" else 1  # there a frame without text file has no object
    told = str(refusal.value)
    assert f"goes on with the other {3 - without_label} of 6 frames" in told
    assert f"{twin.with_suffix('.jpg')} and {twin.name}: two files of one stem" in told and str(damaged) in told
    kept = without_faults(frames, Silent(), need_images=True)
    assert len(kept) == 3 - without_label and len(kept.left_out) >= 3 + without_label
    assert survey(kept, Silent(), need_images=True).count == len(kept)


@pytest.mark.parametrize(
    "image, label", [("img_dir/{}/7.png", "ann_dir/{}/7.png"), ("{}/images/7.png", "{}/masks/7.png")]
)
def test_a_name_in_several_splits_gets_the_split_before_it(image: str, label: str, tmp_path: Path) -> None:
    for split in ("train", "val"):
        for path, pixels in ((image, np.full((8, 8, 3), 90, np.uint8)), (label, np.full((8, 8), 1, np.uint8))):
            target = tmp_path / path.format(split)
            target.parent.mkdir(parents=True)
            write_png(target, pixels)
    assert [item.name for item in open_pairs(tmp_path).items] == ["train_7", "val_7"]
    assert [item.name for item in open_pairs(tmp_path, split="val").items] == ["val_7"]
    with pytest.raises(DataError, match="no split 'test'"):
        open_pairs(tmp_path, split="test")


@pytest.mark.parametrize(
    "folders",
    [
        ("images/train2017", "annotations/train2017"),
        ("train_2018/imgs", "train_2018/gt"),
        ("train_set/images", "train_set/masks"),
        ("images/traindata", "labels/traindata"),
        ("train split/images", "train split/labels"),
    ],
)
def test_splits_may_have_a_year_or_set_behind_their_names(folders: tuple[str, str], tmp_path: Path) -> None:
    for kind, pixels in zip(folders, (np.full((8, 8, 3), 90, np.uint8), np.full((8, 8), 1, np.uint8)), strict=True):
        for folder, name in ((kind, "a"), (kind.replace("train", "val"), "b")):
            (tmp_path / folder).mkdir(parents=True)
            write_png(tmp_path / folder / f"{name}.png", pixels)
    assert {item.name: item.split for item in open_pairs(tmp_path).items} == {"a": "train", "b": "val"}
