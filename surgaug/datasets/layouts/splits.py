"""Subfolders by split: train/images with train/labels (val, test), images/train with labels/train, or train_img with
train_label.

Each may hold a folder a video, of the same names on both sides.
"""

from __future__ import annotations

from pathlib import Path

from surgaug.datasets.item import Item
from surgaug.datasets.pairing import (
    IMAGE_FOLDERS,
    LABEL_FOLDERS,
    SPLIT_FOLDERS,
    find_folder,
    items_of_folders,
    items_of_split,
)


def matches(root: Path) -> bool:
    """Whether a subfolder by the name of a split holds image or label folders, or these hold such subfolders."""
    return bool(_folders(root))


def read(root: Path, *, split: str | None = None, images: Path | None = None, labels: Path | None = None) -> list[Item]:
    """The items of every split, or of one; a name that occurs in several splits gets the split before it.

    images, labels: the two folders that hold the splits' folders, where their names do not tell.
    Raises DataError: a split that is not there, and what `pairing.items_of_folders` raises.
    """
    folders = _folders(root, images, labels)
    found = [item for name, both in folders.items() for item in items_of_folders(*both, name)]
    return items_of_split(found, split, f"{root}: no split '{split}'; there is {', '.join(folders)}")


def _folders(
    root: Path, images: Path | None = None, labels: Path | None = None
) -> dict[str, tuple[Path | None, Path | None]]:
    """Image and label folder by split, in the order train, val, test."""
    given = bool(images and labels)
    images = images or find_folder(root, IMAGE_FOLDERS)
    labels = labels or find_folder(root, LABEL_FOLDERS)
    found = {}
    for split, names in SPLIT_FOLDERS.items():
        inner = (
            find_folder(images, names) if images else None,
            find_folder(labels, names) if labels else None,
        )
        if not given and (folder := find_folder(root, names)) is not None:
            inner = find_folder(folder, IMAGE_FOLDERS), find_folder(folder, LABEL_FOLDERS)
        elif not given and not any(inner):
            inner = find_folder(root, _after(names, IMAGE_FOLDERS)), find_folder(root, _after(names, LABEL_FOLDERS))
        if any(inner):
            found[split] = inner
    return found


def _after(splits: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """train_img, and the like."""
    return tuple(f"{split}_{name}" for split in splits for name in names)
