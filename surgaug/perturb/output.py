"""The output folder of augment-masks: whose it is, which maps are there, and what stands beside them at the end.

`manifest.jsonl` has a row a map: appended as maps are finished, sorted when all are there. Originals have a negative
index.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from surgaug.data.atomic import clean_leftovers, write_text
from surgaug.data.settings import differences
from surgaug.errors import DataError, UsageError
from surgaug.perturb.work import LABELS

DATASET, MANIFEST, PREVIEW = "dataset.json", "manifest.jsonl", "preview.png"
FORMAT = "surgaug-masks-1"


def claim(out: Path, description: dict[str, Any]) -> None:
    """Make the folder ready for this set of maps: `labels/`, `dataset.json`, no leftovers of a killed run.

    Raises DataError when something else lies there, and UsageError, with the differences, when it is another
    configuration's set.
    """
    file = out / DATASET
    if file.exists():
        _refuse_other(file, description)
    elif strangers := sorted(p.name for p in out.iterdir() if not p.name.startswith(".")):
        raise DataError(
            f"{out}: the folder is not empty and holds no label maps of surgaug ({', '.join(strangers[:5])}); "
            "give another --out"
        )
    write_description(out, description)  # first: killed from here on, the folder is known to hold these maps
    (out / LABELS).mkdir(exist_ok=True)
    for folder in (out, out / LABELS):
        clean_leftovers(folder)


def _refuse_other(file: Path, description: dict[str, Any]) -> None:
    try:
        old = json.loads(file.read_text(encoding="utf-8"))
        if old["format"] != FORMAT:
            raise ValueError
        settings, samples = old["settings"], old["samples"]
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{file}: not a description of label maps made here; give another --out") from None
    if lines := differences(settings, description["settings"]):
        raise UsageError(
            f"{file.parent} holds label maps made with other settings ({'; '.join(lines)}); "
            "repeat the settings it began with, or give another --out"
        )
    if samples > description["samples"]:
        raise UsageError(
            f"{file.parent} was begun with --n {samples}, and --n {description['samples']} would leave some out; "
            f"give --n {samples} or more, or another --out"
        )


def write_description(out: Path, description: dict[str, Any]) -> None:
    write_text(out / DATASET, json.dumps(description, indent=2, ensure_ascii=False) + "\n")


def finished_rows(out: Path, name_of: Callable[[int], str | None]) -> dict[int, dict[str, Any]]:
    """Rows by index of the maps that are complete; `name_of(index)` is the path in `out` that a row must name.

    A half-written last row of a killed run is passed over.
    """
    rows = {}
    try:
        lines = (out / MANIFEST).read_bytes().split(b"\n")
    except FileNotFoundError:
        return {}
    for line in lines:
        try:
            row = json.loads(line)
            index, name = row["index"], row["label"]
            same = name == name_of(index)  # compared, never followed
        except (ValueError, KeyError, TypeError):
            continue
        if same and (out / name).is_file():
            rows[index] = row
    return rows


class Journal:
    """Appends rows to the manifest, whole lines only."""

    def __init__(self, out: Path, rows: list[dict[str, Any]]):
        """Starts the manifest anew with `rows`."""
        self._path = out / MANIFEST
        write_text(self._path, "".join(map(_line, rows)))
        self._handle = os.open(self._path, os.O_WRONLY | os.O_APPEND)

    def append(self, rows: list[dict[str, Any]]) -> None:
        data = "".join(map(_line, rows)).encode()
        try:
            written = os.write(self._handle, data)
        except OSError as error:
            raise DataError(f"{self._path}: cannot be written ({error.strerror or error})") from error
        if written != len(data):
            raise DataError(f"{self._path}: a row could not be written whole; is the disk full?")

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exc: object) -> None:
        os.close(self._handle)


def write_manifest(out: Path, rows: list[dict[str, Any]]) -> None:
    """The finished manifest."""
    write_text(out / MANIFEST, "".join(map(_line, rows)))


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n"
