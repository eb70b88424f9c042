"""Which files of a folder belong together: by stem, never by order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from surgaug.datasets.item import Item
from surgaug.errors import DataError
from surgaug.io.images import SUFFIXES, is_image_file

IMAGE_FOLDERS = ("images", "image", "imgs", "img", "frames", "jpegimages")
LABEL_FOLDERS = ("labels", "label", "masks", "mask", "gt", "segmentationclass", "annotations")
SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}


def natural(text: str) -> list[tuple[int, str]]:
    """A sort key in which 2 comes before 10."""
    return [(int(p), "") if p.isdecimal() else (-1, p) for p in re.split(r"(\d+)", text)]


def find_folder(root: Path, names: tuple[str, ...]) -> Path | None:
    """The one subfolder of `root` that goes by one of `names` (any case), or None. DataError if there are several."""
    found = sorted(p for p in root.iterdir() if p.is_dir() and p.name.lower() in names)
    if len(found) > 1:
        raise DataError(f"{root}: {' and '.join(p.name for p in found)} both stand there; keep one, or name it")
    return found[0] if found else None


def files_by_stem(folder: Path, accept: Callable[[Path], bool] = is_image_file) -> dict[str, Path]:
    """The files directly in `folder`, by stem, in natural order; hidden files and other kinds are passed over.

    Raises DataError: no such folder, two files of one stem (both are named), no file of the kind.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir(), key=lambda p: natural(p.name)):
        if not accept(path) or not path.is_file():
            continue
        if path.stem in found:
            raise DataError(f"{found[path.stem]} and {path.name}: two files of one stem; remove one of them")
        found[path.stem] = path
    if not found:
        raise DataError(f"{folder}: {_what_instead(folder)} ({', '.join(s[1:] for s in SUFFIXES)})")
    return found


def pair(images: dict[str, Path], labels: dict[str, Path]) -> list[tuple[str, Path | None, Path | None]]:
    """(name, image, label) by stem, in natural order; None for a missing one.

    Where no stem is in both, but all labels are called like an image with one common ending (NAME_mask, or the
    images with one, NAME_0000), the ending is left out of account. The name is the image's, or the shorter one.
    """
    if images and labels and not images.keys() & labels.keys():
        if (ending := _common_ending(images, labels)) is not None:
            labels = {stem[: -len(ending)]: path for stem, path in labels.items()}
        elif (ending := _common_ending(labels, images)) is not None:
            images = {stem[: -len(ending)]: path for stem, path in images.items()}
    names = sorted(images.keys() | labels.keys(), key=natural)
    return [(name, images.get(name), labels.get(name)) for name in names]


def pair_folders(images: Path, labels: Path) -> list[tuple[str, Path | None, Path | None]]:
    """`pair` over the image files of two folders."""
    return pair(files_by_stem(images), files_by_stem(labels))


def not_named(items: Iterable[Item]) -> list[Path]:
    """Image files that lie beside those of the items and belong to none of them."""
    named = {path for item in items for path in (item.image, item.label) if path is not None}
    folders = sorted({path.parent for item in items if (path := item.image) is not None})
    return [p for folder in folders for p in sorted(folder.iterdir()) if is_image_file(p) and p not in named]


def _common_ending(plain: dict[str, Path], longer: dict[str, Path]) -> str | None:
    """The ending that turns each stem of `longer` into one of `plain`, and starts with _, - or a dot."""
    first = next(iter(longer))
    for stem in sorted((s for s in plain if first.startswith(s)), key=len, reverse=True):
        ending = first[len(stem) :]
        if ending[:1] in ("_", "-", ".") and all(s.endswith(ending) and s[: -len(ending)] in plain for s in longer):
            return ending
    return None


def _what_instead(folder: Path) -> str:
    inside = [p for p in folder.iterdir() if not p.name.startswith(".")]
    if not inside:
        return "empty folder, no image file"
    if folders := sorted(p.name for p in inside if p.is_dir()):
        return f"no image file, but folders ({', '.join(folders[:5])}); name one of them"
    return f"no image file, but {', '.join(sorted({p.suffix or p.name for p in inside})[:5])}"
