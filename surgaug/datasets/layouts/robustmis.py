"""ROBUST-MIS 2019: a folder a frame, Training/Prokto/1/12345/{raw.png, instrument_instances.png}.

The mask numbers the instruments of a frame (0 is background) and names no type: any number is the class instrument. A
frame in which none is visible comes without mask (Maier-Hein et al. 2021, whose HeiCo holds the same frames).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from surgaug.datasets.item import Item
from surgaug.datasets.pairing import natural, split_of
from surgaug.errors import DataError
from surgaug.io.images import image_size, read_numbers
from surgaug.labels.builtin_spaces import load_space
from surgaug.labels.codec import DrawnCodec
from surgaug.labels.label_space import LabelSpace

SPACE = "robust-mis"
IMAGE, LABEL = "raw.png", "instrument_instances.png"
_DEPTH = 5


def matches(root: Path) -> bool:
    """Whether folders under `root` hold raw.png with instrument_instances.png."""
    return any(any((p.parent / IMAGE).is_file() for p in root.glob(f"{'*/' * d}{LABEL}")) for d in range(1, _DEPTH))


def read(root: Path, *, split: str | None = None) -> list[Item]:
    """The frames; name and video come from the folders below `root`, the split from one named so. The label of a frame
    without mask is the frame itself.

    Raises DataError: no frame of the split.
    """
    items = []
    folders = {p.parent for depth in range(1, _DEPTH) for p in root.glob(f"{'*/' * depth}{IMAGE}")}
    for folder in sorted(folders, key=lambda p: natural(str(p))):
        parts = folder.relative_to(root).parts
        own = next(filter(None, map(split_of, (*parts, root.resolve().name))), None)
        if split in (None, own):
            label = folder / LABEL
            video = "_".join(parts[:-1]) or None
            image = folder / IMAGE
            items.append(Item("_".join(parts), image, label if label.is_file() else image, video, own))
    if not items:
        raise DataError(f"{root}: no frame of the split '{split}'")
    return items


def codec(root: Path, items: Sequence[Item], given: LabelSpace | None) -> InstancesCodec:
    """Any number is an instrument. Raises DataError for another label space."""
    space = load_space(SPACE)
    if given not in (None, space):
        raise DataError(f"{root}: ROBUST-MIS tells instruments from the rest ({SPACE}), nothing of '{given.name}'")
    return InstancesCodec(space)


@dataclass(frozen=True)
class InstancesCodec(DrawnCodec):
    """Masks of instances as one class; a frame in place of a mask shows no instrument."""

    encoding: str = "instances"

    def decode(self, path: Path) -> np.ndarray:
        """Ids uint8 [H, W]. Raises DataError for a file that cannot be read, or that is coloured."""
        if path.name == IMAGE:
            return np.zeros(image_size(path), np.uint8)
        return (read_numbers(path) > 0).astype(np.uint8)
