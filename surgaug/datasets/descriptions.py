"""What surgaug wrote of the data set that label maps lie in, however deep its layout keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path, PurePath
from types import ModuleType
from typing import Any

from surgaug.datasets import layouts
from surgaug.datasets.item import WrittenItem
from surgaug.datasets.splits import SPLITS
from surgaug.datasets.stored_ids import Declared, plain_values, read_description
from surgaug.errors import DataError

_DEEPEST = 4  # folders above a label map, at most, in which its data set may begin


def description_of(folder: Path, roots: Sequence[Path] = ()) -> Declared | None:
    """The description of label maps that lie in `folder`: the one there or above; further up, that of a data set whose
    layout keeps its label maps just there; else that of the first of `roots` which the folder lies in."""
    if found := read_description([folder, folder.parent]):
        return found
    real = folder.resolve()
    for above in [real, *real.parents][:_DEEPEST]:
        if (found := read_description([above])) and keeps_labels_in(found.layout, real.relative_to(above)):
            return found
    return read_description(r for r in roots if folder.is_relative_to(r) or real.is_relative_to(r.resolve()))


def common_description(paths: Sequence[Path], roots: Sequence[Path] = ()) -> Declared | None:
    """What is said of all these label maps; of folders of which nothing is said, it counts as well.

    Raises DataError where they belong to data sets that keep ids in different ways.
    """
    found = {folder: description_of(folder, roots) for folder in dict.fromkeys(path.parent for path in paths)}
    ways: dict[Any, Path] = {}
    for folder, declared in found.items():
        ways.setdefault(_kept(declared), folder)
    if len(ways) > 1:
        here, there = list(ways.values())[:2]
        told = next(d.path for d in (found[here], found[there]) if d and _kept(d) != _kept(None))
        raise DataError(
            f"{here} and {there}: their label maps keep class ids in different ways (see {told}); give them one at "
            "a time, or bring them together first, with export"
        )
    return next((declared for declared in found.values() if declared), None)


@cache
def keeps_labels_in(layout: str, folder: PurePath) -> bool:
    """Whether a written data set of this layout keeps label maps in that folder, relative to its root; not for "" or
    the name of a layout that is not written."""
    if layout not in layouts.written():
        return False
    # Some layouts have a folder for each video, by its name.
    frames = (WrittenItem("frame", 0, split, video) for split in (None, *SPLITS) for video in (None, *folder.parts))
    return any(PurePath(layouts.get(layout).paths(frame)[1]).parent == folder for frame in frames)


def drawn_by(declared: Declared) -> ModuleType | None:
    """The layout whose label files hold no numbers of classes, and which alone can read them; None for all others."""
    module = layouts.get(declared.layout) if declared.layout in layouts.written() else None
    return module if hasattr(module, "decode") else None


def _kept(declared: Declared | None) -> tuple[str, tuple[tuple[int, int], ...]]:
    """How label maps keep ids, to be compared; what holds the ids themselves is as if nothing were said of it."""
    if declared and drawn_by(declared):
        return declared.layout, ()
    plain = declared is None or declared.table == plain_values(declared.space)
    return "", () if declared is None or plain else tuple(sorted(declared.table.items()))
