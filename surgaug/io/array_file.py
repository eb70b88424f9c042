"""Many small arrays in one file that any number of processes map at once: nothing is read but what is looked at.

A record is a few arrays, of the same dtypes and dimensions in each record; their shapes may differ. Layout: the arrays
one after the other, each at a multiple of 8 bytes; then int64 [records, arrays, 1 + dimensions], offset and shape of
each; then a description in JSON; then its length and `MAGIC`. What was cut short has no end, and is refused.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from surgaug.io.atomic import atomic_write

MAGIC = b"surgaug1"
_ALIGN = 8

Record = tuple[np.ndarray, ...]


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Write records as they come, atomically; one of them is in memory at a time. Raises OSError."""
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        places: list[list[tuple[int, ...]]] = []
        kinds: list[tuple[str, int]] = []
        for record in records:
            kinds = [(array.dtype.str, array.ndim) for array in record]
            places.append([(_append(file, array), *array.shape) for array in record])
        dimensions = max((ndim for _, ndim in kinds), default=0)
        table = np.zeros((len(places), len(kinds), 1 + dimensions), "<i8")
        for i, record_places in enumerate(places):
            for k, place in enumerate(record_places):
                table[i, k, : len(place)] = place
        about = json.dumps({"kinds": kinds, "shape": table.shape, "table": _append(file, table)}).encode()
        file.write(about + len(about).to_bytes(8, "little") + MAGIC)


class Records:
    """The records of a file, mapped. Their arrays are views of it; what is written to them stays in this process.

    Raises ValueError for a file that is none of these, or was cut short; OSError where it cannot be read.
    """

    def __init__(self, path: Path):
        if not path.stat().st_size:
            raise ValueError(f"{path}: empty")
        self._bytes = np.memmap(path, np.uint8, mode="c").view(np.ndarray)
        end = self._bytes[-16:].tobytes()
        if len(end) < 16 or end[8:] != MAGIC:
            raise ValueError(f"{path}: not a whole file of arrays")
        about = json.loads(self._bytes[-16 - int.from_bytes(end[:8], "little") : -16].tobytes())
        self._kinds = [(np.dtype(kind), ndim) for kind, ndim in about["kinds"]]
        self._table = self._at(about["table"], np.dtype("<i8"), tuple(about["shape"]))

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, i: int) -> Record:
        return tuple(
            self._at(int(place[0]), kind, tuple(place[1 : 1 + ndim].tolist()))
            for place, (kind, ndim) in zip(self._table[i], self._kinds, strict=True)
        )

    def _at(self, offset: int, kind: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        size = math.prod(shape) * kind.itemsize
        return self._bytes[offset : offset + size].view(kind).reshape(shape)


def _append(file: BinaryIO, array: np.ndarray) -> int:
    """Write an array at the next place that suits any dtype; returns that place."""
    file.write(b"\0" * (-file.tell() % _ALIGN))
    offset = file.tell()
    file.write(np.ascontiguousarray(array).data)
    return offset
