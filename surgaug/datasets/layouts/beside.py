"""Label maps beside their images in one folder: NAME.jpg with NAME_mask.png, in folders by split or not.

Roboflow's semantic masks come so, with `_classes.csv` in each folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from surgaug.datasets.item import Item
from surgaug.datasets.pairing import (
    SPLIT_FOLDERS,
    Twins,
    files_by_stem,
    find_folder,
    items_of_pairs,
    items_of_split,
    pair,
)
from surgaug.errors import DataError
from surgaug.io.images import is_image_file

_ENDINGS: tuple[str, ...] = (
    "_mask",
    "_masks",
    "_label",
    "_labels",
    "_seg",
    "_segmentation",
    "_gt",
    "_groundtruth",
    "_annotation",
)
_ENDINGS += tuple(ending.replace("_", separator) for ending in _ENDINGS for separator in "-.")


def matches(root: Path) -> bool:
    """Whether `root` or a folder of a split holds files that are called as others are, with _mask or the like."""
    return any(True for _ in _folders(root))


def read(root: Path, *, split: str | None = None) -> list[Item]:
    """The items of every split, or of one; a name that occurs in several splits gets the split before it.

    Raises DataError: a split that is not there, two kinds of label maps.
    """
    found = []
    for own, folder, endings in _folders(root):
        if len(endings) > 1:
            raise DataError(f"{folder}: label maps by {' and by '.join(endings)}; move one kind to another folder")
        twins: Twins = {}
        files = files_by_stem(folder, twins=twins)
        labels = {stem: path for stem, path in files.items() if stem.lower().endswith(endings[0])}
        pairs = pair({stem: path for stem, path in files.items() if stem not in labels}, labels)
        found += items_of_pairs(pairs, twins, split=own)
    return items_of_split(found, split, f"{root}: no folder of its own for the split '{split}'; leave the split out")


def _folders(root: Path) -> Iterator[tuple[str | None, Path, list[str]]]:
    """Split, folder, and the endings of its label maps."""
    by_split = [(split, find_folder(root, names)) for split, names in SPLIT_FOLDERS.items()]
    for split, folder in [(None, root), *by_split]:
        stems = {p.stem.lower() for p in folder.iterdir() if is_image_file(p)} if folder else set()
        found = [e for e in _ENDINGS if any(s.endswith(e) and s.removesuffix(e) in stems for s in stems)]
        if folder and found:
            yield split, folder, found
