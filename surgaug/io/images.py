"""Image files to arrays, unchanged on the way: what PIL would scale or drop silently is undone or refused."""

from __future__ import annotations

import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from surgaug.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif")
LOSSY_FORMATS = ("JPEG", "MPO", "WEBP")
# PIL's own warning level; a file may claim any size in a few bytes (a "decompression bomb").
MAX_PIXELS = 89_478_485
# PIL stretches grey PNGs of few bits to 0..255; the ids are got back by division.
_STRETCH = {"L;2": 85, "L;4": 17, "1": 255}
# Such files are refused below, in our own words.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
_READ_ERRORS = (OSError, ValueError, SyntaxError, struct.error, zlib.error, EOFError, IndexError, TypeError)


@dataclass(frozen=True)
class Raw:
    """A label file's values before they mean anything.

    values: [H, W] uint8 or uint16 (grey, or the indices of a palette), or int32 0xRRGGBB where `color`.
    palette: colour 0xRRGGBB by index, for palette files. lossy: JPEG or WebP.
    """

    values: np.ndarray
    color: bool
    lossy: bool
    palette: np.ndarray | None = None


def read_raw(path: Path) -> Raw:
    """Read a label map file.

    Grey (1 to 16 bits), palette, RGB and RGBA files; equal channels become one, an alpha channel of one value goes.

    Raises:
        DataError: unreadable or truncated, larger than `MAX_PIXELS`, alpha that varies, values that are not whole.
    """
    with _open(path) as image:
        stored = _stored_as(image)  # before the pixels are loaded: PIL forgets it then
        lossy, stretch = image.format in LOSSY_FORMATS, _STRETCH.get(stored, 1)
        deep_color = stored.endswith("16B") and image.mode.startswith("RGB")
        _load(image, path)
        if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
            raise DataError(f"{path}: holds {image.n_frames} images; a label map is one. Save each as a PNG of its own")
        palette = _palette(image)
        if image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
            image = image.convert("RGB")
        elif image.mode == "PA":
            image = image.convert("RGBA")
        elif image.mode == "1":
            image, stretch = image.convert("L"), 255
        array = _deep_color(path) if deep_color else np.asarray(image)
    array = _without_alpha(array, path)
    if array.ndim == 3:
        array, color = _merged(array, lossy, path)
    else:
        color = False
    if not color:
        array = _whole(array, path)
    return Raw(array // stretch if stretch > 1 else array, color, lossy, palette)


def read_image(path: Path) -> np.ndarray:
    """A frame as RGB uint8 [H, W, 3]; grey and palette files are converted, alpha is dropped.

    Raises DataError: unreadable or truncated, larger than `MAX_PIXELS`, more than 8 bits.
    """
    with _open(path) as image:
        _load(image, path)
        if image.mode[0] in "IF":
            raise DataError(f"{path}: {image.mode} pixels of more than 8 bits; save frames with 8 bits a channel")
        return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def check_image(path: Path) -> tuple[int, int]:
    """(H, W) of a frame, after making sure as cheaply as can be that it will decode.

    PNG: the checksum of every chunk; JPEG: decoded at an eighth of the size; others: decoded. Raises DataError.
    """
    with _open(path) as image:
        hw = image.height, image.width
        if image.mode[0] in "IF":
            raise DataError(f"{path}: {image.mode} pixels of more than 8 bits; save frames with 8 bits a channel")
        if image.format == "JPEG":
            image.draft(None, (image.width // 8 or 1, image.height // 8 or 1))
        _load(image, path, only_verify=image.format == "PNG")
    return hw


def image_size(path: Path) -> tuple[int, int]:
    """(H, W) as the file says, without decoding it. Raises DataError: no image, or larger than `MAX_PIXELS`."""
    with _open(path) as image:
        return image.height, image.width


def is_image_file(path: Path) -> bool:
    """By its name: a known suffix, not hidden."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _load(image: Image.Image, path: Path, only_verify: bool = False) -> None:
    try:
        image.verify() if only_verify else image.load()
    except _READ_ERRORS as error:
        raise _unreadable(path, error) from error


def _open(path: Path) -> Image.Image:
    try:
        image = Image.open(path)
    except Image.DecompressionBombError:
        raise DataError(f"{path}: larger than {MAX_PIXELS:,} pixels, the limit; make it smaller") from None
    except _READ_ERRORS as error:
        raise _unreadable(path, error) from error
    if image.width * image.height > MAX_PIXELS:
        size = f"{image.height}x{image.width}"
        image.close()
        raise DataError(f"{path}: {size} is more than {MAX_PIXELS:,} pixels, the limit; make it smaller")
    return image


def _unreadable(path: Path, error: BaseException) -> DataError:
    if not path.exists():
        return DataError(f"{path}: no such file")
    if path.is_file() and path.stat().st_size == 0:
        return DataError(f"{path}: empty file; restore or remove it")
    reason = "not an image" if isinstance(error, UnidentifiedImageError) else str(error) or type(error).__name__
    return DataError(f"{path}: cannot be read ({reason}); restore or remove it")


def _stored_as(image: Image.Image) -> str:
    """What the file stores, which `image.mode` no longer tells: "L;4", "RGB;16B"; "" where PIL does not say."""
    if not isinstance(image, ImageFile.ImageFile) or not image.tile:
        return ""
    args = image.tile[0][3]
    first = args[0] if isinstance(args, (tuple, list)) and args else args
    return first if isinstance(first, str) else ""


def _palette(image: Image.Image) -> np.ndarray | None:
    if image.mode != "P":
        return None
    flat = np.array(image.getpalette("RGB") or [], np.int32).reshape(-1, 3)
    return _packed(flat)


def _deep_color(path: Path) -> np.ndarray:
    """Red, green and blue of 16 bits each, of which PIL would keep 8."""
    found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if found is None:
        raise DataError(f"{path}: cannot be read; restore or remove it")
    return found[..., [2, 1, 0]]


def _without_alpha(array: np.ndarray, path: Path) -> np.ndarray:
    if array.ndim == 2 or array.shape[2] in (1, 3):
        return array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    alpha = array[..., -1]
    if alpha.min() != alpha.max():
        raise DataError(
            f"{path}: its alpha channel varies ({alpha.min()} to {alpha.max()}), so that it is open whether "
            "transparent pixels are labelled; save the label map without alpha"
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
    return _packed(array), True


def _packed(array: np.ndarray) -> np.ndarray:
    wide = array.astype(np.int32)
    return (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]


def _whole(array: np.ndarray, path: Path) -> np.ndarray:
    if array.dtype in (np.uint8, np.uint16):
        return array
    if array.dtype == bool:
        return array.astype(np.uint8)
    low, high = array.min(), array.max()
    if not (np.isfinite(low) and np.isfinite(high) and low >= 0 and high <= 65535 and (array == array.round()).all()):
        raise DataError(f"{path}: values from {low} to {high}; ids are whole numbers from 0 to 65535")
    return array.astype(np.uint8 if high < 256 else np.uint16)
