"""Supervisely: ann/NAME.png.json beside img/NAME.png, in `root` or in one folder a video (as in Cataract-1K) or split.

Cataract-1K is found from above as well, as it was unpacked: [annotations/]Images-and-Supervisely-Annotations/case_N.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from surgaug.datasets.item import Item
from surgaug.datasets.pairing import (
    Twins,
    files_by_stem,
    items_of_pairs,
    items_of_split,
    natural,
    pair,
    split_among,
    split_of,
)
from surgaug.errors import DataError

_TAGGED = re.compile(rb'"name"\s*:\s*"(train|val|test)', re.IGNORECASE)
_CATARACT1K = "Images-and-Supervisely-Annotations"


def matches(root: Path) -> bool:
    """Whether `root` or one of its folders (or Cataract-1K's below it) has a folder `ann` with JSON files."""
    return bool(_datasets(root))


def read(root: Path, *, split: str | None = None) -> list[Item]:
    """The items; each folder with its own `ann` is a video, or a split if its name says so; else the split is the
    frame's tag (train, val, test). A name that occurs in several splits gets the split before it.

    Raises DataError: no frame of the split, two frames of one name.
    """
    items: list[Item] = []
    for folder in _datasets(root):
        twins: Twins = {}
        labels = annotation_files(folder / "ann", twins)
        images = files_by_stem(folder / "img", twins=twins) if (folder / "img").is_dir() else {}
        own = None if folder == root else split_among((folder.name,))
        video = None if folder == root or split_of(folder.name) else folder.name
        for item in items_of_pairs(pair(images, labels), twins, video, own):
            told = own or (_split_in_tags(item.label) if item.label else None)
            items.append(replace(item, split=told))
    seen: dict[tuple[str | None, str], Item] = {}
    for item in items:
        if (other := seen.setdefault((item.split, item.name), item)) is not item:
            files = " and ".join(str(i.label or i.image or i.twins[0]) for i in (other, item))
            raise DataError(f"{files}: two frames of one name; rename one of them")
    return items_of_split(items, split, f"{root}: Supervisely's folders have no split '{split}'; leave the split out")


def annotation_files(folder: Path, twins: Twins) -> dict[str, Path]:
    """The annotation files of a folder by the stem of their frame: NAME of NAME.png.json. twins: takes files of one
    such stem."""
    found = files_by_stem(folder, lambda p: p.suffix.lower() == ".json" and not p.name.startswith("."))
    by_stem: dict[str, Path] = {}
    for path in found.values():
        first = by_stem.setdefault(Path(path.stem).stem, path)
        if first is not path:
            twins.setdefault(first, [first]).append(path)
    return by_stem


def _datasets(root: Path) -> list[Path]:
    bases = [root, *root.glob(_CATARACT1K), *root.glob(f"[Aa]nnotations/{_CATARACT1K}")]
    inner = (p for base in bases for p in base.iterdir() if p.is_dir())
    folders = [root, *sorted(inner, key=lambda p: natural(p.name))]
    return [p for p in folders if (p / "ann").is_dir() and any((p / "ann").glob("*.json"))]


def _split_in_tags(label: Path) -> str | None:
    """The split that a tag of the frame says; None where none does, or the file is damaged, which its drawing says."""
    try:
        content = label.read_bytes()
        tags = json.loads(content.decode("utf-8-sig")).get("tags") if _TAGGED.search(content) else None
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    names = [tag.get("name") for tag in tags if isinstance(tag, Mapping)] if isinstance(tags, list) else []
    return next(filter(None, (split_of(name) for name in names if isinstance(name, str))), None)
