"""One entry of a data set: where its image and its label map lie, or are written."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath, PureWindowsPath

from surgaug.errors import DataError

# Lists of paths, manifests and tables go wrong with line ends and with names that are not UTF-8.
_UNFIT = re.compile("[\x00-\x1f\x7f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True)
class Item:
    """A pair found on disk; what is missing of it is None.

    name: unique in its data set. split: "train", "val", "test" or None. video: shared by the frames of one video.

    label: an image file, an annotation file, or, where one JSON file annotates many frames (COCO), FILE.json/NAME.
    twins: files of one stem, of which it is open which is meant; image and label are None then.
    """

    name: str
    image: Path | None
    label: Path | None
    video: str | None = None
    split: str | None = None
    twins: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, Path]:
        """Image and label of a frame that has both."""
        assert self.image is not None and self.label is not None, self.name
        return self.image, self.label


@dataclass(frozen=True)
class WrittenItem:
    """A pair of a data set that is being written.

    index: its number in the data set, from 0. split: "train", "val", "test"; None where the layout has no splits.
    video: of a synthetic image, that of the mask it was synthesized from. source: the label map that it comes from.
    lenders: further frames' groups (`splits.group_of`) of which there are instruments in it.
    """

    name: str
    index: int
    split: str | None = None
    video: str | None = None
    synthetic: bool = False
    source: str = ""
    lenders: frozenset[str] = frozenset()


def check_names(items: Iterable[Item]) -> None:
    """Raises DataError for a frame whose name would lead out of an output folder, or cannot be listed or written."""
    for item in items:
        if "/" in item.name or "\\" in item.name:
            raise DataError(f"the frame name {item.name!r} is a path; a name has no / or \\")
        for text in (item.name, str(item.image), str(item.label)):
            if _UNFIT.search(text):
                raise DataError(f"{text!r}: the name has line ends, or is not UTF-8; rename the file")


def can_be_a_path(name: str) -> bool:
    """Whether a system can be asked for it: no zero bytes, no part above 255 bytes."""
    parts = name.replace("\\", "/").split("/")
    return "\0" not in name and len(name) < 2048 and all(len(os.fsencode(part)) < 256 for part in parts)


def inside(folder: Path, name: str, told_by: Path) -> Path:
    """`folder / name`, for a name that the file `told_by` gives. Raises DataError when it leads out of the folder."""
    if not can_be_a_path(name):
        raise DataError(f"{told_by}: {name[:60]!r} can be no file name; correct it")
    for kind in (PurePosixPath, PureWindowsPath):
        if kind(name).is_absolute() or kind(name).drive or ".." in kind(name).parts:
            raise DataError(f"{told_by}: the file name {name!r} leads out of the data set; correct it")
    return folder / name


def fingerprint(label: Path) -> str:
    """sha256 of what a label map is read from (see `Item.label`), hexadecimal."""
    if label.parent.is_file():
        whole = _file_hash(label.parent, label.parent.stat().st_mtime_ns)
        return hashlib.sha256(f"{whole}/{label.name}".encode()).hexdigest()
    return hashlib.sha256(label.read_bytes()).hexdigest()


@lru_cache(maxsize=64)
def _file_hash(path: Path, stamp: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
