from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from encodings_of_ids import as_optimised, write_palette, write_raw_png
from PIL import Image

from surgaug.datasets.dataset import LabelMaps, open_masks
from surgaug.errors import DataError
from surgaug.io.atomic import write_png
from surgaug.labels.label_space import LabelClass, LabelSpace

COLORS = np.array([(20, 20, 20), (200, 60, 60), (60, 200, 60), (60, 60, 220)], np.uint8)


def _disc(values: tuple[int, ...], side: int = 48) -> np.ndarray:
    """Background, a disc, a bar and a corner of these values (the last repeated), uint16 [side, side]."""
    v = [*values, *[values[-1]] * 4]
    y, x = np.mgrid[:side, :side]
    ids = np.full((side, side), v[0], np.uint16)
    ids[(y - side * 0.55) ** 2 + (x - side * 0.4) ** 2 < (side * 0.3) ** 2] = v[1]
    ids[: side // 2, side // 4 : side // 4 + side // 6] = v[2]
    ids[side - 9 :, side - 12 :] = v[3]
    return ids


def _write(folder: Path, *maps: np.ndarray) -> Path:
    for i, label_map in enumerate(maps):
        write_png(folder / f"{i}.png", label_map.astype(np.uint16 if label_map.max() > 255 else np.uint8))
    return folder


def _space(**ids: int) -> LabelSpace:
    return LabelSpace("given", tuple(LabelClass(i, name, color=(i, 0, 9)) for name, i in ids.items()))


def _same(maps: LabelMaps, *expected: np.ndarray) -> bool:
    return all(np.array_equal(maps.load(i), e) for i, e in enumerate(expected))


def test_palettes_of_another_order_in_each_file_are_refused_or_read_by_colour(tmp_path: Path) -> None:
    ids = _disc((0, 1, 2, 3))
    for name, order in (("a", [0, 1, 2, 3]), ("b", [2, 0, 3, 1])):
        palette = np.zeros((4, 3), np.uint8)
        palette[order] = COLORS
        write_palette(tmp_path / f"{name}.png", np.array(order)[ids], palette)
    with pytest.raises(DataError, match=r"a\.png and .*b\.png: palette index 0 is \(20, 20, 20\) in the one and \(200"):
        open_masks(tmp_path)
    named = tuple(LabelClass(k, f"c{k}", color=tuple(map(int, COLORS[k]))) for k in range(4))
    assert _same(open_masks(tmp_path, classes=LabelSpace("given", named)), ids, ids)


def test_one_palette_in_all_files_means_indices(tmp_path: Path) -> None:
    ids = _disc((0, 1, 2, 3))
    for name in "ab":
        write_palette(tmp_path / f"{name}.png", ids if name == "a" else ids * (ids < 3), COLORS)
    assert _same(open_masks(tmp_path), ids, ids * (ids < 3))


@pytest.mark.parametrize("plain", [0, 1, 2])
def test_a_palette_of_greys_stands_for_its_greys(tmp_path: Path, plain: int) -> None:
    """Files that an optimiser made palettes of, among those of which it did not."""
    ids = _disc((0, 7, 20)).astype(np.uint8)
    for i in range(2):
        as_optimised(tmp_path / f"{i}.png", ids, 1, 3 if i < plain else 1)
    assert _same(open_masks(tmp_path), ids, ids)
    assert _same(open_masks(tmp_path, classes=_space(back=0, iris=7, knife=20)), ids, ids)


def test_a_palette_of_greys_shows_indices_that_alone_are_classes(tmp_path: Path) -> None:
    ids = _disc((0, 1, 2))
    write_palette(tmp_path / "a.png", ids, np.array([0, 128, 255]).repeat(3))
    assert _same(open_masks(tmp_path, classes=_space(back=0, iris=1, knife=2)), ids)


def test_few_bits_among_eight_are_brought_to_one_scale(tmp_path: Path) -> None:
    mask = _disc((0, 255)).astype(np.uint8)
    write_png(tmp_path / "a.png", mask)
    write_raw_png(tmp_path / "b.png", mask // 255, 1, 0)
    write_raw_png(tmp_path / "c.png", mask.astype(int) * 257, 16, 0)
    maps = open_masks(tmp_path)
    assert maps.space.ids == (0, 1) and maps.space.ignore is None and _same(maps, *[mask // 255] * 3)


def test_few_bits_of_which_it_is_open_what_they_mean_are_refused(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", _disc((0, 5, 255, 1)).astype(np.uint8))
    write_raw_png(tmp_path / "b.png", _disc((0, 1)), 1, 0)
    with pytest.raises(DataError, match=r"b\.png: 1 bits a pixel among label maps of 8, so that its 1 may also be 255"):
        open_masks(tmp_path)


@pytest.mark.parametrize("values", [(0, 128, 255), (0, 127, 255), (0, 85, 170, 255), (255, 128, 0), (1, 255)])
def test_greys_that_are_drawn_to_be_seen_are_classes(tmp_path: Path, values: tuple[int, ...]) -> None:
    ids = _disc(values)
    maps = open_masks(_write(tmp_path, ids))
    assert maps.space.ids == tuple(sorted(set(values))) and maps.space.ignore is None and _same(maps, ids)


@pytest.mark.parametrize("void", [255, 65535])
def test_white_beside_numbers_is_ignored_with_a_warning(tmp_path: Path, void: int) -> None:
    ids = _disc((0, 1, 2, 3))
    ids[15] = void
    maps = open_masks(_write(tmp_path, _disc((0, 1, 2)), ids))
    assert maps.space.ignore == void and f"{void} taken as ignore" in maps.notes
    assert len(maps.doubts) == 1 and "48 pixels (1 %), most in" in maps.doubts[0] and "1.png (48)" in maps.doubts[0]


def test_white_that_holds_more_than_the_classes_is_refused(tmp_path: Path) -> None:
    ids = _disc((0, 255, 1))
    with pytest.raises(DataError, match=r"0\.png: 255 holds .* more than the classes .* as a class of id 255 or"):
        open_masks(_write(tmp_path, ids))
    (tmp_path / "classes.json").write_text('{"classes": {"back": 0, "tool": 1}, "ignore": 255}')
    assert open_masks(tmp_path).space.ignore == 255
    (tmp_path / "classes.json").write_text('{"back": 0, "tool": 1, "eye": 255}')
    assert _same(open_masks(tmp_path), ids)


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_soft_masks_of_two_classes_are_snapped(tmp_path: Path, factor: int) -> None:
    sharp = _disc((0, 255), 32 * factor).astype(np.uint8)
    soft = (
        cv2.resize(sharp, (32, 32), interpolation=cv2.INTER_AREA) if factor > 1 else cv2.GaussianBlur(sharp, (5, 5), 1)
    )
    for classes in ("auto", _space(back=0, tool=1)):
        maps = open_masks(_write(tmp_path, soft), classes=classes)
        assert maps.codec.encoding == "two-class" and _same(maps, soft >= 128)


def test_greys_of_a_dot_that_shrank_are_doubted(tmp_path: Path) -> None:
    sharp = np.zeros((48, 48), np.uint8)
    sharp[9:12, 20:23] = 255
    soft = cv2.resize(sharp, (20, 20), interpolation=cv2.INTER_AREA)
    assert 255 not in soft  # nothing is left of the other class, and too few edges to call them soft
    doubts = open_masks(_write(tmp_path, soft)).doubts
    assert any("in no area of 3x3 pixels" in doubt for doubt in doubts)


@pytest.mark.parametrize("values", [(0, 127, 255), (0, 85, 170, 255), (0, 200)])
def test_soft_masks_of_other_classes_are_refused(tmp_path: Path, values: tuple[int, ...]) -> None:
    soft = cv2.resize(_disc(values, 192).astype(np.uint8), (48, 48), interpolation=cv2.INTER_AREA)
    likely = ", ".join(map(str, values))
    with pytest.raises(DataError, match=rf"0\.png: .* fill no area .* seem to be {likely}\. .* --classes FILE"):
        open_masks(_write(tmp_path, soft))


def test_masks_that_were_jpeg_once_are_snapped_or_refused(tmp_path: Path) -> None:
    Image.fromarray(_disc((0, 255), 96).astype(np.uint8)).save(tmp_path / "a.jpg", quality=80)
    once = np.asarray(Image.open(tmp_path / "a.jpg"))
    (tmp_path / "a.jpg").unlink()
    assert len(np.unique(once)) > 20
    assert _same(open_masks(_write(tmp_path, once)), once >= 128)


def test_a_small_third_class_in_a_lossy_mask_is_refused(tmp_path: Path) -> None:
    ids = _disc((0, 255), 64).astype(np.uint8)
    Image.fromarray(ids).save(tmp_path / "a.jpg", quality=95)
    assert open_masks(tmp_path).codec.encoding == "two-class"
    ids[2:6, 40:44] = 128
    Image.fromarray(ids).save(tmp_path / "b.jpg", quality=95)
    with pytest.raises(DataError, match=r"b\.jpg: 4 pixels of a lossy mask .* most of them about 128"):
        open_masks(tmp_path)


def test_named_ids_that_were_resized_with_interpolation_are_doubted(tmp_path: Path) -> None:
    soft = cv2.resize(_disc((0, 5, 10, 3), 192).astype(np.uint8), (48, 48), interpolation=cv2.INTER_AREA)
    space = _space(**{f"c{i}": i for i in range(11)})
    maps = open_masks(_write(tmp_path, soft), classes=space)
    assert any("as resizing with interpolation leaves it, most in" in doubt for doubt in maps.doubts)
    assert not open_masks(_write(tmp_path, _disc((0, 5, 10, 3))), classes=space).doubts


def test_numbers_of_objects_are_doubted(tmp_path: Path) -> None:
    maps = open_masks(_write(tmp_path, _disc((7, 26001, 26002, 24000)), _disc((7, 26001, 26003, 24000))))
    assert any("look like numbers of objects" in doubt for doubt in maps.doubts)


def test_three_channels_that_may_be_ids_or_colours_are_refused(tmp_path: Path) -> None:
    """Black is the colour of class 3; a map of nothing but black is of class 0, or of class 3."""
    write_png(tmp_path / "a.png", np.zeros((9, 9, 3), np.uint8))
    space = LabelSpace("given", (LabelClass(0, "a", color=(9, 0, 0)), LabelClass(3, "b", color=(0, 0, 0))))
    with pytest.raises(DataError, match=r"a\.png: 0 in all three channels may be ids .* or the greys"):
        open_masks(tmp_path, classes=space)
