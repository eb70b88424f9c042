"""Manifests: `manifest.jsonl`, a JSON object a line (`Row`) for each sample that lies whole beside it.

synthesize, augment-masks and export write them. Every reader takes the lines that are rows and counts the others: what
a killed run or a full disk left half-written spoils nothing. A shard keeps its rows in a part of its own,
`manifest-I-of-N.jsonl`; the shard that finishes last joins the parts. Folders that shards wrote elsewhere are merged by
copying them together and running any shard's line again. Rows stay on the disk: in memory is only where each begins.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypedDict

from surgaug.errors import DataError
from surgaug.io.atomic import atomic_write

MANIFEST = "manifest.jsonl"
VERSION = 2  # of `Row`; rows of surgaug 0.1 have no version
_PNG_END = b"IEND\xaeB`\x82"


class Origin(TypedDict, total=False):
    """The real label map behind a source that was itself made: see `datasets.provenance`."""

    mask: str
    file: str
    video: str
    split: str
    changed: bool


class Row(TypedDict, total=False):
    """What a manifest says of one sample. Keys that do not apply are left out; other keys are kept and ignored.

    Every row: `index` from 0 (below 0: the copy of a mask, by augment-masks --keep-originals), `image` and `label`,
    paths in the manifest's folder with "/" between. `mask` names the label map that the sample was made from, `source`
    is its file as it was given (augment-masks writes it as `mask_file`, too), `video` and `split` are those of the
    source, `origin` stands where the source was itself made. `perturbations`: what was done to the source, in order,
    {"op": name, parameter: value, ...}. `size`: [H, W]. `classes`: pixels by class id (as text).
    """

    version: int
    index: int
    image: str
    label: str
    mask: str
    source: str
    video: str
    split: str
    origin: Origin
    perturbations: list[dict[str, Any]]
    size: list[int]
    classes: dict[str, int]
    seed: int
    # synthesize: how it was sampled, the sha256 of the model, and what was checked of the image.
    sampler: str
    steps: int
    guidance: float
    style: str
    options: dict[str, Any]
    model: str
    compiled: bool
    checks: dict[str, bool]
    # augment-masks: maps drawn until one was taken, refusals by "op: reason", plausibility from 0 to 1.
    tries: int
    refused: dict[str, int]
    plausibility: float
    # export: the frame's name, whether it is synthetic, and the image file that was copied.
    name: str
    synthetic: bool
    image_source: str


@dataclass(frozen=True)
class Line:
    """A line of a manifest: its number from 1, where it begins in bytes, and its row; None where it holds none."""

    number: int
    offset: int
    row: Row | None


def part_path(folder: Path, part: str = "") -> Path:
    """The manifest of a folder, or the part that the shard of that name keeps while it runs."""
    return folder / (f"manifest-{part}.jsonl" if part else MANIFEST)


def part_paths(folder: Path) -> list[Path]:
    """Every manifest and part of one in the folder."""
    return sorted(path for path in folder.glob("manifest*.jsonl") if path.is_file())


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a manifest, empty ones left out; none where there is no such file."""
    try:
        handle = path.open("rb")
    except FileNotFoundError:  # another shard has just joined the parts
        return
    with handle:
        offset = 0
        for number, line in enumerate(handle, 1):
            if line.strip():
                yield Line(number, offset, parse(line))
            offset += len(line)


def read_rows(path: Path) -> tuple[list[Row], list[str]]:
    """All rows of a manifest, or of a folder with its parts, and "FILE: line N" for each line that holds none."""
    rows, damaged = [], []
    for file in part_paths(path) if path.is_dir() else [path]:
        for line in read_lines(file):
            if line.row is not None:
                rows.append(line.row)
            else:
                damaged.append(f"{file}: line {line.number}")
    return rows, damaged


def parse(line: bytes) -> Row | None:
    """The row of a line, in the keys of today; None where it is not a JSON object or a value is of another type."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict):
        return None
    if "mask_file" in row:  # the name of augment-masks; all that it wrote in 0.1
        row = {"source": row["mask_file"], **row}
    known: Any = {key: value for key, value in row.items() if value is not None}
    return known if _fits(known, _CHECKS) else None


def to_line(row: Mapping[str, Any]) -> str:
    """A row as a line of a manifest, in today's version."""
    return json.dumps({**row, "version": VERSION}, ensure_ascii=False, separators=(",", ":")) + "\n"


class Manifest:
    """The rows of the samples of one output folder that are complete, by index.

    A sample is complete when a row names just the files that `expected` gives for its index, and all of them are there
    to their end. Rows of others are passed over, and dropped when the parts are joined.
    """

    def __init__(
        self,
        folder: Path,
        expected: Callable[[int], tuple[str, ...] | None],
        *,
        part: str = "",
        required: Collection[str] = (),
    ):
        """Reads what lies in `folder`.

        expected: (image, label) or (label,) of a sample, in `folder`; None for an index that is not of this set.
        part: the shard that new rows belong to. required: keys without which a row does not count.
        """
        self._folder, self._expected, self._required = folder, expected, required
        self._path = part_path(folder, part)
        self._lock = threading.Lock()
        self._handle: int | None = None
        self._at_line_start = True
        self.refresh()

    def refresh(self) -> None:
        """Read again what lies in the folder, since other shards write there too."""
        self._parts = part_paths(self._folder)
        if self._path not in self._parts:
            self._parts.append(self._path)
        self._places: dict[int, tuple[int, int]] = {}  # (number of the part, offset) by index
        for part, path in enumerate(self._parts):
            for line in read_lines(path):
                row = line.row
                if row is not None and self._is_complete(row):
                    self._places[row["index"]] = part, line.offset

    def _is_complete(self, row: Row) -> bool:
        if "index" not in row or not all(key in row for key in self._required):
            return False
        files = tuple(str(row[key]) for key in ("image", "label") if key in row)
        if files != self._expected(row["index"]):  # compared, never followed
            return False
        return row["index"] in self._places or all(_is_whole(self._folder / name) for name in files)

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
        whole = part_path(self._folder)
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

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def is_there(file: str | Path) -> bool:
    """Whether a file that a manifest names is there; False where no file can have that name, or it may not be seen."""
    try:
        return Path(file).is_file()
    except OSError:
        return False


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as handle:
        if not handle.seek(0, os.SEEK_END):
            return True
        handle.seek(-1, os.SEEK_END)
        return handle.read() == b"\n"


def _is_whole(path: Path) -> bool:
    """Whether a PNG is there and has its end: what is written here has, but a copy from elsewhere may be cut short."""
    try:
        with path.open("rb") as file:
            file.seek(-len(_PNG_END), os.SEEK_END)
            return file.read() == _PNG_END
    except OSError:
        return False


def _fits(values: Mapping[str, Any], checks: Mapping[str, Callable[[Any], bool]]) -> bool:
    return all(fits(values[key]) for key, fits in checks.items() if key in values)


def _text(value: Any) -> bool:
    """A string that can be a file's name, or a part of one."""
    if not isinstance(value, str) or "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _integer(value: Any) -> bool:
    return type(value) is int


def _number(value: Any) -> bool:
    return type(value) in (int, float)


def _flag(value: Any) -> bool:
    return type(value) is bool


def _object(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_text, value))


def _counts(value: Any) -> bool:
    return _object(value) and all(_integer(count) and count >= 0 for count in value.values())


def _classes(value: Any) -> bool:
    return _counts(value) and all(key.isascii() and key.isdecimal() and len(key) <= 5 for key in value)


def _perturbations(value: Any) -> bool:
    return isinstance(value, list) and all(
        _object(record) and _text(record.get("op")) and _integer(record.get("tries", 0)) for record in value
    )


def _size(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_integer, value))


def _origin(value: Any) -> bool:
    return _object(value) and _fits(value, _ORIGIN_CHECKS)


_ORIGIN_CHECKS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("mask", "file", "video", "split"), _text),
    "changed": _flag,
}
_CHECKS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("image", "label", "mask", "source", "video", "split", "sampler", "style", "model"), _text),
    **dict.fromkeys(("name", "image_source"), _text),
    **dict.fromkeys(("version", "index", "seed", "steps", "tries"), _integer),
    **dict.fromkeys(("guidance", "plausibility"), _number),
    **dict.fromkeys(("compiled", "synthetic"), _flag),
    **dict.fromkeys(("options", "checks"), _object),
    "origin": _origin,
    "perturbations": _perturbations,
    "size": _size,
    "classes": _classes,
    "refused": _counts,
}
