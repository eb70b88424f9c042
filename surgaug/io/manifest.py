"""Manifests: `manifest.jsonl`, a JSON object a line (`Row`) for each sample that lies whole beside it.

synthesize, augment-masks and export write them. Every reader takes the lines that are rows and counts the others: what
a killed run or a full disk left half-written spoils nothing. A shard keeps its rows in a part of its own,
`manifest-I-of-N.jsonl`, until they are joined (`io.journal`). Samples that a judge refused stand, without files, in
`refused.jsonl`, which is kept in the same way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

MANIFEST = "manifest.jsonl"
REFUSED = "refused.jsonl"
FULL_LABELS = "labels_full"  # folder of whole label maps, where a judge took labels away in `labels`
_PART = r"\d+-of-\d+(_\d+-of-\d+)?"  # a shard, and which process of it
VERSION = 2  # of `Row`; rows of surgaug 0.1 have no version
# What the `checks` of a synthetic image ask.
CHECKS = {
    "not_flat": "the image is not all of one colour",
    "classes_kept": "no class of the label map was lost when it was resized",
}


class Origin(TypedDict, total=False):
    """The real label map behind a source that was itself made, and those that instruments in it were cut from
    (`donors`): see `datasets.provenance`."""

    mask: str
    file: str
    video: str
    split: str
    changed: bool
    donors: list[Origin]


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
    # synthesize --judge: the share of the labelled pixels that is trusted, over the image and by class id; pixels of
    # each class that are not, which the label map ignores (`classes` counts the others); the label map with them; and
    # how often the sample was drawn before, with other noise, left out for 0.
    agreement: float
    agreement_by_class: dict[str, float]
    doubted: dict[str, int]
    label_full: str
    draw: int
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


def named_check(check: str) -> str:
    """A check of a row by its name, and what it asks."""
    return f"{check} ({CHECKS[check]})" if check in CHECKS else check


def part_path(folder: Path, part: str = "", name: str = MANIFEST) -> Path:
    """The manifest of a folder, or the part that the shard of that name keeps while it runs. name: or REFUSED."""
    stem, dot, suffix = name.partition(".")
    return folder / (f"{stem}-{part}{dot}{suffix}" if part else name)


def part_paths(folder: Path, name: str = MANIFEST) -> list[Path]:
    """The manifest of the folder and every part of it; not files that a user named much like them."""
    stem, dot, suffix = name.partition(".")
    ours = re.compile(rf"{stem}(-{_PART})?{re.escape(dot)}{suffix}")
    return sorted(path for path in folder.glob(f"{stem}*") if ours.fullmatch(path.name) and path.is_file())


def full_label(label: str) -> str:
    """Where the whole label map of a judged sample lies, by the path of its label map."""
    return f"{FULL_LABELS}/{label.rpartition('/')[2]}"


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


def count_lines(folder: Path, name: str = MANIFEST) -> int:
    """Lines of all parts of a folder's manifest: at least as many as it has rows, and counted without parsing them."""
    total = 0
    for path in part_paths(folder, name):
        end = b"\n"
        with suppress(FileNotFoundError), path.open("rb") as file:  # another shard has just joined the parts
            while chunk := file.read(1 << 20):
                total += chunk.count(b"\n")
                end = chunk[-1:]
            total += end != b"\n"
    return total


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


def rows_by_file(folder: Path) -> dict[Path, Row]:
    """The rows of a folder's manifest by the image and by the label map that they name; none where there is none."""
    rows, _ = read_rows(folder) if part_paths(folder) else ([], [])
    return {folder / name: row for row in rows for name in (row.get("label"), row.get("image")) if name}


def row_of(files: Iterable[Path | None], by_file: Mapping[Path, Row]) -> Row:
    """The row of the first file that has one, of those that `rows_by_file` found; an empty one where none has."""
    return next((by_file[file] for file in files if file and file in by_file), Row())


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


def is_there(file: str | Path) -> bool:
    """Whether a file that a manifest names is there; False where no file can have that name, or it may not be seen."""
    try:
        return Path(file).is_file()
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


def _shares(value: Any) -> bool:
    return _object(value) and all(_number(share) for share in value.values())


def _perturbations(value: Any) -> bool:
    return isinstance(value, list) and all(
        _object(record)
        and _text(record.get("op"))
        and _integer(record.get("tries", 0))
        and _donors(record.get("donors", []))
        for record in value
    )


def _size(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_integer, value))


def _origin(value: Any) -> bool:
    return _object(value) and _fits(value, _ORIGIN_CHECKS)


def _donors(value: Any) -> bool:
    return isinstance(value, list) and all(map(_origin, value))


_ORIGIN_CHECKS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("mask", "file", "video", "split"), _text),
    "changed": _flag,
    "donors": _donors,
}
_CHECKS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("image", "label", "mask", "source", "video", "split", "sampler", "style", "model"), _text),
    **dict.fromkeys(("name", "image_source", "label_full"), _text),
    **dict.fromkeys(("version", "index", "seed", "steps", "tries", "draw"), _integer),
    **dict.fromkeys(("guidance", "plausibility", "agreement"), _number),
    **dict.fromkeys(("compiled", "synthetic"), _flag),
    **dict.fromkeys(("options", "checks"), _object),
    "origin": _origin,
    "perturbations": _perturbations,
    "size": _size,
    "classes": _classes,
    "doubted": _classes,
    "agreement_by_class": _shares,
    "refused": _counts,
}
