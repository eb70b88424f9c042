from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from surgaug.errors import DataError
from surgaug.io.atomic import write_png
from surgaug.labels.builtin_spaces import load_space
from surgaug.labels.codec_detection import detect_codec
from surgaug.labels.label_space import LabelClass, LabelSpace
from surgaug.labels.scan import scan_raster

CADIS = load_space("cadis")
TWO = LabelSpace("two", (LabelClass(0, "back", color=(9, 9, 9)), LabelClass(1, "tool", color=(7, 7, 7))))
MAPS = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 35))


def _save(path: Path, label_map: np.ndarray, encoding: str) -> Path:
    if encoding == "palette":
        image = Image.fromarray(label_map).convert("P")
        image.putpalette(CADIS.palette[:36].ravel().tolist())
        image.save(path)
    elif encoding == "uint16":
        write_png(path, label_map.astype(np.uint16))
    elif encoding == "color":
        write_png(path, CADIS.colorize(label_map))
    else:
        alpha = {"grey": 0, "grey+alpha": 1, "rgb": 0, "rgba": 1}[encoding]
        channels = [label_map] * (1 if "grey" in encoding else 3) + [np.full_like(label_map, 255)] * alpha
        Image.fromarray(np.dstack(channels) if len(channels) > 1 else label_map).save(path)
    return path


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(MAPS, st.sampled_from(["grey", "grey+alpha", "rgb", "rgba", "palette", "uint16"])),
        min_size=1,
        max_size=4,
    )
)
def test_ids_come_back_however_each_file_holds_them(maps: list[tuple[np.ndarray, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = [_save(Path(folder) / f"{i}.png", m, encoding) for i, (m, encoding) in enumerate(maps)]
        codec = detect_codec(paths, CADIS)
        assert codec.encoding == "ids"
        for path, (label_map, _) in zip(paths, maps, strict=True):
            decoded = codec.decode(path)
            assert decoded.dtype == np.uint8
            np.testing.assert_array_equal(decoded, label_map)
            counts, unknown = codec.count_ids(scan_raster(path))
            assert not unknown and counts == {int(i): int((label_map == i).sum()) for i in np.unique(label_map)}


@settings(deadline=None, max_examples=40)
@given(st.lists(MAPS, min_size=1, max_size=3))
def test_colours_come_back_as_ids(maps: list[np.ndarray]) -> None:
    maps = [*maps, np.arange(36, dtype=np.uint8).reshape(6, 6)]  # one that is sure not to be grey all over
    with tempfile.TemporaryDirectory() as folder:
        paths = [_save(Path(folder) / f"{i}.png", m, "color") for i, m in enumerate(maps)]
        codec = detect_codec(paths, CADIS)
        assert codec.encoding == "colors"
        for path, label_map in zip(paths, maps, strict=True):
            np.testing.assert_array_equal(codec.decode(path), label_map)
            counts, unknown = codec.count_ids(scan_raster(path))
            assert not unknown and counts == {int(i): int((label_map == i).sum()) for i in np.unique(label_map)}


@settings(deadline=None, max_examples=30)
@given(arrays(bool, (24, 40)), st.integers(60, 95))
def test_jpeg_masks_of_blocks_snap_back(blocks: np.ndarray, quality: int) -> None:
    """Two classes drawn in blocks of 8 pixels survive any usual JPEG quality."""
    mask = blocks[::8, ::8].repeat(8, 0).repeat(8, 1)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / "a.jpg", Path(folder) / "b.jpg"]
        Image.fromarray(mask.astype(np.uint8) * 255).save(paths[0], quality=quality)
        Image.fromarray(np.full((8, 8), 255, np.uint8)).save(paths[1], quality=quality)
        codec = detect_codec(paths, TWO)
        assert codec.encoding == "two-class"
        np.testing.assert_array_equal(codec.decode(paths[0]), mask)


def test_jpeg_masks_with_curved_edges_count_what_lies_between(tmp_path: Path) -> None:
    y, x = np.mgrid[:200, :200]
    mask = ((y - 100) ** 2 + (x - 90) ** 2 < 60**2).astype(np.uint8) * 255
    Image.fromarray(np.dstack([mask] * 3)).save(tmp_path / "a.jpg", quality=90)
    codec = detect_codec([tmp_path / "a.jpg"], TWO)
    scan = scan_raster(tmp_path / "a.jpg")
    between, doubtful = codec.ambiguous_pixels([scan])
    assert between == sum(n for v, n in scan.counts.items() if v not in (0, 255)) > 100
    assert doubtful < 20
    assert (codec.decode(tmp_path / "a.jpg") == mask // 255).mean() > 0.9995


@pytest.mark.parametrize("white", [255, 65535])
def test_binary(tmp_path: Path, white: int) -> None:
    mask = (np.eye(6, dtype=np.uint16) * white).astype(np.uint8 if white == 255 else np.uint16)
    write_png(tmp_path / "a.png", mask)
    write_png(tmp_path / "b.png", np.zeros_like(mask))
    codec = detect_codec([tmp_path / "a.png", tmp_path / "b.png"], TWO)
    assert codec.encoding == "binary"
    np.testing.assert_array_equal(codec.decode(tmp_path / "a.png"), np.eye(6))
    assert codec.decode(tmp_path / "b.png").max() == 0


def test_binary_takes_the_ids_of_the_space(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", np.eye(6, dtype=np.uint8) * 255)
    space = LabelSpace("s", (LabelClass(5, "tool"), LabelClass(2, "back")))
    assert set(np.unique(detect_codec([tmp_path / "a.png"], space).decode(tmp_path / "a.png"))) == {2, 5}


@pytest.mark.parametrize(
    ("classes", "black"),
    [
        ((LabelClass(1, "tool"), LabelClass(2, "background")), 2),
        ((LabelClass(3, "polyp"), LabelClass(7, "mucosa", color=(0, 0, 0))), 7),
        ((LabelClass(1, "background"), LabelClass(0, "tool")), 0),
    ],
)
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_black_is_the_class_that_the_space_says(tmp_path: Path, classes: tuple, black: int, suffix: str) -> None:
    mask = np.zeros((32, 32), np.uint8)
    mask[8:24, 8:24] = 255
    Image.fromarray(mask).save(tmp_path / f"a{suffix}")
    decoded = detect_codec([tmp_path / f"a{suffix}"], LabelSpace("s", classes)).decode(tmp_path / f"a{suffix}")
    assert decoded[0, 0] == black and decoded[16, 16] == next(c.id for c in classes if c.id != black)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("ignore", [None, 0])
def test_which_class_is_black_is_not_guessed(tmp_path: Path, suffix: str, ignore: int | None) -> None:
    mask = np.zeros((32, 32), np.uint8)
    mask[8:24, 8:24] = 255
    Image.fromarray(mask).save(tmp_path / f"a{suffix}")
    space = LabelSpace("s", (LabelClass(1, "tool"), LabelClass(2, "tissue")), ignore=ignore)
    with pytest.raises(DataError, match=rf"a\{suffix}: black and white, and nothing says which of them is 1 tool"):
        detect_codec([tmp_path / f"a{suffix}"], space)


def test_0_and_255_are_ids_where_the_space_says_so(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", np.eye(6, dtype=np.uint8) * 255)
    space = LabelSpace("s", (LabelClass(0, "back"), LabelClass(1, "tool")), ignore=255)
    codec = detect_codec([tmp_path / "a.png"], space)
    assert codec.encoding == "ids" and codec.decode(tmp_path / "a.png").max() == 255


def test_one_1_among_the_0_and_255_of_masks_is_refused(tmp_path: Path) -> None:
    y, x = np.mgrid[:64, :64]
    Image.fromarray(((y + x > 60) * 255).astype(np.uint8)).save(tmp_path / "a.jpg")
    write_png(tmp_path / "b.png", np.eye(6, dtype=np.uint8))
    codec = detect_codec([tmp_path / "a.jpg", tmp_path / "b.png"], TWO)
    with pytest.raises(DataError, match=r"b\.png: value 1 \(6 pixels\) is neither 0 nor 255"):
        codec.decode(tmp_path / "b.png")
    assert codec.count_ids(scan_raster(tmp_path / "b.png"))[1] == {1: 6}


def test_soft_edged_png_masks_are_snapped(tmp_path: Path) -> None:
    ramp = np.clip(np.arange(400) * 9 - 1600, 0, 255).astype(np.uint8)
    write_png(tmp_path / "a.png", np.tile(ramp, (50, 1)))
    codec = detect_codec([tmp_path / "a.png"], TWO)
    assert codec.encoding == "two-class"
    np.testing.assert_array_equal(codec.decode(tmp_path / "a.png")[0], ramp >= 128)


def test_an_id_outside_the_space_is_refused_with_file_value_and_count(tmp_path: Path) -> None:
    label_map = np.zeros((5, 5), np.uint8)
    label_map[0, :3] = 77
    write_png(tmp_path / "a.png", label_map)
    codec = detect_codec([tmp_path / "a.png"], CADIS)
    with pytest.raises(DataError, match=r"a\.png: value 77 \(3 pixels\) is outside the label space 'cadis' \(ids 0-35"):
        codec.decode(tmp_path / "a.png")
    assert codec.count_ids(scan_raster(tmp_path / "a.png")) == ({0: 22}, {77: 3})


def test_a_16_bit_id_outside_the_space_is_refused_and_not_wrapped(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", np.full((2, 2), 256, np.uint16))
    with pytest.raises(DataError, match=r"value 256 \(4 pixels\)"):
        detect_codec([tmp_path / "a.png"], CADIS).decode(tmp_path / "a.png")


def test_ids_above_255_are_read(tmp_path: Path) -> None:
    space = LabelSpace("s", (LabelClass(0, "a"), LabelClass(1000, "b")))
    write_png(tmp_path / "a.png", np.array([[0, 1000]], np.uint16))
    decoded = detect_codec([tmp_path / "a.png"], space).decode(tmp_path / "a.png")
    assert decoded.dtype == np.uint16 and decoded.tolist() == [[0, 1000]]


def test_a_colour_that_is_no_class_is_refused(tmp_path: Path) -> None:
    colors = CADIS.colorize(np.arange(36, dtype=np.uint8).reshape(6, 6))
    write_png(tmp_path / "a.png", colors)
    colors[0, 0] = (1, 2, 3)
    write_png(tmp_path / "b.png", colors)
    codec = detect_codec([tmp_path / "a.png", tmp_path / "b.png"], CADIS)
    with pytest.raises(DataError, match=r"b\.png: colour \(1, 2, 3\) \(1 pixel\) is no colour of the .*'cadis'"):
        codec.decode(tmp_path / "b.png")


def test_a_map_whose_channels_differ_among_maps_of_ids_is_refused(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", np.full((4, 4), 5, np.uint8))
    stray = np.full((4, 4, 3), 5, np.uint8)
    stray[0, 0, 2] = 6
    write_png(tmp_path / "b.png", stray)
    codec = detect_codec([tmp_path / "a.png", tmp_path / "b.png"], CADIS)
    assert (codec.decode(tmp_path / "a.png") == 5).all()
    with pytest.raises(DataError, match=r"b\.png: colours .*\(5, 5, 6\) \(1 pixel\) are no id: the channels differ"):
        codec.decode(tmp_path / "b.png")


def test_colour_coding_needs_distinct_colours(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", np.zeros((2, 2, 3), np.uint8) + np.array([1, 2, 3], np.uint8))
    space = LabelSpace("s", (LabelClass(0, "a", color=(1, 2, 3)), LabelClass(1, "b", color=(1, 2, 3))))
    with pytest.raises(DataError, match=r"a and b share the colour \(1, 2, 3\)"):
        detect_codec([tmp_path / "a.png"], space)


def test_palettes_by_colour_and_palettes_that_contradict(tmp_path: Path) -> None:
    """Indices that are no ids are read by colour; indices that are other ids than their colours are refused."""
    label_map = np.array([[30, 31], [31, 30]], np.uint8)
    image = Image.fromarray(np.array([[200, 201], [201, 200]], np.uint8)).convert("P")
    palette = np.zeros((256, 3), np.uint8)
    palette[200:202] = CADIS.palette[30:32]
    image.putpalette(palette.ravel().tolist())
    image.save(tmp_path / "a.png")
    codec = detect_codec([tmp_path / "a.png"], CADIS)
    assert codec.encoding == "colors"
    np.testing.assert_array_equal(codec.decode(tmp_path / "a.png"), label_map)
    assert codec.count_ids(scan_raster(tmp_path / "a.png")) == ({30: 2, 31: 2}, {})

    image = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8)).convert("P")
    image.putpalette(CADIS.palette[30:32].ravel().tolist())
    image.save(tmp_path / "b.png")
    with pytest.raises(DataError, match=r"b\.png: palette index 0 has the colour .* which is class 30"):
        detect_codec([tmp_path / "b.png"], CADIS)


def test_lossy_maps_of_more_than_two_classes_are_refused(tmp_path: Path) -> None:
    stripes = np.repeat(np.array([0, 128, 255], np.uint8), 32)[None].repeat(32, 0)
    Image.fromarray(stripes).save(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"a\.jpg: 1,024 pixels of a lossy mask .* most of them about 128"):
        detect_codec([tmp_path / "a.jpg"], TWO)
    with pytest.raises(DataError, match=r"a\.jpg: a lossy label map .* 'cadis' has 36; save label maps as PNG"):
        detect_codec([tmp_path / "a.jpg"], CADIS)
    Image.fromarray(CADIS.colorize(stripes // 128)).save(tmp_path / "b.jpg")
    with pytest.raises(DataError, match=r"b\.jpg: colours of a lossy file"):
        detect_codec([tmp_path / "b.jpg"], CADIS)


def test_small_ids_saved_as_jpeg_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((32, 32), 1, np.uint8)).save(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"a\.jpg: values from 0 to 1 in a lossy file"):
        detect_codec([tmp_path / "a.jpg"], TWO)


def test_photographs_are_no_label_maps(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8))
    with pytest.raises(DataError, match=r"a\.png: holds [\d,]+ colours, as a photograph does"):
        detect_codec([tmp_path / "a.png"], CADIS)


@pytest.mark.parametrize("encoding", ["grey", "color"])
@pytest.mark.parametrize("task", [1, 2, 3])
def test_maps_of_36_ids_are_regrouped_for_a_task(tmp_path: Path, task: int, encoding: str) -> None:
    space = load_space(f"cadis-task{task}")
    label_map = np.arange(36, dtype=np.uint8).reshape(6, 6)
    codec = detect_codec([_save(tmp_path / "a.png", label_map, encoding)], space)
    decoded = codec.decode(tmp_path / "a.png")
    expected = {1: [7] * 29, 3: [*range(7, 25), *[255] * 11]}.get(task)
    assert decoded.ravel().tolist()[:7] == list(range(7))
    if expected:
        assert decoded.ravel().tolist()[7:] == expected
    else:
        assert decoded.ravel()[[7, 8, 10, 27, 20, 32]].tolist() == [7] * 6 and decoded.ravel()[35] == 255


def test_ids_that_could_be_either_are_the_tasks_unless_told(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.png", np.array([[8, 16]], np.uint8), "grey")
    space = load_space("cadis-task2")
    assert detect_codec([path], space).decode(path).tolist() == [[8, 16]]
    codec = detect_codec([path], space, prefer_remap=True)
    assert codec.remapped == "cadis" and codec.decode(path).tolist() == [[7, 14]]


def test_a_task_map_with_its_ignore_value_is_not_regrouped(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.png", np.array([[8, 255]], np.uint8), "grey")
    codec = detect_codec([path], load_space("cadis-task2"), prefer_remap=True)
    assert codec.remapped is None and codec.decode(path).tolist() == [[8, 255]]


def test_nothing_readable(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no")
    with pytest.raises(DataError, match=r"a\.png: cannot be read \(not an image\)"):
        detect_codec([tmp_path / "a.png"], CADIS)
