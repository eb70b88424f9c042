"""`manifest.jsonl`: a row a sample, appended as samples are finished, sorted by index when all are there.

A shard keeps its rows in a part of its own, `manifest-I-of-N.jsonl`; who finishes last joins the parts. Folders that
shards wrote elsewhere are merged by copying them together and running any shard's line again.
"""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from surgaug.io.atomic import atomic_write
from surgaug.synthesis.plan import Shard

MANIFEST = "manifest.jsonl"
_PNG_END = b"IEND\xaeB`\x82"


def part_path(out: Path, shard: Shard) -> Path:
    """Where the rows of a shard are kept while it runs."""
    return out / (f"manifest-{shard.name}.jsonl" if shard.name else MANIFEST)


def part_paths(out: Path) -> list[Path]:
    """Every manifest and part of one in the folder."""
    return sorted(p for p in out.glob("manifest*.jsonl") if p.is_file())


def read_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(offset in bytes, row) of every whole row. What a killed run or a full disk left half-written is passed over."""
    try:
        handle = path.open("rb")
    except FileNotFoundError:  # another shard has just joined the parts
        return
    with handle:
        offset = 0
        for line in handle:
            row = _parse(line)
            if row is not None:
                yield offset, row
            offset += len(line)


def _parse(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and isinstance(row.get("index"), int) else None


class Journal:
    """Appends rows to one part, each in a single write and only as a whole line. Safe to use from several threads."""

    def __init__(self, path: Path):
        self._lock = threading.Lock()
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        size = os.fstat(self._handle).st_size
        if size and not _ends_with_newline(path):
            os.write(self._handle, b"\n")  # closes the half row, which stays unreadable and is passed over

    def append(self, row: dict[str, Any]) -> None:
        data = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            written = os.write(self._handle, data)
            if written != len(data):
                raise OSError(f"only {written} of {len(data)} bytes of a manifest row were written: is the disk full?")

    def close(self) -> None:
        os.close(self._handle)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as handle:
        handle.seek(-1, os.SEEK_END)
        return handle.read() == b"\n"


def complete_samples(out: Path, n: int, names: Callable[[int], tuple[str, str]]) -> np.ndarray:
    """bool [n]: which samples have a row and both files; `names(k)` gives the image's and the label's path in `out`."""
    done = np.zeros(n, bool)
    for path in part_paths(out):
        for _, row in read_rows(path):
            k = row["index"]
            if 0 <= k < n and not done[k]:
                done[k] = _fits(row, names(k)) and all(_is_whole(out / name) for name in names(k))
    return done


def _fits(row: dict[str, Any], expected: tuple[str, str]) -> bool:
    """Whether a row names these files; its own paths are compared, never followed."""
    return (row.get("image"), row.get("label")) == expected and isinstance(row.get("classes"), dict)


def _is_whole(path: Path) -> bool:
    """Whether a PNG is there and has its end: what is written here has, but a copy from elsewhere may be cut short."""
    try:
        with path.open("rb") as file:
            file.seek(-len(_PNG_END), os.SEEK_END)
            return file.read() == _PNG_END
    except OSError:
        return False


def join_parts(out: Path, n: int, names: Callable[[int], tuple[str, str]]) -> dict[str, Counter[int]]:
    """Write `manifest.jsonl` sorted by index from all parts, remove the parts; the classes' totals over the samples.

    Returns {"pixels": by id, "images": by id}. Every sample must have a row that names its files (`names(k)`).
    """
    paths = part_paths(out)
    source, offsets = np.full(n, -1, np.int32), np.zeros(n, np.int64)
    for i, path in enumerate(paths):
        for offset, row in read_rows(path):
            if 0 <= row["index"] < n and _fits(row, names(row["index"])):
                source[row["index"]], offsets[row["index"]] = i, offset
    missing = np.flatnonzero(source < 0)
    if len(missing):
        raise ValueError(f"{len(missing)} samples have no row, the first is {missing[0]}")

    pixels: Counter[int] = Counter()
    images: Counter[int] = Counter()
    handles = [path.open("rb") for path in paths]
    try:
        with atomic_write(out / MANIFEST) as temporary, temporary.open("wb") as target:
            for i, offset in zip(source.tolist(), offsets.tolist(), strict=True):
                handles[i].seek(offset)
                line = handles[i].readline()
                target.write(line)
                classes = {int(c): count for c, count in json.loads(line)["classes"].items()}
                pixels.update(classes)
                images.update(classes.keys())
    finally:
        for handle in handles:
            handle.close()
    for path in paths:
        if path.name != MANIFEST:
            path.unlink(missing_ok=True)
    return {"pixels": pixels, "images": images}
