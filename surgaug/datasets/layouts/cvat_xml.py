"""CVAT, "CVAT for images 1.1": annotations.xml beside `images`, in which images may lie in folders. An image without
regions is all background. The split is the subset, where it is called as one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from surgaug.datasets.item import Item, inside
from surgaug.datasets.pairing import (
    IMAGE_FOLDERS,
    find_folder,
    items_of_split,
    not_named,
    refuse_shared_images,
    split_among,
)
from surgaug.errors import DataError
from surgaug.labels.codecs.cvat_xml import CvatXmlCodec, Frame, is_cvat_xml, read_frames, titles_of
from surgaug.labels.codecs.polygons import space_of_titles
from surgaug.labels.label_space import LabelSpace
from surgaug.labels.space_detection import class_file_space

__all__ = ["codec", "matches", "read", "unread"]


def matches(root: Path) -> bool:
    """Whether an XML file in `root` is CVAT's."""
    return bool(_files(root))


def read(root: Path, *, split: str | None = None) -> list[Item]:
    """The images of the files. Raises DataError: a damaged file, no image of the split, two of one name."""
    folder = find_folder(root, IMAGE_FOLDERS) or root
    items = [
        Item(name, _image(folder, frame, file), file / name, split=split_among((frame.subset,)))
        for file in _files(root)
        for name, frame in read_frames(file).items()
    ]
    if twice := [name for name, n in Counter(item.name for item in items).items() if n > 1]:
        raise DataError(f"{root}: two files have an image called {twice[0]}; keep one of them")
    refuse_shared_images(items, "keep the folders that images have in the task")
    of_subset = f" of the subset '{split}'; leave the split out" if split else ""
    return items_of_split(items, split, f"{root}: no image{of_subset}")


def codec(root: Path, items: Sequence[Item], given: LabelSpace | None) -> CvatXmlCodec:
    """Draws by the labels' names; the space is `given`, a class file's, or that of the labels used."""
    titles = {title for file in _files(root) for frame in read_frames(file).values() for title in titles_of(frame)}
    return CvatXmlCodec(given or class_file_space([root]) or space_of_titles(sorted(titles), listed=True))


def unread(root: Path, items: Sequence[Item]) -> list[Path]:
    """Images beside those of the items that no file names."""
    return not_named(items)


def _files(root: Path) -> list[Path]:
    return sorted(p for p in root.glob("*.xml") if p.is_file() and is_cvat_xml(p))


def _image(folder: Path, frame: Frame, told_by: Path) -> Path | None:
    """The image: in the folder of its subset, which exports put before its own folders, in these, or without them."""
    names = (f"{frame.subset}/{frame.file_name}", frame.file_name, PurePosixPath(frame.file_name).name)
    places = [inside(folder, name.removeprefix("/"), told_by) for name in names]
    return next((place for place in places if place.is_file()), None)
