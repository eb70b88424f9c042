"""The manifest of an output folder while it is written: which samples are complete, rows added, shards' parts joined.

The shard that finishes last joins the parts. Folders that shards wrote elsewhere are merged by copying them together
and running any shard's line again. Rows stay on the disk: in memory is only where each begins.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from surgaug.errors import DataError, UsageError
from surgaug.io.atomic import atomic_write
from surgaug.io.manifest import MANIFEST, Row, full_label, parse, part_path, part_paths, read_lines, to_line
from surgaug.io.output_folder import differences

_PNG_END = b"IEND\xaeB`\x82"


class Journal:
    """The rows of the samples of one output folder that are complete, by index.

    A sample is complete when a row names just the files that `expected` gives for its index, and all of them are there
    to their end; so must the whole label map be, where a judge took labels away. Rows of others are passed over, and
    dropped when the parts are joined.
    """

    def __init__(
        self,
        folder: Path,
        expected: Callable[[int], tuple[str, ...] | None],
        *,
        part: str = "",
        required: Collection[str] = (),
        name: str = MANIFEST,
        only: Container[int] | None = None,
        settings: Mapping[str, Any] | None = None,
    ):
        """Reads what lies in `folder`.

        expected: (image, label) or (label,) of a sample, in `folder`, or () for one without files; None for an index
        that is not of this set. part: the shard that new rows belong to. required: keys without which a row does not
        count. name: of the file, `manifest.REFUSED` for samples that were refused. only: samples that are looked for,
        so that a shard does not open the files of all others; None for all, as after `refresh`. settings: of the run,
        by their keys in rows. Raises UsageError for a row that says another value of one: shards of two sets were
        copied together.
        """
        self._folder, self._expected, self._required = folder, expected, required
        self._name, self._settings = name, settings or {}
        self._path = part_path(folder, part, name)
        self._lock = threading.Lock()
        self._handle: int | None = None
        self._at_line_start = True
        self.refresh(only)

    def refresh(self, only: Container[int] | None = None) -> None:
        """Read again what lies in the folder, since other shards write there too. Raises as `__init__` does."""
        self._parts = part_paths(self._folder, self._name)
        if self._path not in self._parts:
            self._parts.append(self._path)
        self._places: dict[int, tuple[int, int]] = {}  # (number of the part, offset) by index
        for part, path in enumerate(self._parts):
            for line in read_lines(path):
                row = line.row
                if row is None or "index" not in row:
                    continue
                self._refuse_other_settings(row, f"{path}: line {line.number}")
                if (only is None or row["index"] in only) and self._is_complete(row):
                    self._places[row["index"]] = part, line.offset

    def _refuse_other_settings(self, row: Row, where: str) -> None:
        if all(row.get(key, value) == value for key, value in self._settings.items()):
            return
        if lines := differences(_common(row, self._settings), _common(self._settings, row)):
            raise UsageError(
                f"{where}: a sample made with other settings ({'; '.join(lines)}); move this file elsewhere, with the "
                "images and label maps that it names, or give another --out"
            )

    def _is_complete(self, row: Row) -> bool:
        if not all(key in row for key in self._required):
            return False
        files = tuple(str(row[key]) for key in ("image", "label") if key in row)
        if files != self._expected(row["index"]):  # compared, never followed
            return False
        if "label_full" in row:
            if row["label_full"] != full_label(row.get("label", "")):
                return False
            files += (row["label_full"],)
        return row["index"] in self._places or all(is_whole(self._folder / name) for name in files)

    def __contains__(self, index: object) -> bool:
        return index in self._places

    def __len__(self) -> int:
        return len(self._places)

    @property
    def made(self) -> list[int]:
        """The indices of complete samples, in order; copies of masks are none."""
        return sorted(index for index in self._places if index >= 0)

    def rows(self, indices: Iterable[int] | None = None) -> Iterator[Row]:
        """The rows of these indices, or of all in order, read one by one."""
        with ExitStack() as stack:
            handles: dict[int, BinaryIO] = {}
            for line in self._lines(sorted(self._places) if indices is None else indices, handles, stack):
                row = parse(line)
                if row is None:
                    raise DataError(f"{self._folder}: its manifest was changed while it was read; run again")
                yield row

    def _lines(self, indices: Iterable[int], handles: dict[int, BinaryIO], stack: ExitStack) -> Iterator[bytes]:
        for index in indices:
            part, offset = self._places[index]
            if part not in handles:
                handles[part] = stack.enter_context(self._parts[part].open("rb"))
            handles[part].seek(offset)
            yield handles[part].readline()

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows of samples whose files are there, in a single write of whole lines. Safe from several threads.

        Raises DataError where the disk does not take them.
        """
        with self._lock:
            try:
                self._write(list(rows))
            except OSError as error:
                raise DataError(f"{self._path}: cannot be written ({error.strerror or error})") from error

    def _write(self, rows: list[Mapping[str, Any]]) -> None:
        if self._handle is None:
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            self._at_line_start = _ends_with_newline(self._path)
        data = b"" if self._at_line_start else b"\n"  # closes a half row, which stays unreadable and is passed over
        begin, places = os.fstat(self._handle).st_size, {}
        for row in rows:
            places[row["index"]] = self._parts.index(self._path), begin + len(data)
            data += to_line(row).encode()
        self._at_line_start = False
        written = os.write(self._handle, data)
        if written != len(data):
            raise OSError(f"{written} of {len(data)} bytes were written: is the disk full?")
        self._at_line_start = True
        self._places |= places

    def join(self, indices: Iterable[int] = ()) -> None:
        """Write `manifest.jsonl` anew by index, of the rows of complete samples in all parts, and remove the parts.

        Raises ValueError where one of `indices` has no row.
        """
        if missing := [index for index in indices if index not in self._places]:
            raise ValueError(f"{len(missing)} samples have no row, the first is {missing[0]}")
        self.close()
        order = sorted(self._places)
        places: dict[int, tuple[int, int]] = {}
        whole = part_path(self._folder, name=self._name)
        with ExitStack() as stack, atomic_write(whole) as temporary, temporary.open("wb") as target:
            for index, line in zip(order, self._lines(order, {}, stack), strict=True):
                places[index] = 0, target.tell()
                target.write(line.rstrip(b"\r\n") + b"\n")
        for path in self._parts:
            if path != whole:
                path.unlink(missing_ok=True)
        self._parts, self._places, self._path = [whole], places, whole

    def close(self) -> None:
        """Append no more, until the next row."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def is_whole(path: Path) -> bool:
    """Whether a PNG is there and has its end: what is written here has, but a copy from elsewhere may be cut short."""
    try:
        with path.open("rb") as file:
            file.seek(-len(_PNG_END), os.SEEK_END)
            return file.read() == _PNG_END
    except OSError:
        return False


def _common(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """`one` with those keys alone that `other` has, too; so the tables within."""
    shared = {key: (value, other[key]) for key, value in one.items() if key in other}
    return {
        key: _common(a, b) if isinstance(a, Mapping) and isinstance(b, Mapping) else a for key, (a, b) in shared.items()
    }


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as handle:
        if not handle.seek(0, os.SEEK_END):
            return True
        handle.seek(-1, os.SEEK_END)
        return handle.read() == b"\n"
