"""Sizes of image files, from their headers."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from surgaug.errors import DataError


def image_size(path: Path) -> tuple[int, int]:
    """(H, W) from the file's header.

    Raises:
        DataError: missing, empty or damaged file.
    """
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as reason:
        raise DataError(f"{path}: not a readable image ({reason})") from reason
