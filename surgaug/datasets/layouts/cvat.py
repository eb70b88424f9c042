"""CVAT, "Segmentation mask 1.1": SegmentationClass/NAME.png in the colours of labelmap.txt, JPEGImages/NAME.png, and
the names of each subset in ImageSets/Segmentation/SUBSET.txt. What is written can be imported there, and corrected.

Format: docs.cvat.ai, "Segmentation mask". Black is background; what is to be ignored is a label of that name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from surgaug.datasets.item import Item, WrittenItem
from surgaug.datasets.pairing import Twins, items_of_pairs, items_of_split, pair_folders
from surgaug.datasets.split_lists import with_listed_splits
from surgaug.datasets.stored_ids import BACKGROUND, read_description
from surgaug.datasets.stored_ids import plain_values as values
from surgaug.errors import DataError, UsageError
from surgaug.io.atomic import write_text
from surgaug.io.images import packed, read_image
from surgaug.labels.class_file import class_file_in, distinct_color, read_class_file
from surgaug.labels.codec import DrawnCodec
from surgaug.labels.codecs.polygons import background_id, has_rest, match_title
from surgaug.labels.label_space import LabelSpace
from surgaug.labels.stored_values import color_number

__all__ = ["codec", "finish", "matches", "paths", "read", "values"]

LABELS, IMAGES, CLASSES, SUBSETS = "labelmap.txt", "JPEGImages", "SegmentationClass", "ImageSets/Segmentation"
NO_PALETTE = "whose label maps hold colours"
_IGNORE, _BLACK = "ignore", (0, 0, 0)
_ALL = "default"  # CVAT's subset of frames that are in none

Color = tuple[int, int, int]


def matches(root: Path) -> bool:
    """Whether masks in colours stand beside the file that names these."""
    file = class_file_in(root)
    return file is not None and file.name == LABELS and (root / CLASSES).is_dir()


def read(root: Path, *, split: str | None = None) -> list[Item]:
    """The masks, with their images where these were exported; the split is the subset, where it is called as one.

    Raises DataError: no frame of the split, one that two subsets list.
    """
    twins: Twins = {}
    images = root / IMAGES
    pairs = pair_folders(images if images.is_dir() else None, root / CLASSES, twins)
    items = with_listed_splits(root, items_of_pairs(pairs, twins))
    return items_of_split(items, split, f"{root}: no subset '{split}' in {SUBSETS}; leave the split out")


def codec(root: Path, items: Sequence[Item], given: LabelSpace | None) -> ColorCodec:
    """Colours to ids by the labels' names; without `given` the space is what a description says, else labelmap.txt's.

    Raises DataError for two labels of one colour.
    """
    own = read_class_file(root / LABELS)
    declared = read_description([root])
    space = given or (declared.space if declared else own)
    ids: dict[Color, int] = {}
    if twice := [c for c, n in Counter([c.color for c in own.classes] + _ignored(root / LABELS)).items() if n > 1]:
        shown = ",".join(map(str, twice[0]))
        raise DataError(f"{root / LABELS}: two labels have the colour {shown}; give each its own, and export anew")
    for label in own.classes:
        matched = label.name if label.name in space.names else match_title(label.name, space.names)
        if matched is not None:
            ids[label.color] = space.ids[space.names.index(matched)]
        elif label.name.lower() == BACKGROUND:
            ids[label.color] = background_id(space, root / LABELS) if has_rest(space) else -1
    if own.ignore is not None and space.ignore is not None:
        ids |= dict.fromkeys(_ignored(root / LABELS), space.ignore)
    return ColorCodec(space, ids={color: class_id for color, class_id in ids.items() if class_id >= 0})


@dataclass(frozen=True)
class ColorCodec(DrawnCodec):
    """Label maps in colours. ids: by colour."""

    encoding: str = "CVAT's colours"
    ids: Mapping[Color, int] = field(default_factory=dict, repr=False)

    def decode(self, path: Path) -> np.ndarray:
        """Ids [H, W]. Raises DataError naming a colour that no label of the space has."""
        colors = packed(read_image(path))
        found, where = np.unique(colors, return_inverse=True)
        by_color = {color_number(color): class_id for color, class_id in self.ids.items()}
        if unknown := [int(color) for color in found if int(color) not in by_color]:
            shown = ",".join(str(unknown[0] >> shift & 255) for shift in (16, 8, 0))
            raise DataError(f"{path}: the colour {shown} is of no class; name it in {LABELS}, or export the masks anew")
        table: np.ndarray = np.array([by_color[int(color)] for color in found], self.space.id_type)
        return table[where].reshape(colors.shape)


def check(root: Path, space: LabelSpace) -> None:
    """Raises UsageError for a name that labelmap.txt cannot hold."""
    for name in space.names:
        if ":" in name or name.startswith("#"):
            raise UsageError(f"--layout cvat: the class {name!r} cannot stand in {LABELS}; rename it in a class file")


def paths(frame: WrittenItem) -> tuple[str, str]:
    """JPEGImages/NAME.png and SegmentationClass/NAME.png."""
    return f"{IMAGES}/{frame.name}.png", f"{CLASSES}/{frame.name}.png"


def encode(label_map: np.ndarray, space: LabelSpace) -> np.ndarray:
    """Ids [H, W] to colours, uint8 [H, W, 3]."""
    palette = np.zeros((max(values(space)) + 1, 3), np.uint8)
    for _, color, class_id in _labels(space):
        if class_id is not None:
            palette[class_id] = color
    return palette[label_map]


def decode(path: Path, space: LabelSpace) -> np.ndarray:
    """The inverse of `encode`, from a file."""
    return ColorCodec(space, ids={color: i for _, color, i in _labels(space) if i is not None}).decode(path)


def finish(root: Path, frames: Sequence[WrittenItem], space: LabelSpace) -> None:
    """labelmap.txt, and a list of names for each subset."""
    lines = [f"{name}:{','.join(map(str, color))}::" for name, color, _ in _labels(space)]
    write_text(root / LABELS, "\n".join(["# label:color_rgb:parts:actions", *lines]) + "\n")
    (root / SUBSETS).mkdir(parents=True, exist_ok=True)
    for subset in sorted({frame.split or _ALL for frame in frames}):
        names = [frame.name for frame in frames if (frame.split or _ALL) == subset]
        write_text(root / SUBSETS / f"{subset}.txt", "\n".join(names) + "\n")


def _labels(space: LabelSpace) -> list[tuple[str, Color, int | None]]:
    """Name, colour and id of each label, background first: black, whatever its own colour is, and no other is black.

    A background that the space has not is listed, without id; what is to be ignored comes last.
    """
    own = next((c for c in space.classes if c.name.lower() == BACKGROUND), None)
    found: list[tuple[str, Color, int | None]] = [
        (own.name if own else BACKGROUND, _BLACK, own.id if own else None),
    ]
    labels = [(c.name, c.color, c.id) for c in space.classes if c is not own]
    if space.ignore is not None:
        labels.append((_IGNORE, (255, 255, 255), space.ignore))
    for name, color, class_id in labels:
        taken = {color for _, color, _ in found}
        others = (distinct_color(k) for k in range(1, 4096))
        free = color if color not in taken else next(c for c in others if c not in taken)
        found.append((name, free, class_id))
    return found


def _ignored(file: Path) -> list[Color]:
    """The colours of the labels called ignore, which a label space keeps no colour of."""
    rows = (line.strip().split(":") for line in file.read_text(encoding="utf-8-sig").splitlines() if ":" in line)
    found = [row[1].split(",") for row in rows if row[0].strip().lower() == _IGNORE]
    return [(int(r), int(g), int(b)) for r, g, b in found]
