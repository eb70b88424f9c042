"""Label Studio: its JSON export in `root`, with the images beside it or in a folder of images.

An image's name on the server begins with eight digits and a dash, which the file here need not have. Tasks without an
annotation are passed over. Its COCO and YOLO exports are read as those layouts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from surgaug.datasets.item import Item, can_be_a_path
from surgaug.datasets.pairing import IMAGE_FOLDERS, find_folder, not_named
from surgaug.errors import DataError
from surgaug.io.images import image_size
from surgaug.labels.codecs.label_studio import LabelStudioCodec, is_label_studio, read_tasks, titles_of
from surgaug.labels.codecs.polygons import space_of_titles
from surgaug.labels.label_space import LabelSpace
from surgaug.labels.space_detection import class_file_space

__all__ = ["codec", "matches", "read", "unread"]

_UPLOAD = r"^[0-9a-f]{8}-"  # what the server puts before a file's name


def matches(root: Path) -> bool:
    """Whether a JSON file in `root` is an export of Label Studio's."""
    return bool(_files(root))


def read(root: Path, *, split: str | None = None) -> list[Item]:
    """The annotated tasks; a name that occurs twice keeps what the server put before it.

    Raises DataError: a damaged file, a split (there is none), no annotated task, two of one name.
    """
    if split is not None:
        raise DataError(f"{root}: Label Studio's export has no split '{split}'; leave the split out")
    folders = [folder for folder in (find_folder(root, IMAGE_FOLDERS), root) if folder]
    items = [
        Item(name, _image(folders, task.file_name), file / name)
        for file in _files(root)
        for name, task in read_tasks(file).items()
        if task.results is not None or task.fault
    ]
    if not items:
        raise DataError(f"{root}: no task of the export is annotated")
    if twice := [name for name, n in Counter(item.name for item in items).items() if n > 1]:
        raise DataError(f"{root}: two exports have a task called {twice[0]}; keep one of them")
    short = Counter(re.sub(_UPLOAD, "", item.name) for item in items)
    return [replace(item, name=name) if short[name := re.sub(_UPLOAD, "", item.name)] == 1 else item for item in items]


def codec(root: Path, items: Sequence[Item], given: LabelSpace | None) -> LabelStudioCodec:
    """Draws by the labels' names; the space is `given`, a class file's, or that of the labels used."""
    titles = {title for file in _files(root) for task in read_tasks(file).values() for title in titles_of(task)}
    space = given or class_file_space([root]) or space_of_titles(sorted(titles))
    images = {item.label: item.image for item in items}

    def size(label: Path) -> tuple[int, int]:
        image = images.get(label)
        return image_size(image) if image else (0, 0)

    return LabelStudioCodec(space, sizes=size)


def unread(root: Path, items: Sequence[Item]) -> list[Path]:
    """Images beside those of the items that no annotated task names."""
    return not_named(items)


def _files(root: Path) -> list[Path]:
    return sorted(p for p in root.glob("*.json") if p.is_file() and is_label_studio(p))


def _image(folders: Sequence[Path], file_name: str) -> Path | None:
    """The image of that name, with or without what the server puts before it."""
    names = (file_name, re.sub(_UPLOAD, "", file_name))
    places = (folder / name for folder in folders for name in names if can_be_a_path(name))
    return next((place for place in places if place.is_file()), None)
