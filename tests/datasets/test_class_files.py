"""One mask file a class: merged by depth, or left to what else the folder may be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from surgaug.datasets.dataset import PairedFrames, open_pairs
from surgaug.datasets.survey import survey, without_faults
from surgaug.errors import DataError
from surgaug.io.atomic import write_png
from surgaug.runtime.feedback import Silent

HW = (8, 10)


def plant(root: Path, masks: dict[str, np.ndarray], images: int = 3) -> Path:
    (root / "images").mkdir(parents=True, exist_ok=True)
    for i in range(images):
        write_png(root / "images" / f"{i}.png", np.zeros((*HW, 3), np.uint8))
    for name, mask in masks.items():
        (root / "masks" / name).parent.mkdir(parents=True, exist_ok=True)
        write_png(root / "masks" / f"{name}.png", mask)
    return root


def rows(a: int, b: int, value: int = 255) -> np.ndarray:
    mask = np.zeros(HW, np.uint8)
    mask[a:b] = value
    return mask


def shown(frames: PairedFrames, i: int) -> list[str]:
    """The class of each row."""
    return [frames.space.by_id(int(v)).name for v in frames.load_label(i)[:, 0]]


@pytest.mark.parametrize("form", ["{i}_{name}", "{name}/{i}", "{i}-{name}"])
def test_masks_are_merged_and_a_class_without_file_is_not_shown(tmp_path: Path, form: str) -> None:
    masks = {form.format(i=i, name=name): rows(k, k + 3) for i in range(3) for k, name in enumerate(("eye", "knife"))}
    del masks[form.format(i=2, name="knife")]
    frames = open_pairs(plant(tmp_path, masks))
    survey(frames, Silent(), need_images=True)
    assert frames.layout == "class_files" and frames.space.names == ("background", "eye", "knife")
    assert shown(frames, 0) == ["eye", *["knife"] * 3, *["background"] * 4]
    assert shown(frames, 2) == [*["eye"] * 3, *["background"] * 5]


@pytest.mark.parametrize("form", ["{i}_{name}", "{name}/{i}"])
def test_a_mask_without_image_is_named_as_such(tmp_path: Path, form: str) -> None:
    masks = {form.format(i=i, name=name): rows(k, k + 3) for i in range(4) for k, name in enumerate(("eye", "knife"))}
    del masks[form.format(i=3, name="eye")]
    frames = open_pairs(plant(tmp_path, masks))
    assert frames.layout == "class_files"
    stray = tmp_path / "masks" / form.format(i=3, name="knife")
    with pytest.raises(DataError, match=rf"1 labels without image:\s+{stray}\.png"):
        survey(frames, Silent(), need_images=True)
    assert shown(without_faults(frames, Silent(), need_images=True), 0) == ["eye", *["knife"] * 3, *["background"] * 4]


@pytest.mark.parametrize("form", ["{i}_{name}", "{name}/{i}"])
def test_two_masks_of_one_class_are_an_open_choice(tmp_path: Path, form: str) -> None:
    masks = {form.format(i=i, name=name): rows(k, k + 3) for i in range(3) for k, name in enumerate(("eye", "knife"))}
    plant(tmp_path, masks)
    twin = tmp_path / "masks" / f"{form.format(i=1, name='knife')}.bmp"
    Image.fromarray(rows(5, 8)).save(twin)
    frames = open_pairs(tmp_path)
    with pytest.raises(DataError, match=rf"{twin} and {twin.stem}\.png: two files of one stem"):
        survey(frames, Silent(), need_images=True)
    assert [item.name for item in without_faults(frames, Silent(), need_images=True).items] == ["0", "2"]


def test_depth_decides_what_lies_on_top(tmp_path: Path) -> None:
    plant(tmp_path, {f"{i}_{name}": rows(k, k + 3, 1) for i in range(3) for k, name in enumerate(("eye", "knife"))})
    classes = [{"id": 0, "name": "background"}, {"id": 4, "name": "eye", "depth": 9}, {"id": 5, "name": "knife"}]
    (tmp_path / "classes.json").write_text(json.dumps(classes))
    assert shown(open_pairs(tmp_path), 0) == [*["eye"] * 3, "knife", *["background"] * 4]


def test_overlaps_are_counted_and_the_worst_file_named(tmp_path: Path) -> None:
    masks = {f"{i}_{name}": rows(k, k + 1) for i in range(3) for k, name in enumerate(("eye", "knife"))}
    assert not open_pairs(plant(tmp_path / "apart", masks)).doubts
    masks |= {"1_knife": rows(0, 3), "2_knife": rows(0, 1)}
    masks |= {f"{i}_background": rows(0, 8) for i in range(3)}
    doubts = open_pairs(plant(tmp_path / "over", masks)).doubts
    total = 3 * HW[0] * HW[1]
    assert len(doubts) == 1 and f"{2 * HW[1]:,} pixels ({2 * HW[1] / total:.1%})" in doubts[0]
    masks["1_eye"] = rows(0, 3)
    assert f"1_{'background'}.png ({3 / HW[0]:.1%} of it)" in open_pairs(plant(tmp_path / "over", masks)).doubts[0]


def test_one_class_a_frame_is_not_taken_for_foreground(tmp_path: Path) -> None:
    frames = open_pairs(plant(tmp_path, {f"{i}_{n}": rows(0, 2) for i, n in enumerate(("eye", "knife", "eye"))}))
    assert [shown(frames, i)[0] for i in range(3)] == ["eye", "knife", "eye"]


def test_endings_of_one_file_each_are_not_taken_for_classes(tmp_path: Path) -> None:
    plant(tmp_path, {f"{i}_{n}": rows(0, 2) for i, n in enumerate(("eye", "knife", "lid"))})
    with pytest.raises(DataError, match=r"masks/0_eye\.png: called after the image 0, with an ending that no other"):
        open_pairs(tmp_path)


@pytest.mark.parametrize(
    ("name", "mask", "said"),
    [
        ("1_eye", rows(0, 4) + rows(2, 3, 3), "holds 0, 2, 255; a mask of one class"),
        ("1_eye", np.full(HW, 7, np.uint8) + rows(0, 1, 1), "holds 7, 8"),
        ("1_eye", np.zeros((8, 9), np.uint8), "of another size"),
    ],
)
def test_what_is_no_mask_of_a_class_is_refused(tmp_path: Path, name: str, mask: np.ndarray, said: str) -> None:
    masks = {f"{i}_{n}": rows(0, 2) for i in range(3) for n in ("eye", "knife")}
    with pytest.raises(DataError, match=rf"\.png: .*{said}"):
        survey(open_pairs(plant(tmp_path, masks | {name: mask})), Silent(), need_images=True)


def test_lossy_masks(tmp_path: Path) -> None:
    plant(tmp_path, {f"{i}_{n}": rows(0, 4) for i in range(3) for n in ("eye", "knife")})
    for path in list((tmp_path / "masks").iterdir()):
        Image.open(path).save(path.with_suffix(".jpg"), quality=85)
        path.unlink()
    assert shown(open_pairs(tmp_path), 0) == [*["knife"] * 4, *["background"] * 4]


def test_kinds_of_files_are_no_classes(tmp_path: Path) -> None:
    kinds = plant(tmp_path / "a", {f"{i}_{kind}": rows(0, 2) for i in range(3) for kind in ("mask", "color")})
    with pytest.raises(DataError, match="could both be its label map"):
        open_pairs(kinds)
    instances = plant(tmp_path / "b", {f"{i}_{k}": rows(k, k + 1) for i in range(3) for k in range(2)})
    assert open_pairs(instances).layout == "folders"
    plain = plant(tmp_path / "c", {f"{i}_mask": rows(0, 2, 1) for i in range(3)})
    assert open_pairs(plain).layout == "folders"


def test_label_studios_brush_masks_name_no_image(tmp_path: Path) -> None:
    names = [f"task-{i}-annotation-{i}-by-1-tag-{c}-0" for i in range(3) for c in ("eye", "knife")]
    with pytest.raises(DataError, match="name tasks, and not the images"):
        open_pairs(plant(tmp_path, {name: rows(0, 2) for name in names}))
