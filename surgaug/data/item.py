"""One frame of a data set: where its image and its label map lie."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path


@dataclass(frozen=True)
class Item:
    """`name` is unique in its data set; `split`: "train", "val", "test" or None; `video` groups frames of one film.

    label: an image file, an annotation file, or, where one JSON file annotates many frames (COCO), FILE.json/NAME.
    """

    name: str
    image: Path | None
    label: Path | None
    video: str | None = None
    split: str | None = None


@dataclass(frozen=True)
class Frame:
    """One pair of a data set that is written here.

    index: its number in the data set, from 0. split: "train", "val", "test"; None where the layout keeps none apart.
    video: of a painted frame, that of the mask it was painted from. source: the label map that it comes from.
    """

    name: str
    index: int
    split: str | None = None
    video: str | None = None
    synthetic: bool = False
    source: str = ""


def fingerprint(label: Path) -> str:
    """sha256 of what a label map is read from (see `Item.label`), hexadecimal."""
    if label.parent.is_file():
        whole = _file_hash(label.parent, label.parent.stat().st_mtime_ns)
        return hashlib.sha256(f"{whole}/{label.name}".encode()).hexdigest()
    return hashlib.sha256(label.read_bytes()).hexdigest()


@lru_cache(maxsize=64)
def _file_hash(path: Path, stamp: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
