"""MMSegmentation: img_dir/train/NAME.png with ann_dir/train/NAME.png, ids 0 to K-1, 255 ignored.

Format: mmsegmentation.readthedocs.io, "Add new datasets". `reduce_zero_label` stays False: no id is taken away.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from surgaug.datasets.item import Item, WrittenItem
from surgaug.datasets.pairing import SPLIT_FOLDERS, find_folder, items_of_folders, items_of_split
from surgaug.datasets.splits import SPLITS
from surgaug.datasets.stored_ids import index_values as values
from surgaug.io.atomic import write_text
from surgaug.labels.label_space import LabelSpace

__all__ = ["finish", "matches", "paths", "read", "values"]

CONFIG = "dataset.py"


def matches(root: Path) -> bool:
    """Whether img_dir and ann_dir have a folder by the name of a split in common."""
    return any(_folder(root, "img_dir", s) and _folder(root, "ann_dir", s) for s in SPLITS)


def read(root: Path, *, split: str | None = None) -> list[Item]:
    """The items of every split, or of one; a name that occurs in several splits gets the split before it.

    Raises DataError: a split that is not there, an empty folder.
    """
    found = []
    for name in SPLITS:
        images, labels = _folder(root, "img_dir", name), _folder(root, "ann_dir", name)
        if images and labels:
            found += items_of_folders(images, labels, name)
    return items_of_split(found, split, f"{root}: no split '{split}' under img_dir and ann_dir")


def paths(frame: WrittenItem) -> tuple[str, str]:
    """img_dir/SPLIT/NAME.png and ann_dir/SPLIT/NAME.png."""
    split = frame.split or "train"
    return f"img_dir/{split}/{frame.name}.png", f"ann_dir/{split}/{frame.name}.png"


def finish(root: Path, frames: Sequence[WrittenItem], space: LabelSpace) -> None:
    """`dataset.py`: what a configuration needs to name this data set (classes, palette, the loaders' data sets)."""
    there = sorted({frame.split or "train" for frame in frames}, key=SPLITS.index)
    lines = [
        "# For MMSegmentation 1.x: copy into a configuration, then, for each loader (train, val, test):",
        "# train_dataloader = dict(dataset=dict(_delete_=True, pipeline=train_pipeline, **train_dataset))",
        "dataset_type = 'BaseSegDataset'",
        f"data_root = {root.resolve().as_posix()!r}",
        f"num_classes = {space.num_classes}",
        "metainfo = dict(",
        f"    classes={space.names!r},",
        f"    palette={[list(c.color) for c in space.classes]!r})",
    ]
    for split in there:
        lines += [
            f"{split}_dataset = dict(",
            "    type=dataset_type,",
            "    data_root=data_root,",
            f"    data_prefix=dict(img_path='img_dir/{split}', seg_map_path='ann_dir/{split}'),",
            "    img_suffix='.png',",
            "    seg_map_suffix='.png',",
            "    reduce_zero_label=False,",
            "    ignore_index=255,",
            "    metainfo=metainfo)",
        ]
    write_text(root / CONFIG, "\n".join(lines) + "\n")


def _folder(root: Path, kind: str, split: str) -> Path | None:
    return find_folder(root / kind, SPLIT_FOLDERS[split]) if (root / kind).is_dir() else None
