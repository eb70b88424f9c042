"""Work on many image files, ahead in threads and in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

from PIL import Image

from surgaug.errors import DataError

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


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
