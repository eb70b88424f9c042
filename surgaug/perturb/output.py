"""The output folder of augment-masks: whose it is, which maps are there, and what stands beside them at the end.

`manifest.jsonl` has a row a map: appended as maps are finished, sorted when all are there. Originals have a negative
index. Rows stay on the disk; in memory is only where each begins.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from surgaug.errors import DataError
from surgaug.io.atomic import atomic_write, clean_leftovers, write_text
from surgaug.io.output_folder import refuse_other_settings
from surgaug.perturb.worker import LABELS

DATASET, MANIFEST, PREVIEW = "dataset.json", "manifest.jsonl", "preview.png"
FORMAT = "surgaug-masks-1"


def claim(out: Path, description: dict[str, Any]) -> None:
    """Make the folder ready for this set of maps: `labels/`, `dataset.json`, no leftovers of a killed run.

    Raises DataError when something else lies there, and UsageError, with the differences, when it is another
    configuration's set.
    """
    file = out / DATASET
    if file.exists():
        refuse_other_settings(file, description, "label maps")
    elif strangers := sorted(p.name for p in out.iterdir() if not p.name.startswith(".")):
        raise DataError(
            f"{out}: the folder is not empty and holds no label maps of surgaug ({', '.join(strangers[:5])}); "
            "give another --out"
        )
    write_description(out, description)  # first: killed from here on, the folder is known to hold these maps
    (out / LABELS).mkdir(exist_ok=True)
    for folder in (out, out / LABELS):
        clean_leftovers(folder)


def write_description(out: Path, description: dict[str, Any]) -> None:
    write_text(out / DATASET, json.dumps(description, indent=2, ensure_ascii=False) + "\n")


class Manifest:
    """The rows of the maps that are complete, by index."""

    def __init__(self, out: Path, name_of: Callable[[int], str | None]):
        """Takes over the rows in `out` whose map is there, and drops others, a killed run's half row among them.

        name_of: the path in `out` that the row of an index must name, None for an index that is not of this set.
        """
        self._out, self._path = out, out / MANIFEST
        self._starts: dict[int, int] = {}
        if self._path.exists():
            self._find(name_of)
            self.sort()
        else:
            write_text(self._path, "")
        self._handle = os.open(self._path, os.O_RDWR | os.O_APPEND)

    def _find(self, name_of: Callable[[int], str | None]) -> None:
        start = 0
        with self._path.open("rb") as file:
            for line in file:
                try:
                    row = json.loads(line)
                    index, name = row["index"], row["label"]
                    same = line.endswith(b"\n") and name == name_of(index)  # compared, never followed
                except (ValueError, KeyError, TypeError):
                    same = False
                if same and (self._out / name).is_file():
                    self._starts[index] = start
                start += len(line)

    def __contains__(self, index: object) -> bool:
        return index in self._starts

    def __len__(self) -> int:
        return len(self._starts)

    @property
    def made(self) -> list[int]:
        """The indices of new maps, in order."""
        return sorted(index for index in self._starts if index >= 0)

    def rows(self, indices: Iterable[int] | None = None) -> Iterator[dict[str, Any]]:
        """The rows of these indices, or of all in order, read one by one."""
        with self._path.open("rb") as file:
            for index in sorted(self._starts) if indices is None else indices:
                file.seek(self._starts[index])
                yield json.loads(file.readline())

    def append(self, rows: Iterable[dict[str, Any]]) -> None:
        """Whole lines only. DataError where the disk does not take them."""
        end, data = os.fstat(self._handle).st_size, b""
        starts = {}
        for row in rows:
            starts[row["index"]] = end + len(data)
            data += json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        try:
            written = os.write(self._handle, data)
        except OSError as error:
            raise DataError(f"{self._path}: cannot be written ({error.strerror or error})") from error
        if written != len(data):
            raise DataError(f"{self._path}: a row could not be written whole; is the disk full?")
        self._starts |= starts

    def sort(self) -> None:
        """Write the file anew, by index."""
        starts: dict[int, int] = {}
        with atomic_write(self._path) as temporary, temporary.open("wb") as target, self._path.open("rb") as source:
            for index in sorted(self._starts):
                starts[index] = target.tell()
                source.seek(self._starts[index])
                target.write(source.readline())
        self._starts = starts

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, *exc: object) -> None:
        os.close(self._handle)
