"""Images from files as the measures want them, decoded ahead in threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from PIL import Image

from surgaug.errors import DataError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def read_rgb(path: Path) -> np.ndarray:
    """An image as uint8 [H, W, 3] RGB: grey is repeated, alpha dropped, 16 bits become 8.

    Raises:
        DataError: missing, empty or damaged file, or one of another depth.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as reason:
        raise DataError(f"{path}: {reason.strerror or reason}") from reason
    image = _decode(data)
    if image is None:
        raise DataError(f"{path}: not a readable image ({len(data)} bytes)")
    if image.dtype == np.uint16:
        image = (image / 257).round().astype(np.uint8)
    if image.dtype != np.uint8:
        raise DataError(f"{path}: pixels of type {image.dtype}; 8 or 16 bits a channel can be read")
    if image.ndim == 2:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    return cv2.cvtColor(image, cv2.COLOR_BGRA2RGB if image.shape[2] == 4 else cv2.COLOR_BGR2RGB)


def image_size(path: Path) -> tuple[int, int]:
    """(H, W) from the file's header.

    Raises:
        DataError: missing, empty or damaged file.
    """
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except (OSError, ValueError, SyntaxError) as reason:
        raise DataError(f"{path}: not a readable image ({reason})") from reason


def in_order(work: Callable[[_Item], _Result], items: Iterable[_Item], workers: int) -> Iterator[_Result]:
    """`work` of each item, in order, computed ahead in threads; at most 4 * workers results wait (bounded memory)."""
    items = iter(items)
    with ThreadPoolExecutor(workers, thread_name_prefix="score") as pool:
        waiting = deque(pool.submit(work, item) for item in islice(items, 4 * workers))
        try:
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(work, item) for item in islice(items, 1))
                yield result
        finally:
            for future in waiting:
                future.cancel()


def _decode(data: np.ndarray) -> np.ndarray | None:
    try:
        return cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if len(data) else None
    except cv2.error:
        return None
