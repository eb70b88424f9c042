"""Label spaces: which ids a label map may hold, what they are called, what they are, how they are drawn.

A label map on disk and in memory holds **ids**; the network sees **indices** (0..K-1, in the order of `classes`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import Any, Literal, get_args

import numpy as np

Kind = Literal["anatomy", "instrument", "other"]
IGNORE_INDEX = 255
MAX_CLASSES = 255
MAX_ID = 65535  # of 16-bit label maps


@dataclass(frozen=True)
class LabelClass:
    """One class. `depth` orders what lies above what (0 lowest); `handle_of` is the id of the tip it belongs to."""

    id: int
    name: str
    kind: Kind = "other"
    color: tuple[int, int, int] = (128, 128, 128)
    depth: int = 0
    handle_of: int | None = None
    group: str | None = None


@dataclass(frozen=True)
class LabelSpace:
    """Classes with distinct ids, and the id (if any) of pixels that have no label."""

    name: str
    classes: tuple[LabelClass, ...]
    ignore: int | None = None

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @cached_property
    def ids(self) -> tuple[int, ...]:
        return tuple(c.id for c in self.classes)

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.classes)

    @cached_property
    def _by_id(self) -> dict[int, LabelClass]:
        return {c.id: c for c in self.classes}

    def by_id(self, class_id: int) -> LabelClass:
        """The class with that id; KeyError when there is none."""
        return self._by_id[class_id]

    @cached_property
    def max_id(self) -> int:
        return max((*self.ids, self.ignore or 0))

    @property
    def id_type(self) -> type:
        """The smallest unsigned type that holds every id."""
        return np.uint8 if self.max_id < 256 else np.uint16

    @property
    def ignored(self) -> tuple[int, ...]:
        """The ignore id, or nothing where there is none."""
        return () if self.ignore is None else (self.ignore,)

    @cached_property
    def of_indices(self) -> LabelSpace:
        """The same classes with their indices for ids, and `IGNORE_INDEX` to ignore: what index maps are in."""
        classes = tuple(replace(c, id=i) for i, c in enumerate(self.classes))
        return replace(self, classes=classes, ignore=IGNORE_INDEX)

    @cached_property
    def index_table(self) -> np.ndarray:
        """uint8 [max_id + 1]: id to index; `IGNORE_INDEX` for the ignore id and for ids that do not exist."""
        table = np.full(self.max_id + 1, IGNORE_INDEX, np.uint8)
        table[list(self.ids)] = np.arange(self.num_classes, dtype=np.uint8)
        return table

    @cached_property
    def id_table(self) -> np.ndarray:
        """[256] index to id, of `id_type`; the ignore id for `IGNORE_INDEX`."""
        table: np.ndarray = np.full(256, self.ignore or 0, self.id_type)
        table[: self.num_classes] = self.ids
        return table

    @cached_property
    def palette(self) -> np.ndarray:
        """uint8 [256, 3]: colour by index, black for ignore."""
        table = np.zeros((256, 3), np.uint8)
        table[: self.num_classes] = [c.color for c in self.classes]
        return table

    def to_index(self, label_map: np.ndarray) -> np.ndarray:
        """Ids [H, W] to indices uint8 [H, W] (`IGNORE_INDEX` where there is no label). Ids must be known to exist."""
        return self.index_table[label_map]

    def to_ids(self, index_map: np.ndarray) -> np.ndarray:
        """Indices [H, W] back to ids [H, W]."""
        return self.id_table[index_map]

    def colorize(self, label_map: np.ndarray) -> np.ndarray:
        """Ids [H, W] to colours uint8 [H, W, 3]."""
        return self.palette[self.to_index(label_map)]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, as stored in checkpoints and `dataset.json`."""
        return {"name": self.name, "ignore": self.ignore, "classes": [asdict(c) for c in self.classes]}

    def digest(self, *, colors: bool) -> str:
        """16 hexadecimal digits of what the classes are, their colours among it or not; not of the space's name."""
        found = self.to_dict()
        classes = [c if colors else {**c, "color": None} for c in found["classes"]]
        return sha256(json.dumps([classes, found["ignore"]]).encode()).hexdigest()[:16]

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> LabelSpace:
        """The inverse of `to_dict`. ValueError, KeyError or TypeError where the dictionary is no label space."""
        classes = tuple(LabelClass(**{**c, "color": tuple(c["color"])}) for c in data["classes"])
        space = cls(data["name"], classes, data.get("ignore"))
        ids = [*space.ids, *space.ignored]
        if not 1 <= len(classes) <= MAX_CLASSES or not all(map(_is_id, ids)) or len(set(ids)) < len(ids):
            raise ValueError(f"1 to {MAX_CLASSES} classes with distinct ids from 0 to {MAX_ID}")
        if not isinstance(space.name, str) or not all(map(_is_well_formed, classes)):
            raise ValueError("a class or the label space has a value of the wrong type")
        return space


def _is_id(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_ID


def _is_well_formed(c: LabelClass) -> bool:
    return (
        isinstance(c.name, str)
        and c.kind in get_args(Kind)
        and len(c.color) == 3
        and all(type(v) is int and 0 <= v <= 255 for v in c.color)
        and type(c.depth) is int
        and (c.handle_of is None or _is_id(c.handle_of))
        and (c.group is None or isinstance(c.group, str))
    )
