"""Cityscapes' tree: leftImg8bit/train/CITY/NAME_leftImg8bit.png with gtFine/train/CITY/NAME_gtFine_labelIds.png.

Of the files that lie there for a frame, labelIds are read, or labelTrainIds where there are no others.
"""

from __future__ import annotations

from pathlib import Path

from surgaug.datasets.item import Item
from surgaug.datasets.pairing import items_of_split, natural

_IMAGES, _LABELS = "leftImg8bit", ("gtFine", "gtCoarse")
_KINDS = ("labelIds", "labelTrainIds")


def matches(root: Path) -> bool:
    """Whether the two folders stand in `root`."""
    return (root / _IMAGES).is_dir() and any((root / name).is_dir() for name in _LABELS)


def read(root: Path, *, split: str | None = None) -> list[Item]:
    """The frames of all cities, each of which is a video. Raises DataError: no frame of the split."""
    kind = next((kind for kind in _KINDS if any(root.glob(f"{_LABELS[0]}/*/*/*_{kind}.png"))), _KINDS[0])
    found: dict[tuple[str, str, str], dict[str, Path]] = {}
    for folder, ending in ((_IMAGES, f"_{_IMAGES}.png"), *((name, f"_{name}_{kind}.png") for name in _LABELS)):
        for path in root.glob(f"{folder}/*/*/*{ending}"):
            own, city = path.parts[-3:-1]
            side = found.setdefault((own, city, path.name.removesuffix(ending)), {})
            side.setdefault("image" if folder == _IMAGES else "label", path)  # the fine ones come first
    items = [
        Item(name, files.get("image"), files.get("label"), city, own if own in ("train", "val", "test") else None)
        for (own, city, name), files in sorted(found.items(), key=lambda entry: natural("/".join(entry[0])))
        if own != "train_extra" or "label" in files
    ]
    return items_of_split(items, split, f"{root}: no frame of the split '{split}'")
