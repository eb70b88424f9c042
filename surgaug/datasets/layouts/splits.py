"""Subfolders by split: train/images with train/labels (val, test), or images/train with labels/train."""

from __future__ import annotations

from pathlib import Path

from surgaug.datasets.item import Item
from surgaug.datasets.pairing import IMAGE_FOLDERS, LABEL_FOLDERS, SPLIT_FOLDERS, files_by_stem, find_folder, pair
from surgaug.errors import DataError


def matches(root: Path) -> bool:
    """Whether a subfolder by the name of a split holds image or label folders, or these hold such subfolders."""
    return bool(_folders(root))


def read(root: Path, *, split: str | None = None) -> list[Item]:
    """The items of every split, or of one; a stem that occurs in several splits gets the split before its name.

    Raises DataError: a split that is not there, and what `pairing.files_by_stem` raises.
    """
    folders = _folders(root)
    if split is not None and split not in folders:
        raise DataError(f"{root}: no split '{split}'; there is {', '.join(folders)}")
    found = {
        name: pair(
            files_by_stem(images) if images else {},
            files_by_stem(labels) if labels else {},
        )
        for name, (images, labels) in folders.items()
    }
    stems = [stem for pairs in found.values() for stem, _, _ in pairs]
    unique = len(set(stems)) == len(stems)
    return [
        Item(stem if unique else f"{name}_{stem}", image, label, split=name)
        for name, pairs in found.items()
        for stem, image, label in pairs
        if split in (None, name)
    ]


def _folders(root: Path) -> dict[str, tuple[Path | None, Path | None]]:
    """Image and label folder by split, in the order train, val, test."""
    images, labels = find_folder(root, IMAGE_FOLDERS), find_folder(root, LABEL_FOLDERS)
    found = {}
    for split, names in SPLIT_FOLDERS.items():
        inner = (
            find_folder(images, names) if images else None,
            find_folder(labels, names) if labels else None,
        )
        if (folder := find_folder(root, names)) is not None:
            inner = find_folder(folder, IMAGE_FOLDERS), find_folder(folder, LABEL_FOLDERS)
        if any(inner):
            found[split] = inner
    return found
