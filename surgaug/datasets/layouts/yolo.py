"""YOLO segmentation: images/SPLIT/NAME.png with labels/SPLIT/NAME.txt, an object a line, and data.yaml.

Format and drawing: `surgaug.labels.codecs.yolo`. Read also as SPLIT/images with SPLIT/labels, or without splits.
A polygon cannot have a hole, so a hole is joined to the outline by a cut of no width. The maps themselves are written
to label_maps/SPLIT, and are read in place of the polygons where they lie. Class numbers leave out the background.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from surgaug.datasets.item import Item, WrittenItem
from surgaug.datasets.pairing import (
    SPLIT_FOLDERS,
    Twins,
    files_by_stem,
    find_folder,
    items_of_pairs,
    items_of_split,
    not_named,
    pair,
    pair_folders,
)
from surgaug.datasets.stored_ids import BACKGROUND
from surgaug.datasets.stored_ids import plain_values as values
from surgaug.io.atomic import write_text
from surgaug.io.images import is_image_file, read_raw
from surgaug.labels.codecs.polygons import space_of_titles
from surgaug.labels.codecs.yolo import CONFIG, YoloCodec, class_names, lines_of, listed_splits
from surgaug.labels.label_space import LabelSpace
from surgaug.labels.space_detection import class_file_space
from surgaug.runtime.parallel import in_threads

__all__ = ["codec", "finish", "matches", "paths", "read", "unread", "values"]

NO_IGNORE = "has no value for them: they are in no polygon, and its trainers take them for background"
_MAPS = "label_maps"


def matches(root: Path) -> bool:
    """Whether text files of labels stand beside images, in splits or not."""
    return bool(_folders(root))


def read(root: Path, *, split: str | None = None) -> list[Item]:
    """The items of every split, or of one. The label is the map under label_maps, else the text file, else (a frame
    without objects) the image itself. Where a stem occurs in several splits, all get the split before their names.
    Where data.yaml names lists of images, these say which are read, and of which split they are.

    Raises DataError: no such split.
    """
    found: list[Item] = []
    twins: Twins = {}
    for own, images, labels in _folders(root):
        maps = root / _MAPS / (own or "")
        if maps.is_dir():
            pairs = pair_folders(images, maps, twins)
        else:
            texts = files_by_stem(labels, _is_label, twins)
            both = pair(files_by_stem(images, twins=twins), texts)
            pairs = [(name, image, label or image) for name, image, label in both]
        found += items_of_pairs(pairs, twins, split=own)
    if listed := listed_splits(root):
        named = [(item, _listed_as(item, listed, root)) for item in found]
        found = [replace(item, split=own) for item, own in named if own]
    return items_of_split(found, split, f"{root}: no split '{split}' under images and labels")


def codec(root: Path, items: Sequence[Item], given: LabelSpace | None) -> YoloCodec | None:
    """Draws the polygons, unless there are label maps. The label space is `given`, a class file's beside data.yaml, or
    that of the names. Raises DataError where nothing names the classes."""
    if any(item.label is not None and item.label.is_relative_to(root / _MAPS) for item in items):
        return None
    names = class_names(root)
    return YoloCodec(given or class_file_space([root]) or space_of_titles(names, listed=True), names=names)


def unread(root: Path, items: Sequence[Item]) -> list[Path]:
    """Images beside those of the items that the configuration's lists do not name."""
    return not_named(items)


def paths(frame: WrittenItem) -> tuple[str, str]:
    """images/SPLIT/NAME.png and label_maps/SPLIT/NAME.png."""
    split = frame.split or "train"
    return f"images/{split}/{frame.name}.png", f"{_MAPS}/{split}/{frame.name}.png"


def finish(root: Path, frames: Sequence[WrittenItem], space: LabelSpace) -> None:
    """labels/SPLIT/NAME.txt for each frame, and `data.yaml`."""
    classes = [c for c in space.classes if c.name.lower() != BACKGROUND]
    for split in {frame.split or "train" for frame in frames}:
        (root / "labels" / split).mkdir(parents=True, exist_ok=True)

    def write(frame: WrittenItem) -> None:
        lines = lines_of(read_raw(root / paths(frame)[1]).values, [c.id for c in classes])
        target = root / "labels" / (frame.split or "train") / f"{frame.name}.txt"
        write_text(target, "".join(f"{line}\n" for line in lines))

    for _ in in_threads(write, frames):
        pass
    there = {frame.split or "train" for frame in frames}
    # Ultralytics wants both keys; a set of training frames alone points both at them, and says so.
    note = "" if "val" in there else "# no validation frames here: val points at the training frames\n"
    names = "".join(f"  {k}: {json.dumps(c.name, ensure_ascii=False)}\n" for k, c in enumerate(classes))
    test = "test: images/test\n" if "test" in there else ""
    text = (
        f"path: {json.dumps(root.resolve().as_posix())}\ntrain: images/train\n"
        f"{note}val: images/{'val' if 'val' in there else 'train'}\n{test}names:\n{names}"
    )
    write_text(root / CONFIG, text)


def _folders(root: Path) -> list[tuple[str | None, Path, Path]]:
    """Split, image folder and label folder, in the order train, val, test; the split is None where there is none."""
    images, labels = find_folder(root, ("images",)), find_folder(root, ("labels",))
    if images and labels and _has_labels(labels):
        return [(None, images, labels)]
    found: list[tuple[str | None, Path, Path]] = []
    for split, names in SPLIT_FOLDERS.items():
        pairs = [(find_folder(images, names), find_folder(labels, names))] if images and labels else []
        if (folder := find_folder(root, names)) is not None:
            pairs.append((find_folder(folder, ("images",)), find_folder(folder, ("labels",))))
        found += [(split, i, t) for i, t in pairs if i and t and _has_labels(t)]
    return found


def _listed_as(item: Item, listed: Mapping[str, str], root: Path) -> str | None:
    """The split of the list that names the item's image, or one of its twins."""
    files = (item.image, *item.twins)
    return next((own for path in files if path and (own := listed.get(path.relative_to(root).as_posix()))), None)


def _has_labels(folder: Path) -> bool:
    """Whether these are labels: text files, and no label maps with a stray text among them."""
    files = list(folder.iterdir())
    return any(map(_is_label, files)) and not any(map(is_image_file, files))


def _is_label(path: Path) -> bool:
    return path.suffix.lower() == ".txt" and not path.name.startswith(".") and path.name != "classes.txt"
