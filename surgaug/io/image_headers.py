"""What an image file's header says that PIL's mode does not: bits a sample, loss, orientation, samples of odd kinds."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image

# What PIL raises on damaged files.
READ_ERRORS = (OSError, ValueError, SyntaxError, struct.error, zlib.error, EOFError, IndexError, TypeError, KeyError)
_LOSSLESS = ("PNG", "BMP", "DIB", "GIF", "PPM")
_LOSSY_TIFF = ("jpeg", "tiff_jpeg", "webp", "tiff_sgilog", "tiff_sgilog24")
_BITS, _PHOTOMETRIC, _EXTRA, _SAMPLE_FORMAT = 258, 262, 338, 339
_WHITE_IS_ZERO, _SIGNED, _UNSPECIFIED, _PREMULTIPLIED = 0, 2, 0, 1
_CODE_STREAM, _COMPONENTS = b"\xff\x4f\xff\x51", 40  # markers SOC and SIZ; where SIZ counts its components
_TEXT_CHUNKS = (b"eXIf", b"tEXt", b"zTXt", b"iTXt")

# EXIF's orientations: from the stored pixels [H, W, ...] to those shown.
TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.swapaxes(a, 0, 1)[::-1, ::-1],
    8: lambda a: np.rot90(a),
}


@dataclass(frozen=True)
class Stored:
    """What a file stores.

    bits: of a sample; 8 for palette files. lossy: its pixels need not be those that were saved. premultiplied: colours
    are multiplied by alpha. problem: why its samples cannot be taken for ids.
    """

    bits: int = 8
    lossy: bool = True
    premultiplied: bool = False
    problem: str | None = None


def stored_in(image: Image.Image, file: BinaryIO) -> Stored:
    """What the opened `image` of `file` stores; call it before the pixels are loaded. Leaves `file` where it was."""
    position = file.tell()
    try:
        if image.format == "PNG":
            return Stored(bits=_png_bits(file), lossy=False)
        if image.format == "WEBP":
            return Stored(lossy=_webp_is_lossy(file))
        if image.format == "JPEG2000":
            return _jpeg2000(file)
    finally:
        file.seek(position)
    if image.format == "TIFF":
        return _tiff(image)
    return Stored(bits=1 if image.mode == "1" else 8, lossy=image.format not in _LOSSLESS)


def orientation(image: Image.Image) -> int:
    """EXIF's orientation of an opened image, 1 to 8; 1 without, where EXIF is damaged, and for TIFF: PIL turns it."""
    if image.format == "TIFF":
        return 1
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except READ_ERRORS:
        return 1
    return found if found in TURNS else 1


def has_late_text(file: BinaryIO) -> bool:
    """Whether a PNG has EXIF or text after its pixels, which PIL finds only when it decodes them."""
    file.seek(8)
    pixels = False
    for kind in _chunks(file, ">I4s", 4, even=False):
        pixels |= kind == b"IDAT"
        if pixels and kind in _TEXT_CHUNKS:
            return True
    return False


def _png_bits(file: BinaryIO) -> int:
    file.seek(0)
    header = file.read(26)
    palette = header[25] == 3
    return 8 if palette else header[24]


def _webp_is_lossy(file: BinaryIO) -> bool:
    file.seek(12)
    for kind in _chunks(file, "<4sI", 0, even=True):
        if kind in (b"VP8L", b"VP8 "):
            return kind == b"VP8 "
    return True


def _jpeg2000(file: BinaryIO) -> Stored:
    """By the segment SIZ, which begins the code stream (ISO/IEC 15444-1, A.5.1). Whether bits were dropped cannot be
    told: a reversible transform may be cut off too."""
    file.seek(0)
    start = file.read(1 << 16)
    at = start.find(_CODE_STREAM)
    if at < 0:
        start += file.read()
        at = start.find(_CODE_STREAM)
    (components,) = struct.unpack_from(">H", start, at + _COMPONENTS)
    depths = start[at + _COMPONENTS + 2 :: 3][:components]
    signed = any(depth & 0x80 for depth in depths)
    return Stored(bits=1 + max(depth & 0x7F for depth in depths), problem="of signed samples" if signed else None)


def _chunks(file: BinaryIO, head: str, trailer: int, even: bool) -> Iterator[bytes]:
    """The kinds of a PNG's or WebP's chunks."""
    while len(begin := file.read(8)) == 8:
        first, second = struct.unpack(head, begin)
        kind, length = (first, second) if isinstance(first, bytes) else (second, first)
        yield kind
        if kind == b"ANMF":  # a frame's chunks follow its 16 bytes
            length = 16
        file.seek(length + trailer + (length % 2 if even else 0), 1)


def _tiff(image: Image.Image) -> Stored:
    tags = image.tag_v2  # type: ignore[attr-defined]
    bits, extra, formats = (_tuple(tags.get(tag)) for tag in (_BITS, _EXTRA, _SAMPLE_FORMAT))
    depth = max(bits or (1,))
    problem = None
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        problem = "a TIFF in which zero is white, so that its numbers and its greys differ"
    elif _SIGNED in formats and depth == 8:
        problem = "a TIFF of signed bytes"
    elif _UNSPECIFIED in extra:
        problem = f"a TIFF of {len(bits)} bands, of which one would be read"
    elif depth > 8 and len(bits) > 1:
        problem = f"a TIFF of {len(bits)} channels of {depth} bits"
    return Stored(
        bits=8 if image.mode == "P" else depth,
        lossy=image.info.get("compression") in _LOSSY_TIFF,
        premultiplied=_PREMULTIPLIED in extra,
        problem=problem,
    )


def _tuple(value: object) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, tuple) else () if value is None else (int(str(value)),)
