"""Folders of frames that a layout passes over, to be told of: what is quietly left out looks as if it counted."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from surgaug.datasets.item import Item
from surgaug.datasets.pairing import IMAGE_FOLDERS, LABEL_FOLDERS
from surgaug.datasets.stored_ids import DESCRIPTION, FOLDERS_DESCRIPTION
from surgaug.io.images import is_image_file
from surgaug.io.manifest import MANIFEST

_DEEPEST = 3  # folders below the data set's
_NAMED = 3
_OUTPUT = (MANIFEST, DESCRIPTION, FOLDERS_DESCRIPTION)


def frames_not_read(root: Path, items: Sequence[Item], beside: bool = True, outputs: bool = False) -> list[str]:
    """A warning of folders with image files that no item is from: within folders of items and, if `beside`, others that
    are called as folders of images are. Label maps are none, nor are outputs of surgaug unless `outputs`."""
    read = {path.parent for item in items for path in (item.image, item.label) if path is not None}
    within = {path.parent for item in items if (path := item.image or item.label) is not None}
    maps = LABEL_FOLDERS if any(item.image for item in items) else ()
    found = {}
    for folder, files in _folders(root, outputs):
        parts = {part.lower() for part in folder.relative_to(root).parts}
        told = any(folder.is_relative_to(other) for other in within) or (beside and parts.intersection(IMAGE_FOLDERS))
        if told and folder not in read and not parts.intersection(maps) and (n := sum(map(is_image_file, files))):
            found[folder] = n
    if not found:
        return []
    named = [f"{folder.relative_to(root).as_posix()} ({n:,})" for folder, n in list(found.items())[:_NAMED]]
    more = ", ..." if len(found) > _NAMED else ""
    count = sum(found.values())
    return [
        f"{root}: {count:,} image file{'s are' if count > 1 else ' is'} not read, in {', '.join(named)}{more}: the "
        "layout keeps its frames in other folders. Move them there to be read, label maps too; or elsewhere, if they "
        "are not meant"
    ]


def _folders(root: Path, outputs: bool) -> Iterator[tuple[Path, list[Path]]]:
    """A folder and those below it, with their files; by `os.walk`, which asks no file what it is."""
    for where, inner, names in os.walk(root, followlinks=True):
        folder = Path(where)
        depth = len(folder.relative_to(root).parts)
        if depth and not outputs and not set(_OUTPUT).isdisjoint(names):
            inner.clear()
            continue
        inner[:] = sorted(n for n in inner if not n.startswith((".", "_", "@"))) if depth < _DEEPEST else []
        yield folder, [folder / name for name in names]
