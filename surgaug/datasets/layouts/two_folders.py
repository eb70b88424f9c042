"""Two folders of any names, side by side, one of pictures and one of label maps: input with target, trainA with trainB.

A split may begin their names (pix2pix, pix2pixHD, CycleGAN: train_A with train_B, test_A with test_B), and folders may
lie between (data/train with mask/all/train). Which of both holds the label maps is told by what the files hold; where
that leaves a doubt, it is no such data set.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from surgaug.datasets.item import Item
from surgaug.datasets.pairing import SPLIT_FOLDERS, items_of_folders, items_of_split, pair_folders, split_of
from surgaug.errors import DataError
from surgaug.io.images import is_label_file, read_raw
from surgaug.runtime.spread import spread_over

_SPLITS = {name: split for split, names in SPLIT_FOLDERS.items() for name in names}
_SPLIT_FIRST = re.compile(rf"({'|'.join(sorted(_SPLITS, key=len, reverse=True))})[_ -]?(?=[AB]$)", re.IGNORECASE)
_LOOKED_AT = 3
_MOST_CLASSES = 64
_DEEPEST = 3  # a link may lead back
_PAIRED = 0.5  # of the files


def matches(root: Path) -> bool:
    """Whether the folders with files are two, or two by split, of pictures and of label maps by the same names."""
    return bool(_folders(root))


def read(root: Path, *, split: str | None = None) -> list[Item]:
    """The items of every split, or of one; a name that occurs in several splits gets the split before it.

    Raises DataError: a split that is not there, and what `pairing.items_of_folders` raises.
    """
    folders = _folders(root)
    found = [item for own, (images, labels) in folders.items() for item in items_of_folders(images, labels, own)]
    there = ", ".join(filter(None, folders)) or "none"
    return items_of_split(found, split, f"{root}: no split '{split}'; there is {there}")


def _folders(root: Path) -> dict[str | None, tuple[Path, Path]]:
    """Image and label folder by split; empty where it is not the same two kinds of folders throughout."""
    by_split: dict[str | None, list[Path]] = {}
    for top in _inner(root):
        folder = _descended(top)
        if _holds_files(folder):
            begins = _SPLIT_FIRST.match(folder.name)
            by_split.setdefault(_SPLITS[begins.group(1).lower()] if begins else None, []).append(folder)
        else:
            for inner in _inner(folder):
                if (split := split_of(inner.name)) and _holds_files(inner):
                    by_split.setdefault(split, []).append(inner)
    found = {}
    for split, folders in by_split.items():
        if len(folders) != 2 or (chosen := _image_and_label(*folders)) is None:
            return {}
        found[split] = chosen
    return found if len(found) == 1 or None not in found else {}


def _inner(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith((".", "_", "@")))


def _holds_files(folder: Path) -> bool:
    return any(is_label_file(p) for p in folder.iterdir())


def _descended(folder: Path) -> Path:
    """The first folder within that holds files, or several folders, or one by the name of a split."""
    for _ in range(_DEEPEST):
        if _holds_files(folder) or len(inner := _inner(folder)) != 1 or split_of(inner[0].name):
            break
        folder = inner[0]
    return folder


def _image_and_label(one: Path, other: Path) -> tuple[Path, Path] | None:
    """The two folders, that of the pictures first; None where that is open, or where their files do not pair."""
    kinds = {folder: _kind(folder) for folder in (one, other)}
    if set(kinds.values()) != {"pictures", "label maps"}:
        return None
    images, labels = sorted(kinds, key=lambda folder: kinds[folder] == "label maps")
    try:
        pairs = pair_folders(images, labels)
    except DataError:
        return None
    whole = sum(image is not None and label is not None for _, image, label in pairs)
    return (images, labels) if whole >= _PAIRED * len(pairs) else None


def _kind(folder: Path) -> str:
    """What the files of a folder are: "pictures", "label maps", or "" where some of them leave it open."""
    files = sorted(p for p in folder.iterdir() if is_label_file(p))
    kinds = {_kind_of(file) for file in spread_over(files, _LOOKED_AT)}
    return kinds.pop() if len(kinds) == 1 else ""


def _kind_of(path: Path) -> str:
    """Many colours make a picture, few values in a lossless file a label map."""
    try:
        raw = read_raw(path)
    except DataError:
        return ""
    few = len(np.unique(raw.values)) <= _MOST_CLASSES
    if few and not raw.lossy:
        return "label maps"
    return "pictures" if raw.color and not few else ""
