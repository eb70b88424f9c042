"""labelme's files, and Supervisely's bitmaps and splits."""

from __future__ import annotations

import base64
import io
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from surgaug.datasets.dataset import PairedFrames, open_pairs
from surgaug.datasets.survey import survey
from surgaug.errors import DataError
from surgaug.io.atomic import write_png
from surgaug.runtime.feedback import Silent

HW = (20, 30)
TRIANGLE = [[4.0, 3.0], [22.5, 5.0], [13.0, 17.0]]


def png(mask: np.ndarray, **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(out, "PNG", **options)
    return out.getvalue()


def labelme(folder: Path, name: str, *shapes: dict[str, Any], **more: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_png(folder / f"{name}.png", np.zeros((*HW, 3), np.uint8))
    content = {"version": "5.0", "imagePath": f"{name}.png", "imageHeight": HW[0], "imageWidth": HW[1], **more}
    (folder / f"{name}.json").write_text(json.dumps({**content, "shapes": shapes, "imageData": None}))
    return folder


def where(frames: PairedFrames, i: int, name: str) -> np.ndarray:
    return frames.load_label(i) == frames.space.ids[frames.space.names.index(name)]


def polygon(points: list[list[float]] = TRIANGLE) -> np.ndarray:
    image = Image.new("1", HW[::-1])
    ImageDraw.Draw(image).polygon([tuple(p) for p in points], fill=1, outline=1)  # as labelme/utils/shape.py does
    return np.asarray(image)


def test_polygons_boxes_discs_and_masks(tmp_path: Path) -> None:
    mask = np.zeros((5, 6), bool)
    mask[1:4, 2:5] = True
    labelme(
        tmp_path,
        "a",
        {"label": "eye", "points": TRIANGLE, "shape_type": "polygon"},
        {"label": "knife", "points": [[25, 2], [28, 6]], "shape_type": "rectangle"},
        {"label": "hook", "points": [[3, 15], [3, 17]], "shape_type": "circle"},
        {
            "label": "lid",
            "points": [[20, 12], [25, 16]],
            "shape_type": "mask",
            "mask": base64.b64encode(png(mask)).decode(),
        },
    )
    frames = open_pairs(tmp_path)
    survey(frames, Silent(), need_images=True)
    assert frames.layout == "labelme" and frames.items[0].image == tmp_path / "a.png"
    np.testing.assert_array_equal(where(frames, 0, "eye"), polygon())
    assert where(frames, 0, "knife").sum() == 5 * 4 and where(frames, 0, "knife")[2:7, 25:29].all()
    disc = Image.new("1", HW[::-1])
    ImageDraw.Draw(disc).ellipse((1, 13, 5, 17), fill=1, outline=1)
    np.testing.assert_array_equal(where(frames, 0, "hook"), np.asarray(disc))
    placed = np.zeros(HW, bool)
    placed[12:17, 20:26] = mask
    np.testing.assert_array_equal(where(frames, 0, "lid"), placed)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ({"label": "eye", "points": TRIANGLE, "shape_type": "linestrip"}, "'eye' is a linestrip"),
        ({"label": "eye", "points": TRIANGLE[:2]}, "'eye' has 2 points"),
        ({"label": "eye", "points": []}, "'eye' has 0 points"),
        ({"label": "eye", "points": [[90, 90], [95, 90], [95, 95]]}, "'eye' covers no pixel"),
        ({"label": "eye", "points": [[0, float("nan")], [5, 0], [5, 5]]}, "no number"),
        ({"points": TRIANGLE}, "'label' missing"),
        ({"label": "eye", "points": [[1, 2, 3]] * 3}, "not a Supervisely annotation"),
        ({"label": "eye", "points": TRIANGLE[:1], "shape_type": "mask", "mask": "!!"}, "not a Supervisely annotation"),
        ({"label": "eye", "points": TRIANGLE[:1], "shape_type": "mask", "mask": "AAAA"}, "cannot be read"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path: Path, shape: dict[str, Any], said: str) -> None:
    labelme(tmp_path, "a", {"label": "knife", "points": TRIANGLE}, shape)
    with pytest.raises(DataError, match=rf"a\.json: .*{said}"):
        survey(open_pairs(tmp_path), Silent(), need_images=True)


def test_splits_images_apart_old_files_and_images_without_annotation(tmp_path: Path) -> None:
    labelme(tmp_path / "train", "a", {"label": "eye", "points": TRIANGLE})
    labelme(tmp_path / "val", "a", {"label": "eye", "points": TRIANGLE}, imageHeight=None, imageWidth=None)
    write_png(tmp_path / "val" / "b.png", np.zeros((*HW, 3), np.uint8))
    frames = open_pairs(tmp_path)
    assert [(i.name, i.split) for i in frames.items] == [("train_a", "train"), ("val_a", "val")]
    facts = dict(survey(frames, Silent(), need_images=True).tables()[0][2])
    assert facts["images that no annotation names"] == "1 (b.png)" and facts["annotations"] == "2 read, 2 drawn"
    for i in range(2):
        np.testing.assert_array_equal(where(frames, i, "eye"), polygon())
    apart = labelme(tmp_path / "apart" / "json", "a", {"label": "eye", "points": TRIANGLE})
    (tmp_path / "apart" / "images").mkdir()
    (apart / "a.png").rename(tmp_path / "apart" / "images" / "a.png")
    np.testing.assert_array_equal(where(open_pairs(tmp_path / "apart"), 0, "eye"), polygon())


def test_a_file_that_is_cut_short_is_no_frame_without_annotation(tmp_path: Path) -> None:
    for name in "ab":
        labelme(tmp_path, name, {"label": "eye", "points": TRIANGLE})
    (tmp_path / "b.json").write_text('{"version": "5.0", "shapes": [{"label": "eye", "poi')
    with pytest.raises(DataError, match=r"b\.json: not a Supervisely annotation, nor labelme's"):
        survey(open_pairs(tmp_path), Silent(), need_images=True)


def test_pixels_to_be_ignored(tmp_path: Path) -> None:
    outside = {"label": "__ignore__", "points": [[0, 0], [29, 0], [29, 2], [0, 2]]}
    frames = open_pairs(labelme(tmp_path, "a", {"label": "eye", "points": TRIANGLE}, outside))
    assert frames.space.names == ("background", "eye") and (frames.load_label(0)[:2] == frames.space.ignore).all()


def test_exported_folders_number_the_same_class_differently(tmp_path: Path) -> None:
    for name, classes in (("a", ["_background_", "eye", "knife"]), ("b", ["_background_", "knife"])):
        folder = tmp_path / f"{name}_json"
        folder.mkdir()
        values = np.zeros(HW, np.uint8)
        values[5:9] = classes.index("knife")
        write_png(folder / "img.png", np.zeros((*HW, 3), np.uint8))
        write_png(folder / "label.png", values)
        (folder / "label_names.txt").write_text("\n".join(classes) + "\n")
    frames = open_pairs(tmp_path)
    survey(frames, Silent(), need_images=True)
    assert [i.name for i in frames.items] == ["a", "b"]
    for i in range(2):
        rows = np.flatnonzero(where(frames, i, "knife").all(axis=1)).tolist()
        assert rows == [5, 6, 7, 8] and where(frames, i, "background").sum() == 16 * HW[1]
    values[0, 0] = 7
    write_png(folder / "label.png", values)
    with pytest.raises(DataError, match=r"label\.png: value 7, and label_names\.txt names 0 to 1"):
        survey(open_pairs(tmp_path), Silent(), need_images=True)


def supervisely(folder: Path, name: str, *objects: dict[str, Any]) -> None:
    for inner in ("img", "ann"):
        (folder / inner).mkdir(parents=True, exist_ok=True)
    write_png(folder / "img" / f"{name}.png", np.zeros((*HW, 3), np.uint8))
    content = {"size": {"height": HW[0], "width": HW[1]}, "objects": objects}
    (folder / "ann" / f"{name}.png.json").write_text(json.dumps(content))


def test_supervisely_data_sets_whose_names_say_the_split(tmp_path: Path) -> None:
    knife = {"classTitle": "knife", "geometryType": "polygon", "points": {"exterior": TRIANGLE, "interior": []}}
    for k, folder in enumerate(("train", "test_ds", "case_1")):
        supervisely(tmp_path / folder, str(k), knife)
    found = {item.name: (item.split, item.video) for item in open_pairs(tmp_path).items}
    assert found == {"0": ("train", None), "1": ("test", "test_ds"), "2": (None, "case_1")}


def test_supervisely_tags_say_the_split(tmp_path: Path) -> None:
    knife = {"classTitle": "knife", "geometryType": "polygon", "points": {"exterior": TRIANGLE, "interior": []}}
    for name, tags in (
        ("a", [{"name": "train"}]),
        ("b", [{"name": "sharp"}, {"name": "Test"}]),
        ("c", []),
        ("d", "no"),
    ):
        supervisely(tmp_path / "ds", name, knife)
        file = tmp_path / "ds" / "ann" / f"{name}.png.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "tags": tags}))
    assert [item.split for item in open_pairs(tmp_path).items] == ["train", "test", None, None]
    assert [item.name for item in open_pairs(tmp_path, split="test").items] == ["b"]


def bitmap(content: bytes, x: int, y: int) -> dict[str, Any]:
    data = base64.b64encode(zlib.compress(content)).decode()
    return {"classTitle": "knife", "geometryType": "bitmap", "bitmap": {"data": data, "origin": [x, y]}}


@pytest.mark.parametrize("kind", ["palette", "alpha", "grey", "one bit"])
def test_supervisely_bitmaps(tmp_path: Path, kind: str) -> None:
    mask = np.random.default_rng(0).random((7, 9)) < 0.5
    if kind == "palette":  # as its own software writes them
        image = Image.fromarray(mask.astype(np.uint8))
        image.putpalette([0, 0, 0, 255, 255, 255])
        out = io.BytesIO()
        image.save(out, "PNG", transparency=0, bits=1, optimize=0)
        content = out.getvalue()
    elif kind == "alpha":
        out = io.BytesIO()
        Image.fromarray(np.dstack([np.zeros((7, 9, 3), np.uint8), mask.astype(np.uint8) * 255])).save(out, "PNG")
        content = out.getvalue()
    else:
        content = png(mask, **({"bits": 1} if kind == "one bit" else {}))
    supervisely(tmp_path / "train", "a", bitmap(content, 11, 4))
    supervisely(tmp_path / "val", "a", bitmap(content, 25, 15))  # over the edge
    frames = open_pairs(tmp_path)
    survey(frames, Silent(), need_images=True)
    assert [(i.name, i.split, i.video) for i in frames.items] == [("train_a", "train", None), ("val_a", "val", None)]
    inside, over = np.zeros(HW, bool), np.zeros((40, 60), bool)
    inside[4:11, 11:20] = mask
    over[15:22, 25:34] = mask
    np.testing.assert_array_equal(where(frames, 0, "knife"), inside)
    np.testing.assert_array_equal(where(frames, 1, "knife"), over[: HW[0], : HW[1]])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no image", "cannot be read"),
        (png(np.ones((50, 50), bool)), "larger than its frame"),
        (png(np.zeros((5, 5), bool)), "covers no pixel"),
        (png(np.ones((5, 5), bool))[:40], "cannot be read"),
    ],
)
def test_supervisely_bitmaps_that_cannot_be_are_refused(tmp_path: Path, content: bytes, said: str) -> None:
    supervisely(tmp_path, "a", bitmap(content, 1, 1))
    with pytest.raises(DataError, match=rf"a\.png\.json: .*{said}"):
        survey(open_pairs(tmp_path), Silent(), need_images=True)
