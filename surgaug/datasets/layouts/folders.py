"""One folder of images and one of label maps, paired by stem: images|imgs|frames with labels|masks|gt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from surgaug.datasets.item import Item, WrittenItem
from surgaug.datasets.pairing import IMAGE_FOLDERS, LABEL_FOLDERS, files_by_stem, find_folder, pair
from surgaug.datasets.stored_ids import plain_values as values
from surgaug.errors import DataError
from surgaug.labels.label_space import LabelSpace

__all__ = ["finish", "matches", "paths", "read", "values"]


def matches(root: Path) -> bool:
    """Whether both folders stand directly in `root` and hold files."""
    images, labels = find_folder(root, IMAGE_FOLDERS), find_folder(root, LABEL_FOLDERS)
    return images is not None and labels is not None and any(p.is_file() for p in images.iterdir())


def read(root: Path, *, split: str | None = None, images: Path | None = None, labels: Path | None = None) -> list[Item]:
    """The items by stem; `images` and `labels` name the folders, relative to `root`, where their names do not tell.

    Raises DataError: a folder missing or empty, two files of one stem; a `split` was asked for, which there is none of.
    """
    if split is not None:
        raise DataError(f"{root}: no folder of its own for the split '{split}'; leave the split out")
    image_folder = root / images if images else find_folder(root, IMAGE_FOLDERS)
    label_folder = root / labels if labels else find_folder(root, LABEL_FOLDERS)
    if image_folder is None or label_folder is None:
        which = IMAGE_FOLDERS if image_folder is None else LABEL_FOLDERS
        raise DataError(f"{root}: no folder {', '.join(which)}")
    pairs = pair(files_by_stem(image_folder), files_by_stem(label_folder))
    return [Item(name, image, label) for name, image, label in pairs]


def paths(frame: WrittenItem) -> tuple[str, str]:
    """images/NAME.png and labels/NAME.png, in a folder by the name of the split where there are splits."""
    folder = f"{frame.split}/" if frame.split else ""
    return f"{folder}images/{frame.name}.png", f"{folder}labels/{frame.name}.png"


def finish(root: Path, frames: Sequence[WrittenItem], space: LabelSpace) -> None:
    """Nothing: the description that every written data set has tells the classes."""
