from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from heard import Heard
from PIL import Image

from surgaug.datasets.dataset import open_masks, open_pairs
from surgaug.datasets.survey import survey, warn_of_one_class
from surgaug.errors import DataError
from surgaug.io.atomic import write_png
from surgaug.runtime.feedback import Silent


def _add(root: Path, name: str, label_map: np.ndarray | None, hw: tuple[int, int] | None = (4, 6)) -> None:
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    if hw:
        write_png(root / "images" / f"{name}.png", np.zeros((*hw, 3), np.uint8))
    if label_map is not None:
        write_png(root / "labels" / f"{name}.png", label_map.astype(np.uint8))


def _map(*values: int, hw: tuple[int, int] = (4, 6)) -> np.ndarray:
    label_map = np.full(hw, values[0])
    label_map.flat[1 : len(values)] = values[1:]
    return label_map


def test_counts_by_hand(tmp_path: Path) -> None:
    _add(tmp_path, "a", _map(0, 2, 2))
    _add(tmp_path, "b", _map(2, 255))
    _add(tmp_path, "c", _map(0, 5, hw=(8, 6)), hw=(8, 6))
    heard = Heard()
    frames = open_pairs(tmp_path, feedback=heard)
    seen = survey(frames, heard, need_images=True)
    assert frames.space.ids == (0, 2, 5) and frames.space.ignore == 255
    assert seen.count == 3 and seen.ignored == 1
    assert seen.pixels.tolist() == [22 + 47, 2 + 23, 1]
    assert seen.presence.tolist() == [2, 2, 1]
    assert seen.presence_by_item.tolist() == [[True, True, False], [False, True, False], [True, False, True]]
    assert seen.sizes == Counter({(4, 6): 2, (8, 6): 1})
    assert heard.bars == {"reading label maps": [3, 3], "checking images": [3, 3]}
    assert "255 taken as ignore" in heard.infos


def test_a_part_of_the_items_can_be_surveyed(tmp_path: Path) -> None:
    _add(tmp_path, "a", _map(0))
    _add(tmp_path, "b", _map(1))
    frames = open_pairs(tmp_path)
    seen = survey(replace(frames, items=frames.items[1:]), Silent(), need_images=True)
    assert seen.pixels.tolist() == [0, 24] and seen.count == 1


def test_tables_show_sizes_splits_and_classes(tmp_path: Path) -> None:
    _add(tmp_path / "train", "a", _map(0, 1))
    _add(tmp_path / "val", "b", _map(0, hw=(2, 2)), hw=(2, 2))
    (frames_title, _, frames), (title, columns, rows) = survey(
        open_pairs(tmp_path), Silent(), need_images=True
    ).tables()
    assert frames_title == "Frames" and title == "Classes (auto)"
    assert dict(frames) == {"frames": "2", "size": "4x6 (1), 2x2 (1)", "split": "train 1, val 1"}
    assert columns == ["id", "class", "kind", "frames", "of frames", "of pixels"]
    assert rows == [
        [0, "background", "other", "2", "100.0 %", "96.4 %"],
        [1, "foreground", "other", "1", "50.0 %", "3.6 %"],
    ]


def test_every_fault_is_listed_with_file_and_value(tmp_path: Path) -> None:
    _add(tmp_path, "fine", _map(0))
    _add(tmp_path, "no_label", None)
    _add(tmp_path, "no_image", _map(0), hw=None)
    _add(tmp_path, "small", _map(0), hw=(4, 5))
    _add(tmp_path, "strange", _map(0, 99, 99, 40))
    _add(tmp_path, "cut", _map(0))
    _add(tmp_path, "empty_label", _map(0))
    (tmp_path / "images" / "cut.png").write_bytes((tmp_path / "images" / "cut.png").read_bytes()[:60])
    (tmp_path / "labels" / "empty_label.png").write_bytes(b"")
    frames = open_pairs(tmp_path, classes="cadis")
    with pytest.raises(DataError) as caught:
        survey(frames, Silent(), need_images=True)
    told = str(caught.value)
    for part in (
        f"1 images without label:\n  {tmp_path}/images/no_label.png",
        f"1 labels without image:\n  {tmp_path}/labels/no_image.png",
        "2 files that cannot be used:",
        f"{tmp_path}/labels/empty_label.png: empty file; restore or remove it",
        f"{tmp_path}/images/cut.png: cannot be read",
        f"{tmp_path}/labels/strange.png: values 40 (1 pixel), 99 (2 pixels) are outside the label space 'cadis' (ids 0",
        f"{tmp_path}/images/small.png: 4x5, its label map small.png 4x6",
    ):
        assert part in told
    assert "fine" not in told


def test_only_the_first_ten_of_a_fault_are_listed(tmp_path: Path) -> None:
    _add(tmp_path, "a", _map(0))
    for i in range(13):
        _add(tmp_path, f"n{i}", None)
    with pytest.raises(DataError, match=r"13 images without label:(\n  [^\n]+){10}\n  and 3 more$"):
        survey(open_pairs(tmp_path), Silent(), need_images=True)


def test_masks_need_no_images(tmp_path: Path) -> None:
    _add(tmp_path, "a", _map(0, 1), hw=None)
    seen = survey(open_masks(tmp_path / "labels"), Silent(), need_images=False)
    assert seen.presence.tolist() == [1, 1]


def test_jpeg_masks_are_warned_of_with_the_number_of_pixels_in_between(tmp_path: Path) -> None:
    y, x = np.mgrid[:80, :90]
    mask = ((y - 40) ** 2 + (x - 44) ** 2 < 900).astype(np.uint8) * 255
    (tmp_path / "masks").mkdir()
    Image.fromarray(mask).save(tmp_path / "masks" / "a.jpg", quality=80)
    with Image.open(tmp_path / "masks" / "a.jpg") as stored:
        between = int(((np.asarray(stored) > 0) & (np.asarray(stored) < 255)).sum())
    heard = Heard()
    seen = survey(open_masks(tmp_path / "masks"), heard, need_images=False)
    assert seen.pixels[1] == pytest.approx((mask > 0).sum(), rel=0.01)
    assert heard.said[-1] == heard.warnings[-1]
    assert f"1 masks are of a lossy format: {between:,} pixels" in heard.said[-1]


def _classes(root: Path, **classes: int) -> None:
    (root / "classes.json").write_text(json.dumps({"classes": classes, "ignore": 255}))


def test_label_maps_without_any_class_are_refused_and_some_are_named(tmp_path):
    _classes(tmp_path, Pupil=0, Iris=1)
    for name in "ab":
        _add(tmp_path, name, _map(255))
    with pytest.raises(DataError, match=r"a\.png: every pixel is 255, which is ignored; so in 2 of 2 label maps"):
        survey(open_pairs(tmp_path), Silent(), need_images=True)
    _add(tmp_path, "c", _map(0, 1))
    heard = Heard()
    survey(open_pairs(tmp_path), heard, need_images=True)
    (text,) = (text for text in heard.said if "in 2 of 3 label maps" in text)
    assert text in heard.warnings


def test_one_class_alone_is_warned_of(tmp_path):
    _classes(tmp_path, Pupil=0, Iris=1)
    heard = Heard()
    for values, warned in (((1,), True), ((1, 0), False)):
        for name in "ab":
            _add(tmp_path, name, _map(*values))
        warn_of_one_class(survey(open_pairs(tmp_path), Silent(), need_images=True), heard)
        assert any("one class alone, Iris" in text for text in heard.said) == warned
        heard.said.clear()
