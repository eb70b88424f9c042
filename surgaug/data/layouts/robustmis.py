"""ROBUST-MIS 2019: a folder a frame, Training/Prokto/1/12345/{raw.png, instrument_instances.png}.

The mask numbers the instruments of a frame (0 is background) and names no type: any number is the class instrument.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from surgaug.data.codecs import Codec
from surgaug.data.item import Item
from surgaug.data.label_space import LabelSpace
from surgaug.data.pairing import natural
from surgaug.data.spaces import load_space
from surgaug.errors import DataError

SPACE = "robust-mis"
IMAGE, LABEL = "raw.png", "instrument_instances.png"
_SPLITS = {"training": "train", "train": "train", "validation": "val", "val": "val", "testing": "test", "test": "test"}
_DEPTH = 5


def matches(root: Path) -> bool:
    """Whether folders under `root` hold raw.png with instrument_instances.png."""
    return any(any((p.parent / IMAGE).is_file() for p in root.glob(f"{'*/' * d}{LABEL}")) for d in range(1, _DEPTH))


def read(root: Path, *, split: str | None = None) -> list[Item]:
    """The frames; name and video come from the folders below `root`, the split from one named so.

    Raises DataError: no frame of the split.
    """
    items = []
    folders = {p.parent for depth in range(1, _DEPTH) for p in root.glob(f"{'*/' * depth}{IMAGE}")}
    for folder in sorted(folders, key=lambda p: natural(str(p))):
        parts = folder.relative_to(root).parts
        own = next((_SPLITS[p.lower()] for p in (*parts, root.resolve().name) if p.lower() in _SPLITS), None)
        if split in (None, own):
            label = folder / LABEL
            video = "_".join(parts[:-1]) or None
            items.append(Item("_".join(parts), folder / IMAGE, label if label.is_file() else None, video, own))
    if not items:
        raise DataError(f"{root}: no frame of the split '{split}'")
    return items


def codec(root: Path, items: Sequence[Item], given: LabelSpace | None) -> Codec | None:
    """Any number is an instrument, unless another label space is given."""
    space = load_space(SPACE)
    return Codec("ids", space, {0: 0} | dict.fromkeys(range(1, 256), 1)) if given in (None, space) else None
