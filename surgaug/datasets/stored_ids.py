"""How a written data set keeps class ids on disk, and the file (`surgaug.json`) that tells the way back.

Trainers differ: some want ids from 0 without gaps, nnU-Net wants 0 for the background and the highest number for what
is to be ignored. The ids of the label space itself are what surgaug reads again from any of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from surgaug.errors import DataError
from surgaug.io.output_folder import DATASET
from surgaug.labels.label_space import IGNORE_INDEX, MAX_ID, LabelSpace

DESCRIPTION = "surgaug.json"
FOLDERS_DESCRIPTION = DATASET  # of the layout `folders`, whose label maps hold the ids themselves
FORMAT = "surgaug-dataset-1"
_OURS = '"surgaug-'  # what the formats of all descriptions begin with
BACKGROUND = "background"


def plain_values(space: LabelSpace) -> dict[int, int]:
    """Value on disk by id: the id itself, the ignore id among them."""
    return {i: i for i in (*space.ids, *space.ignored)}


def index_values(space: LabelSpace) -> dict[int, int]:
    """Value on disk by id: 0 to K-1 in the order of the classes, 255 for the ignore id."""
    return {i: k for k, i in enumerate(space.ids)} | dict.fromkeys(space.ignored, IGNORE_INDEX)


def background_values(space: LabelSpace) -> dict[int, int]:
    """Value on disk by id: 0 for the class named background (and for nothing, if there is none), the others from 1 on
    in the order of the classes, and the ignore id last."""
    others = [c.id for c in space.classes if c.name.lower() != BACKGROUND]
    values = {c.id: 0 for c in space.classes if c.name.lower() == BACKGROUND}
    values |= {i: k for k, i in enumerate(others, 1)}
    return values | dict.fromkeys(space.ignored, len(others) + 1)


def encode(label_map: np.ndarray, values: dict[int, int]) -> np.ndarray:
    """Ids [H, W] to values on disk [H, W], uint8 (uint16 where a value is above 255). Ids must have a value."""
    table = np.zeros(max(values) + 1, np.uint8 if max(values.values()) < 256 else np.uint16)
    table[list(values)] = list(values.values())
    return table[label_map]


def described(space: LabelSpace, values: dict[int, int], layout: str) -> dict[str, Any]:
    """The part of a description that says how label maps are to be read again."""
    stored = {} if values == plain_values(space) else {"values": {str(i): v for i, v in values.items()}}
    return {"layout": layout, "label_space": space.to_dict(), **stored}


@dataclass(frozen=True)
class Declared:
    """What a written data set says of itself: label space, id by value on disk, the file that says it, and the layout,
    "" where that is not said."""

    space: LabelSpace
    table: dict[int, int]
    path: Path
    layout: str = ""


def read_description(folders: Iterable[Path]) -> Declared | None:
    """The description in the first of `folders` that has one.

    Raises DataError for one of ours that is damaged: without it, the numbers in label maps would be taken for ids.
    """
    for path in (folder / name for folder in folders for name in (DESCRIPTION, FOLDERS_DESCRIPTION)):
        if not path.is_file():
            continue
        try:
            content = path.read_text(encoding="utf-8", errors="replace")
            parsed = json.loads(content)
            space = LabelSpace.from_dict(parsed["label_space"])
            values = parsed.get("values") or plain_values(space)
            table = {int(v): int(i) for i, v in values.items()}
            if not set(table.values()) <= set(plain_values(space)) or not all(0 <= v <= MAX_ID for v in table):
                raise ValueError("values of no class, or that no label map can hold")
            return Declared(space, table, path, str(parsed.get("layout", "")))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            if path.name != DESCRIPTION and _OURS not in content:
                continue  # another program's file of that name
            reason = f"{error} missing" if isinstance(error, KeyError) else str(error)
            raise DataError(
                f"{path}: says what the label maps beside it hold, and cannot be read ({reason}); restore it, or write "
                "the data set anew. Remove it only where the label maps hold plain class ids"
            ) from error
    return None
