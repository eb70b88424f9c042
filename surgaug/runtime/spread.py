"""Some of many, evenly spread from the first to the last: neighbouring frames of a video show the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from surgaug.errors import DataError

T = TypeVar("T")


def spread(n: int, most: int) -> list[int]:
    """At most `most` of the numbers 0 to n - 1, evenly spread from the first to the last."""
    return sorted({int(i) for i in np.linspace(0, n - 1, min(n, most)).round()})


def spread_over(items: Sequence[T], most: int) -> list[T]:
    """At most `most` of the items, evenly spread."""
    return [items[i] for i in spread(len(items), most)]


def readable(load: Callable[[int], T], n: int, most: int) -> Iterator[T]:
    """`load` of at most `most` of the numbers 0 to n - 1, without those whose file cannot be read: a survey names
    them."""
    for i in spread(n, most):
        try:
            yield load(i)
        except DataError:
            continue
