"""A data set that is being written: where each frame goes in its layout, and how label maps are kept there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from surgaug.datasets import layouts
from surgaug.datasets.item import WrittenItem
from surgaug.datasets.stored_ids import DESCRIPTION, FOLDERS_DESCRIPTION, described, encode
from surgaug.errors import UsageError
from surgaug.io.atomic import write_png
from surgaug.io.images import read_raw
from surgaug.io.output_folder import claim, make_ready, refuse_other_settings, refuse_strangers
from surgaug.labels.class_file import distinct_color
from surgaug.labels.label_space import LabelSpace

FOLDERS = "folders"


@dataclass(frozen=True)
class DatasetWriter:
    """A folder, its layout's name, and the label space of the label maps given.

    palette: write label maps as palette PNGs in the classes' colours, whose indices are the values.
    """

    root: Path
    layout: str
    space: LabelSpace
    palette: bool = False

    def check(self) -> None:
        """Raises UsageError for a layout that is not there, or that cannot take this folder or label space."""
        check_layout(self.layout)
        if hasattr(self._module, "check"):
            self._module.check(self.root, self.space)
        if self.palette and hasattr(self._module, "NO_PALETTE"):
            raise UsageError(f"--palette: not with --layout {self.layout}, {self._module.NO_PALETTE}")
        if self.palette and max(self._values.values()) > 255:
            raise UsageError(f"--palette: a palette has 256 entries, and '{self.space.name}' has ids above 255")

    @property
    def no_ignore(self) -> str:
        """What becomes of pixels without label where the layout has no value for them; "" where it has."""
        return getattr(self._module, "NO_IGNORE", "")

    def check_frames(self, frames: Sequence[WrittenItem]) -> None:
        """Raises DataError for frames that the layout cannot hold together."""
        if hasattr(self._module, "check_frames"):
            self._module.check_frames(self.root, frames)

    @property
    def description_file(self) -> Path:
        """Where the data set says what it is; some layouts have a `dataset.json` of their own."""
        return self.root / (FOLDERS_DESCRIPTION if self.layout == FOLDERS else DESCRIPTION)

    def description(self) -> dict[str, Any]:
        """The part of the description that tells how label maps are read again."""
        return described(self.space, self._values, self.layout)

    def paths(self, frame: WrittenItem) -> tuple[str, str]:
        """The frame's image and label map, relative to the root."""
        return self._module.paths(frame)

    def refuse_other(self, description: Mapping[str, Any]) -> None:
        """Raises DataError where something else lies in the folder, UsageError, with the differences, for another data
        set."""
        refuse_strangers(self.description_file, f"data set of surgaug in the layout {self.layout}")
        refuse_other_settings(self.description_file, description, "a data set")

    def claim(self, description: Mapping[str, Any], items: Iterable[WrittenItem]) -> None:
        """Make the folder ready for this data set: its description, the folders of the items, no half-written files.

        Raises as `refuse_other` does.
        """
        self.refuse_other(description)
        claim(self.description_file, description, self._folders(items))

    def prepare(self, frames: Iterable[WrittenItem]) -> None:
        """Make the folders that the frames go to, and remove what a killed run left there half-written."""
        make_ready(self._folders(frames))

    def encode(self, label_map: np.ndarray) -> np.ndarray:
        """Ids [H, W] to what the label file holds: uint8 or uint16 [H, W], or uint8 [H, W, 3]."""
        if hasattr(self._module, "encode"):
            return self._module.encode(label_map, self.space)
        return encode(label_map, self._values)

    def write_label(self, path: str, encoded: np.ndarray) -> None:
        """Write what `encode` made of a label map to `path`, relative to the root."""
        write_png(self.root / path, encoded, palette=self._palette)

    def decode(self, path: Path) -> np.ndarray:
        """Ids [H, W] of a label file written here."""
        if hasattr(self._module, "decode"):
            return self._module.decode(path, self.space)
        return encode(read_raw(path).values, {v: i for i, v in self._values.items()})

    def finish(self, frames: Sequence[WrittenItem]) -> None:
        """Write the layout's index files, once all frames are there."""
        self._module.finish(self.root, frames, self.space)

    def _folders(self, items: Iterable[WrittenItem]) -> set[Path]:
        return {self.root, *(self.root / path for item in items for path in map(_parent, self.paths(item)))}

    @cached_property
    def _module(self) -> ModuleType:
        return layouts.get(self.layout)

    @cached_property
    def _values(self) -> dict[int, int]:
        return self._module.values(self.space)

    @cached_property
    def _palette(self) -> np.ndarray | None:
        """Colours uint8 [256, 3] by value on disk; that of the ignore value, black if it can be, is no class's."""
        if not self.palette:
            return None
        colors = np.zeros((256, 3), np.uint8)
        for c in self.space.classes:
            colors[self._values[c.id]] = c.color
        taken = {c.color for c in self.space.classes}
        free = (color for color in ((0, 0, 0), *map(distinct_color, range(256))) if color not in taken)
        for ignored in self.space.ignored:
            colors[self._values[ignored]] = next(free)
        return colors


def check_layout(name: str) -> None:
    """Raises UsageError unless data sets can be written in this layout."""
    if name not in (known := layouts.written()):
        raise UsageError(f"--layout {name}: one of {', '.join(known)}")


def _parent(path: str) -> str:
    return path.rpartition("/")[0]
