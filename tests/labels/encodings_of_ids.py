"""Writers of label maps in every encoding that the readers claim, each with what it means by its numbers."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

# EXIF's orientations, inverted: from the pixels as shown to those stored.
STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}
Writer = Callable[[Path, np.ndarray, int], Path]


def exif(turn: int) -> Image.Exif:
    """EXIF data with that orientation."""
    tags = Image.Exif()
    if turn > 1:
        tags[0x0112] = turn
    return tags


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def write_raw_png(path: Path, samples: np.ndarray, bits: int, kind: int, turn: int = 1) -> Path:
    """A PNG of `samples` [H, W] or [H, W, C] with `bits` a sample; kind: the colour type of the standard."""
    samples = STORED[turn](samples)
    height, width = samples.shape[:2]
    flat = samples.reshape(height, -1)
    if bits == 16:
        packed = [row.astype(">u2").tobytes() for row in flat]
    else:
        shifts = np.arange(bits - 1, -1, -1)
        packed = [np.packbits((row[:, None] >> shifts & 1).astype(np.uint8).ravel()).tobytes() for row in flat]
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0))
    tags = _chunk(b"eXIf", exif(turn).tobytes().removeprefix(b"Exif\0\0")) if turn > 1 else b""
    pixels = _chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in packed)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + tags + pixels + _chunk(b"IEND", b""))
    return path


def _save(path: Path, pixels: np.ndarray, turn: int, **options: object) -> Path:
    Image.fromarray(np.ascontiguousarray(STORED[turn](pixels))).save(path, exif=exif(turn), **options)
    return path


def _alike(channels: int, alpha: int | None = None) -> Callable[[np.ndarray], np.ndarray]:
    def stacked(ids: np.ndarray) -> np.ndarray:
        return np.dstack([ids] * channels + ([] if alpha is None else [np.full_like(ids, alpha)]))

    return stacked


def _tiff(path: Path, pixels: np.ndarray, **options: object) -> Path:
    tifffile.imwrite(path, pixels, **{"photometric": "minisblack", **options})
    return path


def palette_image(indices: np.ndarray, colors: np.ndarray) -> Image.Image:
    """A palette image of those indices [H, W] and colours [N, 3]."""
    image = Image.frombytes("P", indices.shape[::-1], np.ascontiguousarray(indices, np.uint8).tobytes())
    image.putpalette(np.asarray(colors, np.uint8).ravel().tolist())
    return image


def write_palette(path: Path, indices: np.ndarray, colors: np.ndarray, turn: int = 1) -> Path:
    """A palette file: PNG, TIFF, GIF or BMP (the last two know no orientation)."""
    can_turn = path.suffix in (".png", ".tif")
    image = palette_image(STORED[turn](indices) if can_turn else indices, colors)
    image.save(path, **({"exif": exif(turn)} if can_turn else {}))
    return path


# Ids of 8 bits, by a name for each file kind: (suffix, writer).
IDS_8: dict[str, tuple[str, Writer]] = {
    "png L": (".png", lambda p, a, t: _save(p, a, t)),
    "png LA": (".png", lambda p, a, t: _save(p, _alike(1, 255)(a), t)),
    "png RGB": (".png", lambda p, a, t: _save(p, _alike(3)(a), t)),
    "png RGBA": (".png", lambda p, a, t: _save(p, _alike(3, 255)(a), t)),
    "png RGBA clear": (".png", lambda p, a, t: _save(p, _alike(3, 0)(a), t)),
    "png 16": (".png", lambda p, a, t: write_raw_png(p, a, 16, 0, t)),
    "png LA 16": (
        ".png",
        lambda p, a, t: write_raw_png(p, np.dstack([a, np.full(a.shape, 9)]), 16, 4, t),
    ),
    "png RGB 16": (".png", lambda p, a, t: write_raw_png(p, np.dstack([a] * 3), 16, 2, t)),
    "png RGBA 16": (".png", lambda p, a, t: write_raw_png(p, np.dstack([a] * 3 + [a * 0 + 255]), 16, 6, t)),
    "tiff L": (".tif", lambda p, a, t: _save(p, a, t)),
    "tiff lzw": (".tif", lambda p, a, t: _save(p, a, t, compression="tiff_lzw")),
    "tiff packbits": (".tif", lambda p, a, t: _save(p, a, t, compression="packbits")),
    "tiff RGB": (".tif", lambda p, a, t: _save(p, _alike(3)(a), t, compression="tiff_deflate")),
    "tiff RGBA": (".tif", lambda p, a, t: _save(p, _alike(3, 255)(a), t)),
    "tiff int": (".tif", lambda p, a, t: _save(p, a.astype(np.int32), t)),
    "tiff float": (".tif", lambda p, a, t: _save(p, a.astype(np.float32), t)),
    "tiff 16": (".tif", lambda p, a, t: _save(p, a.astype(np.uint16), t)),
    "tiff 16 big-endian": (".tif", lambda p, a, t: _tiff(p, a.astype(np.uint16), byteorder=">")),
    "tiff signed 16": (".tif", lambda p, a, t: _tiff(p, a.astype(np.int16))),
    "tiff signed 8": (".tif", lambda p, a, t: _tiff(p, a.astype(np.int8))),
    "tiff half": (".tif", lambda p, a, t: _tiff(p, a.astype(np.float16))),
    "tiff double": (".tif", lambda p, a, t: _tiff(p, a.astype(np.float64))),
    "tiff 64": (".tif", lambda p, a, t: _tiff(p, a.astype(np.int64))),
    "tiff tiled": (".tif", lambda p, a, t: _tiff(p, a, tile=(16, 16), compression="zlib", predictor=True)),
    "tiff planar": (".tif", lambda p, a, t: _tiff(p, np.stack([a] * 3), photometric="rgb", planarconfig="separate")),
    "tiff white is zero": (".tif", lambda p, a, t: _tiff(p, a, photometric="miniswhite")),
    "tiff two bands": (".tif", lambda p, a, t: _tiff(p, np.dstack([a * 0, a]), planarconfig="contig")),
    "tiff associated": (
        ".tif",
        lambda p, a, t: _tiff(p, np.dstack([a] * 3 + [a * 0 + 128]), photometric="rgb", extrasamples=["assocalpha"]),
    ),
    "bmp L": (".bmp", lambda p, a, t: _save_plain(p, a)),
    "bmp RGB": (".bmp", lambda p, a, t: _save_plain(p, _alike(3)(a))),
    "gif": (".gif", lambda p, a, t: _save_plain(p, a)),
    "webp": (".webp", lambda p, a, t: _save(p, _alike(3)(a), t, lossless=True)),
    "webp alpha": (".webp", lambda p, a, t: _save(p, _alike(3, 9)(a), t, lossless=True)),
    "webp clear": (".webp", lambda p, a, t: _save(p, _alike(3, 0)(a), t, lossless=True)),
}


def _save_plain(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def as_optimised(path: Path, ids: np.ndarray, turn: int, choice: int) -> Path:
    """A PNG that shows the same greys as one of 8 bits, as optipng, oxipng or pngquant would store it.

    choice: 0 for the fewest bits of grey that can, 1 for a palette of the greys in use, 2 for one of all up to the
    highest, 3 for three channels.
    """
    if choice == 0:
        for bits in (1, 2, 4):
            step = 255 // (2**bits - 1)
            if (ids % step == 0).all():
                return write_raw_png(path, ids // step, bits, 0, turn)
        return write_raw_png(path, ids, 8, 0, turn)
    if choice == 1:
        greys = np.unique(ids)
        return write_palette(path, np.searchsorted(greys, ids), np.repeat(greys, 3), turn)
    if choice == 2:
        return write_palette(path, ids, np.repeat(np.arange(int(ids.max()) + 1), 3), turn)
    return _save(path, np.dstack([ids] * 3), turn)
