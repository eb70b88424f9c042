"""EndoVis 2017: instrument_dataset_1/left_frames/frame000.png, and ground_truth/TOOL_labels/frame000.png a tool.

A tool's file holds 10 for the shaft, 20 for the wrist, 30 for the claspers; its folder's name tells the type. The label
space `endovis2017-parts` (the default) has the parts, `endovis2017-types` the types. Where tools overlap, the folder
that comes later by name wins. Other_labels (the ultrasound probe) counts for the types only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from surgaug.datasets.item import Item
from surgaug.datasets.pairing import Twins, items_of_pairs, items_of_split, natural, pair_folders, split_among
from surgaug.errors import DataError
from surgaug.io.images import read_numbers
from surgaug.labels.builtin_spaces import load_space
from surgaug.labels.codec import DrawnCodec
from surgaug.labels.label_space import LabelSpace

PARTS, TYPES = "endovis2017-parts", "endovis2017-types"
_PART = {10: 1, 20: 2, 30: 3}
_OTHER = "other"


def matches(root: Path) -> bool:
    """Whether `root` is such a data set of a video, or holds some."""
    return bool(_videos(root))


def read(root: Path, *, split: str | None = None) -> list[Item]:
    """The frames of all videos; a label is one tool's file, which leads to those of the others. The split is that of a
    folder above the video (instrument_5_8_testing).

    Raises DataError: a `split` that there is none of.
    """
    items = []
    for folder in _videos(root):
        video, tools = folder.resolve().name, _tools(folder)
        twins: Twins = {}
        pairs = pair_folders(folder / "left_frames", tools[0], twins)
        own = split_among(folder.relative_to(root).parts)
        items += [replace(item, name=f"{video}_{item.name}") for item in items_of_pairs(pairs, twins, video, own)]
    none = f"{root}: EndoVis 2017 has no split '{split}'; leave the split out, and hold out whole videos"
    return items_of_split(items, split, none)


def codec(root: Path, items: Sequence[Item], given: LabelSpace | None) -> ToolsCodec:
    """Merges the tools' files. Raises DataError for a label space that is neither of the two."""
    space = given or load_space(PARTS)
    if space not in (load_space(PARTS), load_space(TYPES)):
        raise DataError(f"{root}: as published, EndoVis 2017 holds {PARTS} and {TYPES}, not '{space.name}'")
    return ToolsCodec(space)


@dataclass(frozen=True)
class ToolsCodec(DrawnCodec):
    """Merges the files of all tools of a frame, found from any one of them."""

    encoding: str = "files of tools"

    def decode(self, path: Path) -> np.ndarray:
        """Ids [H, W]. Raises DataError: a value that is no part, a tool of unknown type, sizes that differ."""
        merged = None
        for folder in _tools(path.parents[2]):
            file = folder / path.name
            if not file.is_file():
                continue
            values = read_numbers(file)
            merged = np.zeros(values.shape, np.uint8) if merged is None else merged
            if values.shape != merged.shape:
                raise DataError(f"{file}: of another size than the other tools' files of this frame")
            if self.space.name == TYPES:
                merged[values > 0] = self._type(folder)
            elif not folder.name.lower().startswith(_OTHER):
                if unknown := set(np.unique(values)) - {0, *_PART}:
                    raise DataError(
                        f"{file}: {min(unknown)} is no part; there is 10 (shaft), 20 (wrist), 30 (claspers)"
                    )
                for value, part in _PART.items():
                    merged[values == value] = part
        if merged is None:
            raise DataError(f"{path}: no such file")
        return merged

    def files(self, path: Path) -> tuple[Path, ...]:
        """The files of all tools of a frame."""
        return tuple(f for folder in _tools(path.parents[2]) if (f := folder / path.name).is_file())

    def _type(self, folder: Path) -> int:
        words = folder.name.lower().replace("_", " ")
        known = {c.name.lower().removesuffix(" instrument"): c.id for c in self.space.classes if c.id}
        found = next((i for name, i in known.items() if name in words), None)
        if found is None:
            raise DataError(f"{folder}: no type of instrument is called so ({', '.join(known)})")
        return found


def _tools(folder: Path) -> list[Path]:
    return sorted((p for p in (folder / "ground_truth").iterdir() if p.is_dir()), key=lambda p: p.name)


def _videos(root: Path) -> list[Path]:
    found = [
        p.parent
        for depth in range(3)
        for p in root.glob(f"{'*/' * depth}ground_truth")
        if (p.parent / "left_frames").is_dir() and any(inner.is_dir() for inner in p.iterdir())
    ]
    return sorted(found, key=lambda p: natural(str(p)))
