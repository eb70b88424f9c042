"""Image files to arrays, with the values that they store, turned as they are shown. What PIL would silently scale, drop
or leave unturned is undone or refused."""

from __future__ import annotations

import hashlib
import io
import math
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from surgaug.errors import DataError
from surgaug.io.image_headers import READ_ERRORS, TURNS, Stored, has_late_text, orientation, stored_in

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".jp2", ".j2k")
ARRAY_SUFFIXES = (".npy", ".npz")  # NumPy's, of label maps alone
# PIL's own warning level; a file may claim any size in a few bytes (a "decompression bomb").
MAX_PIXELS = 89_478_485
LOSSY = "lossy (JPEG, JPEG 2000, WebP), so that its numbers need not be those that were saved; save label maps as PNG"
# Bytes; of larger files the two ends are digested, which any change moves where pixels are compressed.
DIGESTED_WHOLE = 1 << 20
COMPRESSED = (".png", ".jpg", ".jpeg", ".webp")
# PIL stretches grey files of few bits to 0..255; the ids are got back by division.
_STRETCH = {2: 85, 4: 17}
_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_LABEL_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I;16L", "I;16B", "I", "F")
# Such files are refused below, in our own words.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


@dataclass(frozen=True)
class Raw:
    """A label file's values before they mean anything.

    values: [H, W] uint8 or uint16 (grey, or the indices of a palette), or int32 0xRRGGBB where `color`.
    palette: colour 0xRRGGBB by index, for palette files. lossy: JPEG and the like. bits: of a stored sample.
    channels: 1 (grey, palette) or 3, as stored.
    """

    values: np.ndarray
    color: bool
    lossy: bool
    palette: np.ndarray | None = None
    bits: int = 8
    channels: int = 1


def read_raw(path: Path) -> Raw:
    """Read a label map file, turned as its EXIF orientation says.

    Grey (1 to 16 bits), palette, RGB and RGBA files, and NumPy arrays; equal channels become one, an alpha channel of
    one value goes.

    Raises:
        DataError: unreadable or truncated, larger than `MAX_PIXELS`, several images, alpha that varies, values that are
            not whole, samples that are no ids (CMYK; TIFFs in which zero is white, or of several bands).
    """
    if path.suffix.lower() in ARRAY_SUFFIXES:
        return _read_array(path)
    with _opened(path) as (image, stored):
        if stored.problem:
            raise DataError(f"{path}: {stored.problem}; save the label map as a PNG of ids")
        _load(image, path)
        if image.mode not in _LABEL_MODES:
            raise DataError(
                f"{path}: {image.mode} pixels are neither ids nor colours; save the label map as a PNG of ids"
            )
        palette = _palette(image)
        deep_color = stored.bits > 8 and image.mode in ("LA", "RGB", "RGBA")
        array = _turned(_deep_color(path) if deep_color else np.asarray(image), image)
        format_ = image.format
    array = _without_alpha(array, path, stored, format_)
    channels = 1 if array.ndim == 2 else 3
    color = False
    if array.ndim == 3:
        array, color = _merged(array, stored.lossy, path)
    if not color:
        array = _whole(array, path)
    stretch = _STRETCH.get(stored.bits, 1) if channels == 1 and palette is None else 1
    return Raw(array // stretch if stretch > 1 else array, color, stored.lossy, palette, stored.bits, channels)


def read_numbers(path: Path) -> np.ndarray:
    """The numbers [H, W] of a label file that is known to hold such: uint8 or uint16 (see `as_numbers`).

    Raises DataError as `read_raw` and `as_numbers` do, and for colours and lossy files, which hold none.
    """
    raw = read_raw(path)
    if raw.color:
        raise DataError(f"{path}: the channels differ, where numbers are expected; save it with a single channel")
    if raw.lossy:
        raise DataError(f"{path}: {LOSSY}")
    return as_numbers(raw, path)


def as_numbers(raw: Raw, path: Path) -> np.ndarray:
    """The values [H, W] of a file in which 0 means "nothing": the greys of a palette file that shows different greys,
    whose indices some programs give in any order, and else what is stored.

    Raises DataError for a coloured palette in which another index than 0 is black.
    """
    if raw.palette is None or raw.color:
        return raw.values
    indices = np.unique(raw.values)
    colors = np.append(raw.palette, 0)[np.minimum(indices, len(raw.palette))]
    greys = colors & 255
    if (colors == greys * 0x010101).all() and len(set(greys.tolist())) == len(indices):
        table = np.zeros(256, np.uint8)
        table[indices] = greys
        return table[raw.values]
    if colors[0] != 0 and (colors[1:] == 0).any():
        black = int(indices[1:][colors[1:] == 0][0])
        raise DataError(
            f"{path}: palette index {indices[0]} is coloured and index {black} black, so that it is open which of them "
            "means nothing; save it as a single channel, with 0 where there is nothing"
        )
    return raw.values


def read_image(path: Path) -> np.ndarray:
    """A frame as RGB uint8 [H, W, 3], turned as its EXIF orientation says; grey and palette files are converted, alpha
    is dropped.

    Raises DataError: unreadable or truncated, larger than `MAX_PIXELS`, several images, samples of more than 8 bits
    unless they are 8 bits stretched.
    """
    with _opened(path) as (image, stored):
        if stored.bits > 8:
            return np.ascontiguousarray(_turned(_deep_frame(path, stored), image))
        _load(image, path)
        try:
            array = np.array(image if image.mode == "RGB" else image.convert("RGB"))
        except READ_ERRORS:
            raise DataError(f"{path}: {image.mode} pixels cannot be made RGB; save frames as RGB") from None
        return np.ascontiguousarray(_turned(array, image))


def check_image(path: Path) -> tuple[int, int]:
    """(H, W) of a frame as shown, after making sure as cheaply as can be that it will decode.

    PNG: the checksum of every chunk; JPEG: decoded at an eighth of the size; others: decoded. Raises DataError.
    """
    with _opened(path) as (image, stored):
        if stored.bits > 8:
            return read_image(path).shape[:2]
        hw, turn = _stored_size(image, path)
        if image.format == "JPEG":
            image.draft(None, (image.width // 8 or 1, image.height // 8 or 1))
        _load(image, path, only_verify=image.format == "PNG" and bool(getattr(image, "tile", None)))
    return _shown(hw, turn)


def image_size(path: Path) -> tuple[int, int]:
    """(H, W) as shown, without decoding it. Raises DataError: no image, or larger than `MAX_PIXELS`."""
    return _shown(*stored_size(path))


def stored_size(path: Path) -> tuple[tuple[int, int], int]:
    """(H, W) as stored, and EXIF's orientation: from 5 on height and width change places where it is shown.

    Raises DataError as `image_size` does.
    """
    with _opened(path) as (image, _):
        return _stored_size(image, path)


def unturned(path: Path, hw: tuple[int, int]) -> str:
    """Why an image is not of the size `hw` though its file is: what EXIF does to it, and the cure; "" otherwise."""
    stored, turn = stored_size(path)
    if turn == 1 or stored != hw or _shown(stored, turn) == hw:
        return ""
    return (
        f", which fits only the image as stored: EXIF's orientation {turn} turns it. Turn the label map too, or remove "
        "the tag"
    )


def file_digest(path: Path) -> str:
    """A digest of an image file as it is stored, 16 hexadecimal digits. OSError where it cannot be read.

    Of the two ends; behind it, for large files of pixels that are not compressed, 16 more of the whole file.
    """
    size, found, whole = path.stat().st_size, hashlib.blake2b(digest_size=8), hashlib.blake2b(digest_size=8)
    with path.open("rb") as file:
        found.update(b"%d " % size)
        found.update(file.read(DIGESTED_WHOLE if size <= DIGESTED_WHOLE else DIGESTED_WHOLE // 2))
        if size > DIGESTED_WHOLE:
            file.seek(size - DIGESTED_WHOLE // 2)
            found.update(file.read())
        ends = found.hexdigest()
        if size <= DIGESTED_WHOLE or path.suffix.lower() in COMPRESSED:
            return ends
        file.seek(0)
        while chunk := file.read(DIGESTED_WHOLE):
            whole.update(chunk)
    return ends + whole.hexdigest()


def is_image_file(path: Path) -> bool:
    """By its name: a known suffix, not hidden."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def is_label_file(path: Path) -> bool:
    """By its name: an image file, or an array of NumPy's."""
    return is_image_file(path) or (path.suffix.lower() in ARRAY_SUFFIXES and not path.name.startswith("."))


def is_broken_link(path: Path) -> bool:
    """Whether a file was to be here that is not, as with data that a tool keeps elsewhere and has not fetched."""
    return path.is_symlink() and not path.exists()


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Image.Image, Stored]]:
    """The image of a file, its pixels not yet loaded, and what the file stores."""
    try:
        # Given a path, PIL would map uncompressed TIFFs to memory, and forget to turn them.
        file = path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from error
    with file:
        try:
            image = Image.open(file)
            stored = stored_in(image, file)
            count = getattr(image, "n_frames", 1) if image.format != "MPO" else 1
        except Image.DecompressionBombError:
            raise DataError(f"{path}: larger than {MAX_PIXELS:,} pixels, the limit; make it smaller") from None
        except READ_ERRORS as error:
            raise _unreadable(path, error) from error
        with image:
            if image.width * image.height > MAX_PIXELS:
                size = f"{image.height}x{image.width}"
                raise DataError(f"{path}: {size} is more than {MAX_PIXELS:,} pixels, the limit; make it smaller")
            if count > 1:
                raise DataError(
                    f"{path}: holds {count} images, of which one would be read; save each as a PNG of its own"
                )
            yield image, stored


def _stored_size(image: Image.Image, path: Path) -> tuple[tuple[int, int], int]:
    hw = image.height, image.width
    if image.format == "PNG" and not image.info.keys() & {"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"}:
        with path.open("rb") as file:
            if not has_late_text(file):
                return hw, 1  # asking PIL would decode it
        _load(image, path)
    return hw, orientation(image)


def _shown(hw: tuple[int, int], turn: int) -> tuple[int, int]:
    return (hw[1], hw[0]) if turn >= 5 else hw


def _load(image: Image.Image, path: Path, only_verify: bool = False) -> None:
    try:
        image.verify() if only_verify else image.load()
    except READ_ERRORS as error:
        raise _unreadable(path, error) from error


def _turned(array: np.ndarray, image: Image.Image) -> np.ndarray:
    return TURNS.get(orientation(image), lambda a: a)(array)


def _deep_frame(path: Path, stored: Stored) -> np.ndarray:
    """RGB uint8 of a 16-bit frame whose samples are 8 bits stretched (v * 257). DataError for any other: how many of
    its bits are in use cannot be told."""
    found = _deep_pixels(path) if stored.bits == 16 else None
    if found is None or found.dtype != np.uint16 or (found % 257).any():
        raise DataError(
            f"{path}: {stored.bits} bits a channel, of which any number may be in use (10, 12, 16); save frames with "
            "8 bits a channel"
        )
    eight = (found // 257).astype(np.uint8)
    return np.stack([eight] * 3, axis=-1) if eight.ndim == 2 else eight[..., :3]


def _unreadable(path: Path, error: BaseException) -> DataError:
    if is_broken_link(path):
        return DataError(
            f"{path}: a link to {path.readlink()}, which is not there; fetch that file, or remove the link"
        )
    if not path.exists():
        return DataError(f"{path}: no such file")
    if path.is_file() and path.stat().st_size == 0:
        return DataError(f"{path}: empty file; restore or remove it")
    if isinstance(error, UnidentifiedImageError):
        with path.open("rb") as file:
            if file.read(4) in _TIFF_MAGIC:
                return DataError(
                    f"{path}: a TIFF of a kind that cannot be read (64-bit or half floats, say); save it as PNG"
                )
    reason = "not an image" if isinstance(error, UnidentifiedImageError) else str(error) or type(error).__name__
    return DataError(f"{path}: cannot be read ({reason}); restore or remove it")


def _palette(image: Image.Image) -> np.ndarray | None:
    if image.mode != "P":
        return None
    flat = np.array(image.getpalette("RGB") or [], np.int32).reshape(-1, 3)
    return packed(flat)


def _deep_color(path: Path) -> np.ndarray:
    """Channels of 16 bits each (grey thrice): red, green, blue and, if any, alpha."""
    found = _deep_pixels(path)
    if found is None:
        raise DataError(f"{path}: cannot be read; restore or remove it")
    return found


def _deep_pixels(path: Path) -> np.ndarray | None:
    """All bits of a file of which PIL would keep 8 in colour, red first; None where OpenCV cannot read it."""
    found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return found if found is None or found.ndim == 2 else found[..., [2, 1, 0, 3][: found.shape[2]]]


def _without_alpha(array: np.ndarray, path: Path, stored: Stored, format_: str | None) -> np.ndarray:
    if array.ndim == 2 or array.shape[2] in (1, 3):
        return array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    alpha = array[..., -1]
    if alpha.min() != alpha.max():
        raise DataError(
            f"{path}: its alpha channel varies ({alpha.min()} to {alpha.max()}), so that it is open whether "
            "transparent pixels are labelled; save the label map without alpha"
        )
    if (stored.premultiplied and alpha.min() < 255) or (format_ == "WEBP" and alpha.max() == 0):
        raise DataError(
            f"{path}: transparent throughout, which has changed its values; save the label map without alpha"
        )
    return array[..., 0] if array.shape[2] == 2 else array[..., :3]


def _merged(array: np.ndarray, lossy: bool, path: Path) -> tuple[np.ndarray, bool]:
    """[H, W, 3] to one value a pixel: the channel where all are equal, otherwise the packed colour."""
    red, green, blue = array[..., 0], array[..., 1], array[..., 2]
    if np.array_equal(red, green) and np.array_equal(red, blue):
        return red, False
    if array.dtype != np.uint8:
        raise DataError(f"{path}: colours of 16 bits; save the label map as single-channel ids or 8-bit colours")
    if lossy:
        spread = array.max(axis=2).astype(np.int16) - array.min(axis=2)
        if (spread <= 32).all():  # a grey mask whose chroma the compression touched
            return green, False
    return packed(array), True


def packed(array: np.ndarray) -> np.ndarray:
    """Colours uint8 [..., 3] as 0xRRGGBB, int32 [...]."""
    wide = array.astype(np.int32)
    return (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]


def _read_array(path: Path) -> Raw:
    """An array [H, W] of whole numbers or truth values, or [H, W, 3] of 8-bit colours, alone in its file.

    The header is read first, since it may claim any size, and nothing that could run code is loaded.
    """
    try:
        with path.open("rb") as file:
            if path.suffix.lower() == ".npy":
                array = _array_of(file, path)
            else:
                with zipfile.ZipFile(file) as archive:
                    names = archive.namelist()
                    if len(names) != 1:
                        raise DataError(f"{path}: holds {len(names)} arrays; save each label map in a file of its own")
                    with archive.open(names[0]) as inner:
                        array = _array_of(io.BytesIO(inner.read(9 * MAX_PIXELS)), path)
    except (*READ_ERRORS, zipfile.BadZipFile, RuntimeError, NotImplementedError, OverflowError) as error:
        raise _unreadable(path, error) from error
    color = False
    bits = min(8 * array.dtype.itemsize, 16)
    if array.ndim == 3:
        array, color = _merged(array, False, path)
    return Raw(array if color else _whole(array, path), color, lossy=False, bits=bits)


def _array_of(file: Any, path: Path) -> np.ndarray:
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(file)
    channels = 3 if len(shape) == 3 and shape[2] == 3 else 1
    if dtype.hasobject or dtype.kind not in "biuf":
        raise DataError(f"{path}: holds {dtype}; a label map holds whole numbers")
    if len(shape) - (channels > 1) != 2:
        raise DataError(f"{path}: an array {'x'.join(map(str, shape))}; a label map has height and width")
    if not 0 < math.prod(shape) <= channels * MAX_PIXELS:
        raise DataError(f"{path}: an array {'x'.join(map(str, shape))}; between 1 and {MAX_PIXELS:,} pixels are read")
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def _whole(array: np.ndarray, path: Path) -> np.ndarray:
    if array.dtype in (np.uint8, np.uint16):
        return array
    if array.dtype == bool:
        return array.astype(np.uint8)
    low, high = array.min(), array.max()
    if not (np.isfinite(low) and np.isfinite(high) and low >= 0 and high <= 65535 and (array == array.round()).all()):
        raise DataError(f"{path}: values from {low} to {high}; ids are whole numbers from 0 to 65535")
    return array.astype(np.uint8 if high < 256 else np.uint16)
