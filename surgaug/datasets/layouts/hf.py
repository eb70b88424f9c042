"""A folder for Hugging Face `datasets`: SPLIT/metadata.csv beside SPLIT/images and SPLIT/labels, loaded as columns
`image` and `label`. Ids 0 to K-1, 255 ignored, as `transformers` wants them; `id2label.json` names them.

Format: huggingface.co/docs/datasets, "ImageFolder" (columns ending in `_file_name` become images).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from surgaug.datasets.item import Item, WrittenItem, inside
from surgaug.datasets.stored_ids import index_values as values
from surgaug.errors import DataError
from surgaug.io.atomic import write_text
from surgaug.labels.label_space import LabelSpace

__all__ = ["finish", "matches", "paths", "read", "values"]

METADATA = "metadata.csv"
COLUMNS = ("image_file_name", "label_file_name", "name", "video", "synthetic")
_FOLDERS = {"train": "train", "val": "validation", "test": "test"}


def matches(root: Path) -> bool:
    """Whether a split's metadata.csv names images and labels."""
    return any(_heading(path)[:2] == list(COLUMNS[:2]) for _, path in _tables(root))


def read(root: Path, *, split: str | None = None) -> list[Item]:
    """The items that the tables name. Raises DataError: no such split, a row that cannot be read."""
    items = []
    for name, path in _tables(root):
        if split not in (None, name):
            continue
        with path.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), 2):
                try:
                    image, label = (inside(path.parent, row[key], path) for key in COLUMNS[:2])
                except (KeyError, TypeError):
                    raise DataError(f"{path}:{number}: image_file_name or label_file_name missing") from None
                items.append(Item(row.get("name") or image.stem, image, label, row.get("video") or None, name))
    if not items:
        raise DataError(f"{root}: no split '{split}'")
    return items


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


def _tables(root: Path) -> Iterator[tuple[str, Path]]:
    for split, folder in _FOLDERS.items():
        if (path := root / folder / METADATA).is_file():
            yield split, path


def _heading(path: Path) -> list[str]:
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        return next(csv.reader(file), [])
