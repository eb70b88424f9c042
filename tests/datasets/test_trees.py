"""Folders as people have them: nested, by case, side by side, as trainers of images from label maps want them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from written_cases import write

from surgaug.datasets import layouts
from surgaug.datasets.dataset import PairedFrames, open_masks, open_pairs, would_change
from surgaug.datasets.survey import survey
from surgaug.errors import DataError
from surgaug.io.atomic import write_png, write_text
from surgaug.labels.builtin_spaces import load_space
from surgaug.runtime.feedback import Silent


def plant(root: Path, image: str, label: str, value: int = 1) -> None:
    """One frame; its label map holds 0 and `value`."""
    for name, array in ((image, np.full((4, 6, 3), value, np.uint8)), (label, np.full((4, 6), value, np.uint8))):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if array.ndim == 2:
            array[0] = 0
        write_png(root / name, array)


def opened(root: Path, **options: Path) -> PairedFrames:
    """The data set, every pair of which shows one value in image and label map."""
    frames = open_pairs(root, **options)
    survey(frames, Silent(), need_images=True)
    for i in range(len(frames)):
        assert frames.load_image(i)[-1, 0, 0] == frames.load_label(i)[-1, 0]
    return frames


@pytest.mark.parametrize(
    ("image", "label", "layout", "split", "video"),
    [
        ("images/caseA/{}.png", "labels/caseA/{}.png", "folders", None, "caseA"),
        ("caseA/images/{}.png", "caseA/labels/{}.png", "cases", None, "caseA"),
        ("val/caseA/images/{}.png", "val/caseA/masks/{}.png", "cases", "val", "caseA"),
        ("train/images/caseA/{}.png", "train/labels/caseA/{}.png", "splits", "train", "caseA"),
        ("images/val/caseA/{}.png", "labels/val/caseA/{}.png", "splits", "val", "caseA"),
        ("train_img/{}.png", "train_label/{}.png", "splits", "train", None),
        ("val_images/{}.png", "val_masks/{}.png", "splits", "val", None),
        ("{}.png", "{}_mask.png", "beside", None, None),
        ("valid/{}.png", "valid/{}_mask.png", "beside", "val", None),
        ("img_dir/validation/{}.png", "ann_dir/validation/{}.png", "mmseg", "val", None),
        ("rgb/{}.png", "seg/{}.png", "folders", None, None),
        ("Original/{}.png", "Ground truth/{}.png", "folders", None, None),
        ("images/{}.png", "segmentations/{}.png", "folders", None, None),
        ("image/{}.png", "annotation/{}.png", "folders", None, None),
        (
            "leftImg8bit/train/aachen/{}_000019_leftImg8bit.png",
            "gtFine/train/aachen/{}_000019_gtFine_labelIds.png",
            "cityscapes",
            "train",
            "aachen",
        ),
    ],
)
def test_trees_that_are_read(
    tmp_path: Path, image: str, label: str, layout: str, split: str | None, video: str | None
) -> None:
    for i in (1, 2, 3):
        plant(tmp_path, image.format(i), label.format(i), i)
    frames = opened(tmp_path)
    assert (len(frames), frames.layout) == (3, layout)
    assert {(i.split, i.video) for i in frames.items} == {(split, video)}


@pytest.mark.parametrize(
    ("read", "passed_over"),
    [
        (("images/{}.png", "labels/{}.png"), ("images/more/{}.png", "labels/more/{}.png")),
        (("train/images/{}.png", "train/labels/{}.png"), ("holdout/images/{}.png", "holdout/labels/{}.png")),
        (("caseA/images/{}.png", "caseA/labels/{}.png"), ("caseB/images/{}.png", "caseB/maps/{}.png")),
        (("{}.png", "{}_mask.png"), ("more/{}.png", "more/{}_mask.png")),
    ],
)
def test_frames_of_folders_that_are_not_read_are_told(
    tmp_path: Path, read: tuple[str, str], passed_over: tuple[str, str]
) -> None:
    for i in (1, 2):
        plant(tmp_path, *(name.format(i) for name in read), i)
    plant(tmp_path, "synthetic/images/1.png", "synthetic/labels/1.png")
    write_text(tmp_path / "synthetic" / "dataset.json", json.dumps({"label_space": load_space("cadis").to_dict()}))
    before = [doubt for doubt in opened(tmp_path).doubts if "not read" in doubt]
    assert not before or ("caseA" in read[0] and "in synthetic/images (1)" in before[0])
    plant(tmp_path, *(name.format(3) for name in passed_over))
    folder = Path(passed_over[0]).parent.as_posix()
    found = opened(tmp_path)
    assert len(found) == 2
    assert any("not read" in doubt and f" {folder} (" in doubt for doubt in found.doubts)


def test_label_maps_of_folders_within_are_told(tmp_path: Path) -> None:
    for name in ("a.png", "more/b.png"):
        plant(tmp_path, f"elsewhere/{name}", f"masks/labels/{name}")
    found = open_masks(tmp_path / "masks")
    assert len(found) == 1 and "1 image file is not read, in labels/more (1)" in found.doubts[-1]


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("ImageSets/Segmentation/", "{}"),
        ("", "images/{}.png labels/{}.png"),
        ("", "/home/someone/set/images/{}.png"),
        ("", "{}.png"),
    ],
)
def test_lists_beside_the_folders_say_the_split(tmp_path: Path, place: str, line: str) -> None:
    for name in ("a b", "c", "d"):
        plant(tmp_path, f"images/{name}.png", f"labels/{name}.png")
    lists = {"train": ["c"], "val": ["d"], "trainval": ["c", "d"]}
    for stem, names in lists.items():
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        (tmp_path / place / f"{stem}.txt").write_text("".join(line.format(name, name) + "\r\n" for name in names))
    assert {i.name: i.split for i in opened(tmp_path).items} == {"a b": None, "c": "train", "d": "val"}
    assert [i.name for i in open_pairs(tmp_path, split="val").items] == ["d"]
    (tmp_path / place / "test.txt").write_text(line.format("c", "c"))
    with pytest.raises(DataError, match=r"train\.txt: c is of the list of test, too; keep it in one of them"):
        open_pairs(tmp_path)
    for stem in ("train", "val", "test"):
        (tmp_path / place / f"{stem}.txt").write_text("of something else\n")
    assert {i.split for i in opened(tmp_path).items} == {None}


@pytest.mark.parametrize(
    ("image", "label"), [("{}/images/1.png", "{}/labels/1.png"), ("images/{}/1.png", "labels/{}/1.png")]
)
def test_cases_whose_names_say_the_split(tmp_path: Path, image: str, label: str) -> None:
    cases = {"train_case1": "train", "val_case2": "val", "Test3": "test", "case4": None, "latest_5": None}
    for case in cases:
        plant(tmp_path, image.format(case), label.format(case))
    assert {item.video: item.split for item in opened(tmp_path).items} == cases


@pytest.mark.parametrize("names", [("a:b", "a_b"), ("v1/a", "v2/a", "x/v1_a")])
def test_frames_that_would_be_called_the_same_are_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        plant(tmp_path, f"images/{name}.png", f"labels/{name}.png")
    with pytest.raises(DataError, match=r"png: two frames that would both be called \w+; rename one"):
        open_pairs(tmp_path)


@pytest.mark.parametrize(("image", "label"), [("images/{}", "labels/{}"), ("images/caseA/{}", "labels/caseA/{}")])
def test_links_to_nothing_are_frames_that_cannot_be_read(tmp_path: Path, image: str, label: str) -> None:
    plant(tmp_path, image.format("1.png"), label.format("1.png"))
    for path in (image, label):
        (tmp_path / path.format("2.png")).symlink_to(tmp_path / "annex" / "2.png")
    with pytest.raises(DataError, match=r"2\.png: a link to .*annex/2\.png, which is not there; fetch that file"):
        opened(tmp_path)


def test_folders_that_are_links_are_read_and_one_that_leads_back_ends(tmp_path: Path) -> None:
    plant(tmp_path / "data", "images/caseA/1.png", "labels/caseA/1.png")
    plant(tmp_path, "elsewhere/frames/2.png", "elsewhere/maps/2.png", 2)
    for kind, store in (("images", "frames"), ("labels", "maps")):
        (tmp_path / "data" / kind / "caseB").symlink_to(tmp_path / "elsewhere" / store)
        (tmp_path / "data" / kind / "caseA" / "back").symlink_to(tmp_path / "data" / kind)
    assert [(item.name, item.video) for item in opened(tmp_path / "data").items] == [("1", "caseA"), ("2", "caseB")]


def test_names_that_occur_in_several_cases_stay_apart(tmp_path: Path) -> None:
    for root, image, label in (
        ("a", "{}/images/0.png", "{}/labels/0.png"),
        ("b", "images/{}/0.png", "labels/{}/0.png"),
    ):
        for value, case in enumerate(("caseA", "caseB"), 1):
            plant(tmp_path / root, image.format(case), label.format(case), value)
        frames = opened(tmp_path / root)
        assert [(i.name, i.video) for i in frames.items] == [("caseA_0", "caseA"), ("caseB_0", "caseB")]


def test_cityscapes_other_kinds_of_maps_are_passed_over(tmp_path: Path) -> None:
    stem = "gtFine/train/aachen/a_gtFine_"
    plant(tmp_path, "leftImg8bit/train/aachen/a_leftImg8bit.png", f"{stem}labelIds.png")
    for kind in ("instanceIds", "color", "labelTrainIds"):
        plant(tmp_path, "leftImg8bit/train/aachen/a_leftImg8bit.png", f"{stem}{kind}.png", 2)
    plant(tmp_path, "leftImg8bit/train/aachen/a_leftImg8bit.png", "x.png")
    frames = opened(tmp_path)
    assert len(frames) == 1 and frames.items[0].label.name == "a_gtFine_labelIds.png"


@pytest.mark.parametrize(
    ("image", "label", "images", "labels", "splits"),
    [
        ("trainB/{}.png", "trainA/{}.png", "trainB", "trainA", {None}),
        ("data/train/{}.png", "mask/all/train/{}.png", "data", "mask/all", {"train"}),
        ("x/caseA/{}_img.png", "y/caseA/{}_lab.png", "x", "y", {None}),
    ],
)
def test_any_two_folders_can_be_named(
    tmp_path: Path, image: str, label: str, images: str, labels: str, splits: set[str | None]
) -> None:
    for i in (1, 2):
        plant(tmp_path, image.format(i), label.format(i), i)
    with pytest.raises(DataError, match="name two folders with --images and --labels"):
        open_pairs(tmp_path)
    frames = opened(tmp_path, images=Path(images), labels=Path(labels))
    assert len(frames) == 2 and {i.split for i in frames.items} == splits
    with pytest.raises(DataError, match=r"nowhere: no such folder; name the folder of the labels with --labels"):
        open_pairs(tmp_path, images=Path(images), labels=Path("nowhere"))


TREES = [
    "{}.png",  # label maps alone
    "caseA/{}.png",
    "labels/{}.png",
    "images/caseA/{}.png labels/caseA/{}.png",
    "caseA/images/{}.png caseA/labels/{}.png",
    "val/caseA/images/{}.png val/caseA/masks/{}.png",
    "train/images/{}.png train/labels/{}.png",
    "images/val/{}.png labels/val/{}.png",
    "train_img/{}.png train_label/{}.png",
    "{}.png {}_mask.png",
    "input/{}.png target/{}.png",
]


def labels_read(root: Path) -> list[Path]:
    """Empty where nothing can be read."""
    try:
        return sorted(item.label for item in open_masks(root).items)
    except DataError:
        return []


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output as `synthesize` leaves it."""
    root = tmp_path_factory.mktemp("outputs") / "made"
    write(root, "folders")
    for folder in (root / "train").iterdir():
        folder.rename(root / folder.name)
    write_png(root / "preview.png", np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8))
    return root


@pytest.mark.parametrize("out", ["made", "a/made"])
@pytest.mark.parametrize("tree", [*TREES, *layouts.written()])
def test_an_output_that_would_change_what_is_read_is_known_before(
    tmp_path: Path, made: Path, tree: str, out: str
) -> None:
    root = tmp_path / "Dataset501_Tree"
    if tree in TREES:
        for i in range(4):
            *image, label = tree.format(i, i).split()
            plant_picture(root, image[0] if image else label, label, 9)
    else:
        write(root, tree)
    before = labels_read(root)
    refused = would_change(root, root / out)
    shutil.copytree(made, root / out)
    if not refused:
        assert labels_read(root) == before
    elif out == "made":
        assert labels_read(root) != before, "refused without need"
    assert would_change(root, root / "train") and would_change(root, root / "labels" / "made")
    assert not would_change(root, root) and not would_change(root / "images", root / "made")


def test_cases_are_none_beside_label_maps_nor_outputs_of_ours(tmp_path: Path, made: Path) -> None:
    flat, ours = tmp_path / "flat", tmp_path / "ours"
    for i in range(3):
        plant_picture(flat, f"caseA/images/{i}.png", f"caseA/labels/{i}.png", i + 1)
        plant_picture(flat, f"caseA/images/{i}.png", f"{i}.png", i + 1)
    assert [item.label.parent for item in open_masks(flat).items] == [flat] * 3
    shutil.copytree(made, ours / "made")
    with pytest.raises(DataError, match="no images with label maps"):
        open_pairs(ours)
    plant_picture(ours, "caseA/images/0.png", "caseA/labels/0.png", 1)
    assert {item.video for item in open_pairs(ours, classes="cadis").items} == {"caseA"}


def plant_picture(root: Path, image: str, label: str, value: int) -> None:
    """A frame of many colours, whose last row begins with `value`; its label map holds 0 and `value`."""
    plant(root, image, label, value)
    picture = np.random.default_rng(value).integers(0, 256, (16, 24, 3), np.uint8)
    picture[-1, 0] = value
    write_png(root / image, picture)
    write_png(root / label, np.pad(np.full((15, 24), value, np.uint8), ((1, 0), (0, 0))))


@pytest.mark.parametrize(
    ("image", "label", "split"),
    [
        ("input/{}.png", "target/{}.png", None),
        ("trainA/{}.png", "trainB/{}.png", "train"),
        ("train_B/{}.png", "train_A/{}.png", "train"),
        ("testB/{}.png", "testA/{}_label.png", "test"),
        ("data/train/{}.png", "mask/all/train/{}.png", "train"),
    ],
)
def test_two_folders_are_told_by_what_they_hold(tmp_path: Path, image: str, label: str, split: str | None) -> None:
    for i in (1, 2, 3):
        plant_picture(tmp_path, image.format(i), label.format(i), i)
    frames = opened(tmp_path)
    assert (len(frames), frames.layout, {i.split for i in frames.items}) == (3, "two_folders", {split})
    assert len(open_masks(tmp_path)) == 3


@pytest.mark.parametrize(
    ("image", "label", "third"),
    [
        ("a/{}.png", "b/{}.png", "c/{}.png"),  # three folders
        ("trainA/{}.png", "trainB/{}.png", "valA/{}.png"),  # half of a split
        ("a/{}.png", "b/x{}y.png", ""),  # not paired
    ],
)
def test_two_folders_that_leave_it_open_are_not_taken(tmp_path: Path, image: str, label: str, third: str) -> None:
    for i in (1, 2, 3):
        plant_picture(tmp_path, image.format(i), label.format(f"{i}{'q' * i}" if "x" in label else i), i)
        if third:
            plant_picture(tmp_path, third.format(i), "unused/../elsewhere.png", i)
    with pytest.raises(DataError, match="name two folders with --images and --labels"):
        open_pairs(tmp_path)


def test_masks_of_single_objects_are_named_for_what_they_are(tmp_path: Path) -> None:
    for case in "ab":
        for k in range(3):
            plant(tmp_path, f"{case}/images/{case}.png", f"{case}/masks/{k}xy.png")
    with pytest.raises(DataError, match=r"a/images/a\.png: 3 masks \(0xy\.png, \.\.\.\) for one image"):
        open_pairs(tmp_path)


def test_what_was_left_out_of_account_is_told(tmp_path: Path) -> None:
    plant(tmp_path, "images/a_raw.png", "masks/a_seg.png")
    plant(tmp_path, "images/b_raw.png", "masks/b_seg.png", 2)
    assert "images and label maps paired as a_raw.png with a_seg.png" in opened(tmp_path).notes


def test_side_by_side_with_two_kinds_of_maps_is_refused(tmp_path: Path) -> None:
    plant(tmp_path, "a.png", "a_mask.png")
    plant(tmp_path, "a.png", "a_gt.png")
    with pytest.raises(DataError, match="label maps by _mask and by _gt"):
        open_pairs(tmp_path)
    assert len(open_masks(tmp_path / "a_mask.png")) == 1


def test_packed_files_say_so(tmp_path: Path) -> None:
    (tmp_path / "set.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"it holds set\.zip, which must be unpacked first"):
        open_pairs(tmp_path)
    for open_ in (open_pairs, open_masks):
        with pytest.raises(DataError, match=r"set\.zip: a packed file; unpack it"):
            open_(tmp_path / "set.zip")
