"""One folder of images and one of label maps, paired by name: images|imgs|frames with labels|masks|gt.

Both may hold a folder a video, of the same names on both sides (images/case_1 with labels/case_1). Lists beside them
may say the splits.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from surgaug.datasets.item import Item, WrittenItem
from surgaug.datasets.pairing import (
    IMAGE_FOLDERS,
    LABEL_FOLDERS,
    find_folder,
    holds_files,
    items_of_folders,
    items_of_split,
)
from surgaug.datasets.split_lists import with_listed_splits
from surgaug.datasets.stored_ids import plain_values as values
from surgaug.errors import DataError
from surgaug.labels.label_space import LabelSpace

__all__ = ["finish", "matches", "paths", "read", "values"]


def matches(root: Path) -> bool:
    """Whether both folders stand directly in `root` and hold files."""
    labels = find_folder(root, LABEL_FOLDERS)
    return labels is not None and holds_files(find_folder(root, IMAGE_FOLDERS))


def read(root: Path, *, split: str | None = None, images: Path | None = None, labels: Path | None = None) -> list[Item]:
    """The items by name; `images` and `labels` are the folders, where their names do not tell.

    Raises DataError: a folder missing or empty; a `split` that there is none of.
    """
    images, labels = images or find_folder(root, IMAGE_FOLDERS), labels or find_folder(root, LABEL_FOLDERS)
    if images is None or labels is None:
        raise DataError(f"{root}: no folder {', '.join(IMAGE_FOLDERS if images is None else LABEL_FOLDERS)}")
    items = with_listed_splits(root, items_of_folders(images, labels))
    return items_of_split(items, split, f"{root}: no folder of its own for the split '{split}'; leave the split out")


def paths(frame: WrittenItem) -> tuple[str, str]:
    """images/NAME.png and labels/NAME.png, in a folder by the name of the split where there are splits."""
    folder = f"{frame.split}/" if frame.split else ""
    return f"{folder}images/{frame.name}.png", f"{folder}labels/{frame.name}.png"


def finish(root: Path, frames: Sequence[WrittenItem], space: LabelSpace) -> None:
    """Nothing: the description that every written data set has tells the classes."""
