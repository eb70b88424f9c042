"""A folder for Hugging Face `datasets`: SPLIT/metadata.csv beside SPLIT/images and SPLIT/labels, loaded as columns
`image` and `label`. Ids 0 to K-1, 255 ignored, as `transformers` wants them; `id2label.json` names them.

Format: huggingface.co/docs/datasets, "ImageFolder" (columns ending in `_file_name` become images). Read as well:
metadata.jsonl, other names of columns (mask_file_name, conditioning_image), and ControlNet's prompt.json.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from surgaug.datasets.item import Item, WrittenItem, inside
from surgaug.datasets.pairing import SPLIT_FOLDERS, find_folder, not_named, split_of
from surgaug.datasets.stored_ids import index_values as values
from surgaug.errors import DataError
from surgaug.io.atomic import write_text
from surgaug.labels.label_space import LabelSpace

__all__ = ["finish", "matches", "paths", "read", "unread", "values"]

METADATA = "metadata.csv"
COLUMNS = ("image_file_name", "label_file_name", "name", "video", "synthetic")
_FOLDERS = {"train": "train", "val": "validation", "test": "test"}
# Tables by the columns that name the image and its label map, as others write them; the last are ControlNet's.
_TABLES = (METADATA, "metadata.jsonl", "prompt.json")
_IMAGES = ("image_file_name", "file_name", "image", "target")
_LABELS = (
    "label_file_name", "mask_file_name", "annotation_file_name", "segmentation_file_name", "label", "mask",
    "annotation", "segmentation", "conditioning_image_file_name", "conditioning_image", "source",
)  # fmt: skip


def matches(root: Path) -> bool:
    """Whether a table in `root` or in a split's folder names images and label maps."""
    return any(_columns(_first(path)) for _, path in _tables(root))


def read(root: Path, *, split: str | None = None) -> list[Item]:
    """The items that the tables name; the split is that of the folder, or the row's. Raises DataError: no such split, a
    row that cannot be read."""
    items = []
    for own, path in _tables(root):
        if not _columns(_first(path)):
            continue
        for number, row in _rows(path):
            columns = _columns(row)
            if columns is None or not all(isinstance(row[c], str) and row[c].strip() for c in columns):
                raise DataError(f"{path}:{number}: image_file_name or label_file_name missing")
            image, label = (inside(path.parent, str(row[c]).replace("\\", "/"), path) for c in columns)
            name, video = row.get("name"), row.get("video")
            told = own or split_of(str(row.get("split") or ""))
            items.append(Item(str(name) if name else image.stem, image, label, str(video) if video else None, told))
    items = [item for item in items if split in (None, item.split)]
    twice = [name for name, n in Counter((item.split, item.name) for item in items).items() if n > 1]
    if twice:
        raise DataError(
            f"{root}: two rows of {twice[0][0] or 'the table'} are called {twice[0][1]}; rename one of them"
        )
    if len({item.name for item in items}) < len(items):
        items = [replace(item, name=f"{item.split}_{item.name}" if item.split else item.name) for item in items]
    if not items:
        raise DataError(f"{root}: no split '{split}'")
    return items


def unread(root: Path, items: Sequence[Item]) -> list[Path]:
    """Image files beside those of the items that no table names."""
    return not_named(items)


def paths(frame: WrittenItem) -> tuple[str, str]:
    """SPLIT/images/NAME.png and SPLIT/labels/NAME.png; the validation split's folder is `validation`."""
    folder = _FOLDERS[frame.split or "train"]
    return f"{folder}/images/{frame.name}.png", f"{folder}/labels/{frame.name}.png"


def finish(root: Path, frames: Sequence[WrittenItem], space: LabelSpace) -> None:
    """A `metadata.csv` a split, and `id2label.json`."""
    for split, folder in _FOLDERS.items():
        own = [frame for frame in frames if (frame.split or "train") == split]
        if not own:
            continue
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(COLUMNS)
        for frame in own:
            image, label = (path.removeprefix(f"{folder}/") for path in paths(frame))
            table.writerow([image, label, frame.name, frame.video or "", str(frame.synthetic).lower()])
        write_text(root / folder / METADATA, text.getvalue())
    names = {str(k): name for k, name in enumerate(space.names)}
    write_text(root / "id2label.json", json.dumps(names, indent=2, ensure_ascii=False) + "\n")


def _tables(root: Path) -> Iterator[tuple[str | None, Path]]:
    by_split = [(split, find_folder(root, names)) for split, names in SPLIT_FOLDERS.items()]
    for split, folder in [(None, root), *by_split]:
        for name in _TABLES if folder else ():
            if (path := folder / name).is_file():  # type: ignore[operator]  # of folders that are there
                yield split, path


def _columns(row: Mapping[str, Any] | None) -> tuple[str, str] | None:
    """The columns that name image and label map; None where a row has none."""
    image = next((c for c in _IMAGES if row and c in row), None)
    label = next((c for c in _LABELS if row and c in row), None)
    return (image, label) if image and label else None


def _first(path: Path) -> Mapping[str, Any] | None:
    try:
        return next((row for _, row in _rows(path)), None)
    except DataError:
        return dict.fromkeys(COLUMNS[:2], "") if path.name == METADATA and _is_ours(path) else None


def _is_ours(path: Path) -> bool:
    return path.read_bytes().removeprefix(b"\xef\xbb\xbf").startswith(COLUMNS[0].encode())


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Line number and row of a table. DataError: no UTF-8, or a line that is no row."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix == ".csv":
                yield from enumerate(csv.DictReader(file), 2)
                return
            for number, line in enumerate(file, 1):
                if line.strip():
                    row = json.loads(line)
                    if not isinstance(row, dict):
                        raise DataError(f"{path}:{number}: not a table of names and values; correct it")
                    yield number, row
    except (OSError, ValueError, csv.Error, RecursionError) as error:
        raise DataError(f"{path}: cannot be read ({error}); restore it") from error
