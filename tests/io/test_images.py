from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from surgaug.errors import DataError
from surgaug.io.images import (
    DIGESTED_WHOLE,
    MAX_PIXELS,
    check_image,
    file_digest,
    image_size,
    is_image_file,
    read_image,
    read_raw,
    unturned,
)

IDS = np.arange(16, dtype=np.uint8).reshape(4, 4)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(width: int, height: int, bits: int, rows: bytes) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_grey_png_of_few_bits_is_not_stretched(tmp_path: Path, bits: int) -> None:
    ids = IDS % 2**bits
    rows = b""
    for row in ids:
        packed = 0
        for value in row:
            packed = packed << bits | int(value)
        rows += b"\0" + (packed << (8 - 4 * bits) % 8).to_bytes((4 * bits + 7) // 8, "big")
    (tmp_path / "a.png").write_bytes(_png(4, 4, bits, rows))
    np.testing.assert_array_equal(read_raw(tmp_path / "a.png").values, ids)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.gif"])
def test_palette_files_give_indices(tmp_path: Path, name: str) -> None:
    image = Image.fromarray(IDS).convert("P")
    image.putpalette([255 - v for v in range(48)])
    image.save(tmp_path / name)
    raw = read_raw(tmp_path / name)
    np.testing.assert_array_equal(raw.values, IDS)
    assert raw.palette[1] == 0xFCFBFA and not raw.color and not raw.lossy


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bits_are_kept(tmp_path: Path, name: str) -> None:
    ids = IDS.astype(np.uint16) * 4000
    cv2.imwrite(str(tmp_path / name), ids)
    np.testing.assert_array_equal(read_raw(tmp_path / name).values, ids)


def test_16_bit_rgb_with_equal_channels_is_kept(tmp_path: Path) -> None:
    ids = IDS.astype(np.uint16) * 300
    cv2.imwrite(str(tmp_path / "a.png"), np.dstack([ids] * 3))
    cv2.imwrite(str(tmp_path / "b.png"), np.dstack([ids, ids, ids, np.full_like(ids, 65535)]))
    np.testing.assert_array_equal(read_raw(tmp_path / "a.png").values, ids)
    np.testing.assert_array_equal(read_raw(tmp_path / "b.png").values, ids)


@pytest.mark.parametrize("alpha", [0, 7, 255])
@pytest.mark.parametrize("channels", [1, 3])
def test_constant_alpha_goes(tmp_path: Path, alpha: int, channels: int) -> None:
    Image.fromarray(np.dstack([IDS] * channels + [np.full_like(IDS, alpha)])).save(tmp_path / "a.png")
    raw = read_raw(tmp_path / "a.png")
    np.testing.assert_array_equal(raw.values, IDS)
    assert not raw.color


def test_alpha_that_varies_is_refused_with_its_range(tmp_path: Path) -> None:
    alpha = np.full_like(IDS, 255)
    alpha[1, 2] = 30
    Image.fromarray(np.dstack([IDS, IDS, IDS, alpha])).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: its alpha channel varies \(30 to 255\).*save .* without alpha"):
        read_raw(tmp_path / "a.png")


def test_channels_that_differ_are_colours(tmp_path: Path) -> None:
    Image.fromarray(np.dstack([IDS, IDS + 1, IDS + 2])).save(tmp_path / "a.png")
    raw = read_raw(tmp_path / "a.png")
    assert raw.color and raw.values[0, 3] == 0x030405


def test_whole_float_values_are_ids_and_others_are_refused(tmp_path: Path) -> None:
    Image.fromarray(IDS.astype(np.float32)).save(tmp_path / "a.tif")
    raw = read_raw(tmp_path / "a.tif").values
    assert raw.dtype == np.uint8 and (raw == IDS).all()
    Image.fromarray(IDS.astype(np.float32) / 2).save(tmp_path / "b.tif")
    with pytest.raises(DataError, match=r"b\.tif: values from 0\.0 to 7\.5; ids are whole numbers"):
        read_raw(tmp_path / "b.tif")
    Image.fromarray(IDS.astype(np.int32) - 1).save(tmp_path / "c.tif")
    with pytest.raises(DataError, match=r"c\.tif: values from -1"):
        read_raw(tmp_path / "c.tif")


def test_several_pages_are_refused(tmp_path: Path) -> None:
    Image.fromarray(IDS).save(tmp_path / "a.tif", save_all=True, append_images=[Image.fromarray(IDS)])
    with pytest.raises(DataError, match="holds 2 images"):
        read_raw(tmp_path / "a.tif")


def test_jpeg_2000_is_read_as_frames_and_is_lossy_for_ids(tmp_path: Path) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    for name, pixels in (("a.jp2", frame), ("b.j2k", frame[..., 0])):
        Image.fromarray(pixels).save(tmp_path / name)
        assert is_image_file(tmp_path / name) and check_image(tmp_path / name) == (20, 30)
    np.testing.assert_array_equal(read_image(tmp_path / "a.jp2"), frame)
    np.testing.assert_array_equal(read_image(tmp_path / "b.j2k"), np.dstack([frame[..., 0]] * 3))
    assert read_raw(tmp_path / "a.jp2").lossy and read_raw(tmp_path / "b.j2k").lossy


def test_jpeg_2000_of_more_bits_is_refused_as_other_deep_frames_are(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.jp2"), np.random.default_rng(0).integers(0, 4096, (64, 64, 3), dtype=np.uint16))
    with pytest.raises(DataError, match=r"a\.jp2: 16 bits a channel.* save frames with 8 bits"):
        read_image(tmp_path / "a.jp2")
    grey = cv2.imencode(".jp2", np.full((64, 64), 7, np.uint16))[1].tobytes()
    (tmp_path / "b.jp2").write_bytes(grey)
    assert read_raw(tmp_path / "b.jp2").bits == 16
    signed = bytearray(grey)
    signed[signed.index(b"\xff\x4f\xff\x51") + 42] |= 0x80
    (tmp_path / "c.jp2").write_bytes(signed)
    with pytest.raises(DataError, match=r"c\.jp2: of signed samples"):
        read_raw(tmp_path / "c.jp2")


@pytest.mark.parametrize("read", [read_raw, read_image, check_image])
@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "webp", "tif", "jp2"])
def test_truncated_files_are_refused(tmp_path: Path, suffix: str, read) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(noise).save(path)
    assert check_image(path) == (200, 300)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(DataError, match=rf"a\.{suffix}: cannot be read .*restore or remove it"):
        read(path)


@pytest.mark.parametrize("read", [read_raw, read_image, check_image])
def test_what_is_no_image_is_refused(tmp_path: Path, read) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "folder.png").mkdir()
    for name, said in (
        ("empty.png", "empty file"),
        ("text.png", "not an image"),
        ("folder.png", "cannot be read"),
        ("none.png", "no such file"),
    ):
        with pytest.raises(DataError, match=rf"{name}: .*{said}"):
            read(tmp_path / name)


@pytest.mark.parametrize("side", [10_000, 60_000])
@pytest.mark.parametrize("read", [read_raw, read_image, check_image])
def test_image_bombs_are_refused_unopened(tmp_path: Path, side: int, read) -> None:
    (tmp_path / "bomb.png").write_bytes(_png(side, side, 8, b""))
    with pytest.raises(DataError, match=rf"bomb\.png: .*{MAX_PIXELS:,} pixels, the limit"):
        read(tmp_path / "bomb.png")


def test_a_flipped_byte_in_a_png_frame_is_found_without_decoding(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)).save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="checksum"):
        check_image(path)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_frames_become_rgb(tmp_path: Path, mode: str) -> None:
    grey = np.full((3, 5, 3), 102, np.uint8)  # in the web palette too
    suffix = "jpg" if mode == "CMYK" else "png"
    Image.fromarray(grey).convert(mode).save(tmp_path / f"a.{suffix}")
    out = read_image(tmp_path / f"a.{suffix}")
    assert out.shape == (3, 5, 3) and out.dtype == np.uint8
    assert np.abs(out.astype(int) - 102).max() <= (3 if mode == "CMYK" else 0)


@pytest.mark.parametrize("read", [read_image, check_image])
def test_frames_of_16_bits_are_refused(tmp_path: Path, read) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), IDS.astype(np.uint16))
    with pytest.raises(DataError, match=r"a\.png: .*8 bits"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize(("size", "changed"), [(100, 50), (DIGESTED_WHOLE, 7), (3 * DIGESTED_WHOLE, -9)])
def test_digests_of_files_tell_them_apart(tmp_path: Path, size: int, changed: int) -> None:
    content = bytearray(size)
    (tmp_path / "a").write_bytes(content)
    (tmp_path / "same").write_bytes(content)
    (tmp_path / "longer").write_bytes(content + b"\0")
    content[changed] = 1
    (tmp_path / "b").write_bytes(content)
    found = {name: file_digest(tmp_path / name) for name in ("a", "same", "longer", "b")}
    assert found["a"] == found["same"] and len(set(found.values())) == 3


def test_image_files_by_name() -> None:
    assert is_image_file(Path("a.PNG")) and is_image_file(Path("a.jpeg"))
    assert not is_image_file(Path(".a.png")) and not is_image_file(Path("classes.json"))


# EXIF's orientations by their definition: what the stored first row and first column are in the image as shown.
SHOWN = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.flipud(np.fliplr(a)),
    4: np.flipud,
    5: lambda a: a.T,
    6: lambda a: np.fliplr(a.T),
    7: lambda a: np.flipud(np.fliplr(a.T)),
    8: lambda a: np.flipud(a.T),
}


def _oriented(path: Path, pixels: np.ndarray, turn: int, **options: object) -> Path:
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.fromarray(pixels).save(path, exif=exif, **options)
    return path


@pytest.mark.parametrize("turn", SHOWN)
@pytest.mark.parametrize(
    ("name", "options"),
    [("a.png", {}), ("a.webp", {"lossless": True}), ("a.tif", {}), ("b.tif", {"compression": "tiff_lzw"})],
)
def test_files_are_turned_as_exif_says(tmp_path: Path, name: str, options: dict[str, object], turn: int) -> None:
    ids = np.arange(24, dtype=np.uint8).reshape(4, 6)
    path = _oriented(tmp_path / name, ids, turn, **options)
    shown = SHOWN[turn](ids)
    np.testing.assert_array_equal(read_raw(path).values, shown)
    np.testing.assert_array_equal(read_image(path)[..., 0], shown)
    assert image_size(path) == check_image(path) == shown.shape


@pytest.mark.parametrize("turn", SHOWN)
def test_jpeg_frames_are_turned_as_exif_says(tmp_path: Path, turn: int) -> None:
    blocks = np.arange(6, dtype=np.uint8).reshape(2, 3).repeat(16, 0).repeat(16, 1) * 40
    path = _oriented(tmp_path / "a.jpg", blocks, turn, quality=95)
    shown = SHOWN[turn](blocks)
    assert image_size(path) == check_image(path) == shown.shape
    assert np.abs(read_image(path)[..., 0].astype(int) - shown).max() < 8


def test_exif_after_the_pixels_of_a_png_is_found(tmp_path: Path) -> None:
    path = _oriented(tmp_path / "a.png", np.arange(24, dtype=np.uint8).reshape(4, 6), 6)
    content = path.read_bytes()
    start = content.index(b"eXIf") - 4
    length = int.from_bytes(content[start : start + 4], "big") + 12
    path.write_bytes(content[:start] + content[start + length : -12] + content[start : start + length] + content[-12:])
    assert image_size(path) == check_image(path) == read_raw(path).values.shape == (6, 4)


def test_only_the_stored_size_fits_is_said(tmp_path: Path) -> None:
    path = _oriented(tmp_path / "a.jpg", np.zeros((24, 40), np.uint8), 6)
    assert "fits only the image as stored: EXIF's orientation 6" in unturned(path, (24, 40))
    assert unturned(path, (40, 24)) == "" == unturned(path, (1, 1))


def _png16(path: Path, kind: int, channels: np.ndarray) -> Path:
    height, width = channels.shape[:2]
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in channels)
    body = header + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


@pytest.mark.parametrize(("kind", "copies", "alpha"), [(2, 3, 0), (4, 1, 1), (6, 3, 1)])
@pytest.mark.parametrize("factor", [1, 300])
def test_16_bits_of_all_png_kinds_are_kept(tmp_path: Path, kind: int, copies: int, alpha: int, factor: int) -> None:
    ids = IDS.astype(np.uint16) * factor
    path = _png16(tmp_path / "a.png", kind, np.dstack([ids] * copies + [np.full_like(ids, 65535)] * alpha))
    np.testing.assert_array_equal(read_raw(path).values, ids)
    with pytest.raises(DataError, match="16 bits a channel"):
        read_image(path)


@pytest.mark.parametrize(
    ("pixels", "options", "said"),
    [
        (IDS, {"photometric": "miniswhite"}, "zero is white"),
        (IDS.astype(np.uint16), {"photometric": "miniswhite"}, "zero is white"),
        (IDS > 3, {}, "zero is white"),  # as tifffile and scikit-image write booleans
        (IDS.astype(np.int8) - 1, {}, "signed bytes"),
        (np.dstack([IDS, IDS]), {"photometric": "minisblack", "planarconfig": "contig"}, "2 bands"),
        (np.dstack([IDS] * 3).astype(np.uint16), {"photometric": "rgb"}, "3 channels of 16 bits"),
        (IDS.astype(np.float64), {}, "cannot be read"),
        (IDS.astype(np.uint64), {}, "cannot be read"),
        (np.dstack([IDS] * 4), {"photometric": "rgb", "extrasamples": ["assocalpha"]}, "alpha"),
    ],
)
def test_tiffs_of_which_numbers_and_greys_differ_are_refused(
    tmp_path: Path, pixels: np.ndarray, options: dict[str, object], said: str
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", pixels, **options)
    with pytest.raises(DataError, match=rf"a\.tif: .*{said}"):
        read_raw(tmp_path / "a.tif")


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int16, np.int32, np.float32])
def test_tiffs_of_numbers_are_read(tmp_path: Path, dtype: type, byteorder: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", IDS.astype(dtype), byteorder=byteorder, photometric="minisblack")
    if (dtype, byteorder) == (np.uint32, ">"):  # PIL knows no such file
        with pytest.raises(DataError, match=r"a\.tif: a TIFF of a kind that cannot be read"):
            read_raw(tmp_path / "a.tif")
        return
    np.testing.assert_array_equal(read_raw(tmp_path / "a.tif").values, IDS)


def test_lossy_is_told_by_the_content(tmp_path: Path) -> None:
    Image.fromarray(IDS).save(tmp_path / "a.webp", lossless=True)
    Image.fromarray(IDS).save(tmp_path / "b.webp", quality=80)
    Image.fromarray(IDS).save(tmp_path / "c.png", "JPEG")
    Image.fromarray(np.dstack([IDS] * 3)).save(tmp_path / "d.tif", compression="jpeg")
    Image.fromarray(IDS).save(tmp_path / "e.tif", compression="tiff_lzw")
    found = {path.name: read_raw(path).lossy for path in tmp_path.iterdir()}
    assert found == {"a.webp": False, "b.webp": True, "c.png": True, "d.tif": True, "e.tif": False}


def test_lossless_webp_that_was_transparent_throughout_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.dstack([IDS, IDS, IDS, np.zeros_like(IDS)])).save(tmp_path / "a.webp", lossless=True)
    with pytest.raises(DataError, match=r"a\.webp: transparent throughout"):
        read_raw(tmp_path / "a.webp")


@pytest.mark.parametrize("grey", [False, True])
def test_eight_bits_stretched_to_sixteen_are_the_eight_bits(tmp_path, grey):
    image = np.random.default_rng(0).integers(0, 256, (9, 14) if grey else (9, 14, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), image.astype(np.uint16) * 257)
    expected = np.stack([image] * 3, -1) if grey else image[..., ::-1]
    assert np.array_equal(read_image(tmp_path / "a.png"), expected)
    assert check_image(tmp_path / "a.png") == (9, 14)
    cv2.imwrite(str(tmp_path / "b.png"), image.astype(np.uint16) * 4)  # 10 bits in use
    for read in (read_image, check_image):
        with pytest.raises(DataError, match="16 bits"):
            read(tmp_path / "b.png")


def test_a_change_in_the_middle_of_a_large_file_shows_where_pixels_lie_open(tmp_path):
    found = {}
    for name in ("a.bmp", "a.png"):
        file, content = tmp_path / name, bytearray(3 * DIGESTED_WHOLE)
        file.write_bytes(content)
        before = file_digest(file)
        content[len(content) // 2] = 1
        file.write_bytes(content)
        found[name] = before, file_digest(file)
    assert found["a.bmp"][0] != found["a.bmp"][1]
    assert found["a.png"][0] == found["a.png"][1]  # of which no part can change alone
    assert found["a.bmp"][0].startswith(found["a.png"][0])
