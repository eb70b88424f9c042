"""EndoVis 2018, scene segmentation: seq_1/left_frames/frame000.png with seq_1/labels/frame000.png in colours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from surgaug.datasets.item import Item
from surgaug.datasets.pairing import Twins, items_of_pairs, items_of_split, natural, pair_folders, split_among
from surgaug.errors import DataError

SPACE = "endovis2018"


def matches(root: Path) -> bool:
    """Whether `root` is such a sequence, or holds sequences, or releases of them."""
    return bool(_sequences(root))


def read(root: Path, *, split: str | None = None) -> list[Item]:
    """The frames of all sequences, each of which is a video; the split is that of a folder above it.

    Raises DataError: a `split` that there is none of; two sequences of one name.
    """
    items: list[Item] = []
    seen: dict[str, Path] = {}
    for folder in _sequences(root):
        video = folder.resolve().name
        if video in seen:
            raise DataError(f"{seen[video]} and {folder}: two sequences of one name; name the release of one of them")
        seen[video] = folder
        twins: Twins = {}
        pairs = pair_folders(folder / "left_frames", folder / "labels", twins)
        own = split_among(folder.relative_to(root).parts)
        items += [replace(item, name=f"{video}_{item.name}") for item in items_of_pairs(pairs, twins, video, own)]
    none = f"{root}: EndoVis 2018 has no split '{split}'; leave it out, and hold out whole sequences"
    return items_of_split(items, split, none)


def _sequences(root: Path) -> list[Path]:
    found = [
        p.parent
        for depth in range(3)
        for p in root.glob(f"{'*/' * depth}left_frames")
        if (p.parent / "labels").is_dir()
    ]
    return sorted(found, key=lambda p: natural(str(p)))
