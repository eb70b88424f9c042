"""CholecSeg8k: video01/video01_00080/frame_80_endo.png with frame_80_endo_watershed_mask.png beside it.

The watershed mask is read: it holds a value a class, in three equal channels. The colour mask beside it shows the same,
and is read where no watershed mask is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from surgaug.datasets.item import Item
from surgaug.datasets.pairing import items_of_split, natural, split_among
from surgaug.errors import DataError
from surgaug.labels.builtin_spaces import load_space, stored_of
from surgaug.labels.codec import Codec
from surgaug.labels.label_space import LabelSpace

SPACE = "cholecseg8k"
_IMAGE, _LABEL, _COLORS = "_endo.png", "_endo_watershed_mask.png", "_endo_color_mask.png"
_DEPTH = 4


def matches(root: Path) -> bool:
    """Whether `root`, its folders or theirs hold frames with their masks."""
    return _ending(root) is not None


def read(root: Path, *, split: str | None = None) -> list[Item]:
    """The frames of all clips; the video is what the clip's name begins with, the split that of a folder above it.

    Raises DataError: a `split` that there is none of; two frames of one name.
    """
    items: dict[str, Item] = {}
    label = _ending(root) or _LABEL
    for ending, kind in ((_IMAGE, "image"), (label, "label")):
        for path in (p for depth in range(_DEPTH) for p in root.glob(f"{'*/' * depth}*{ending}")):
            clip = path.parent.resolve().name
            name = f"{clip}_{path.name.removesuffix(ending)}"
            own = split_among(path.relative_to(root).parts[:-1])
            old = items.get(name, Item(name, None, None, clip.split("_")[0], own))
            if getattr(old, kind) is not None:
                raise DataError(f"{getattr(old, kind)} and {path}: two frames of one name; name the folder of one")
            items[name] = Item(**{**vars(old), kind: path})
    none = f"{root}: CholecSeg8k has no split '{split}'; leave the split out, and hold out whole videos"
    return items_of_split(sorted(items.values(), key=lambda item: natural(item.name)), split, none)


def codec(root: Path, items: Sequence[Item], given: LabelSpace | None) -> Codec | None:
    """The published values, unless another label space than CholecSeg8k's is given."""
    space = load_space(SPACE)
    if _ending(root) == _COLORS:
        return None
    return Codec("ids", space, stored_of(space)) if given in (None, space) else None


def _ending(root: Path) -> str | None:
    """How the masks that are read are called."""
    for ending in (_LABEL, _COLORS):
        if any(any(root.glob(f"{'*/' * depth}*{ending}")) for depth in range(_DEPTH)):
            return ending
    return None
