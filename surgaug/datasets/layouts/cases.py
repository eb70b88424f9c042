"""A folder a video, each with its images and label maps: case_1/images with case_1/labels; by split or not.

A case called test_case_1 is of that split.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from surgaug.datasets.item import Item
from surgaug.datasets.pairing import (
    IMAGE_FOLDERS,
    LABEL_FOLDERS,
    SPLIT_FOLDERS,
    find_folder,
    holds_files,
    items_of_folders,
    natural,
    split_among,
)
from surgaug.datasets.stored_ids import read_description
from surgaug.errors import DataError
from surgaug.io.images import is_label_file


def matches(root: Path) -> bool:
    """Whether folders that are not named by a split hold an image and a label folder each."""
    return any(True for _ in _cases(root))


def read(root: Path, *, split: str | None = None) -> list[Item]:
    """The items of all cases; a name that occurs in several gets the case before it.

    Raises DataError: a split that is not there, masks of single objects, and what `pairing.items_of_folders` raises.
    """
    found: list[Item] = []
    for own, case, images, labels in _cases(root):
        if split in (None, own):
            items = items_of_folders(images, labels, own)
            _refuse_single_objects(items)
            found += [replace(item, video="_".join(filter(None, (case, item.video)))) for item in items]
    if not found:
        raise DataError(f"{root}: no folder of its own for the split '{split}'; leave the split out")
    if max(Counter(item.name for item in found).values()) > 1:
        found = [replace(item, name=f"{item.video}_{item.name}") for item in found]
    return found


def _refuse_single_objects(items: Sequence[Item]) -> None:
    """Raises DataError for one image with several masks, none of them of its name."""
    images, labels = ([path for item in items if (path := getattr(item, kind))] for kind in ("image", "label"))
    if len(images) == 1 and 1 < len(labels) == len(items) - 1:
        raise DataError(
            f"{images[0]}: {len(labels)} masks ({labels[0].name}, ...) for one image, as of single objects; nothing "
            f"says which classes they are. Merge them into one label map {images[0].stem}.png, or name them "
            f"{images[0].stem}_CLASS.png in one folder beside one of all images"
        )


def _cases(root: Path) -> Iterator[tuple[str | None, str, Path, Path]]:
    """Split, name, image folder and label folder of each case; there is none where images or label maps lie beside.

    Outputs of ours are no cases: they lie beside what they were made from.
    """
    by_split = [(split, find_folder(root, names)) for split, names in SPLIT_FOLDERS.items()]
    splits = [folder for _, folder in by_split if folder]
    for split, base in [(None, root), *by_split]:
        if base and any(is_label_file(p) and p.is_file() for p in base.iterdir()):
            continue
        for folder in sorted(base.iterdir() if base else (), key=lambda p: natural(p.name)):
            if not folder.is_dir() or folder.name.startswith((".", "_")) or folder in splits:
                continue
            images, labels = find_folder(folder, IMAGE_FOLDERS), find_folder(folder, LABEL_FOLDERS)
            if images and labels and holds_files(images) and read_description([folder]) is None:
                yield split or split_among((folder.name,)), folder.name, images, labels
