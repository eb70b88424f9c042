"""nnU-Net v2: DatasetNNN_NAME with imagesTr/CASE_0000.png (one RGB file), labelsTr/CASE.png, imagesTs, dataset.json.

Format: nnU-Net's documentation/dataset_format.md and ignore_label.md. Labels are 0 (background), 1, 2, ... without
gaps, and `ignore` is the highest; so ids of a label space without background move up by one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from surgaug.datasets.item import Item, WrittenItem
from surgaug.datasets.pairing import Twins, files_by_stem, items_of_pairs, items_of_split, pair
from surgaug.datasets.splits import group_of
from surgaug.datasets.stored_ids import BACKGROUND, plain_values, read_description
from surgaug.datasets.stored_ids import background_values as values
from surgaug.errors import DataError, UsageError
from surgaug.io.atomic import write_text
from surgaug.labels.class_file import label_space
from surgaug.labels.codec import Codec, regrouped
from surgaug.labels.label_space import LabelSpace

__all__ = ["check", "codec", "finish", "matches", "paths", "read", "values"]

FOLDS = 5
NO_PALETTE = "which reads a palette as RGB colours"
_PARTS = {"train": "Tr", "val": "Tr", "test": "Ts"}


def matches(root: Path) -> bool:
    """Whether imagesTr and labelsTr stand beside a dataset.json."""
    return (root / "imagesTr").is_dir() and (root / "labelsTr").is_dir() and (root / "dataset.json").is_file()


def read(root: Path, *, split: str | None = None) -> list[Item]:
    """The cases: of imagesTr "train", or "val" where splits_final.json has one fold that says so; of imagesTs "test".

    Raises DataError: no case in the split.
    """
    _refuse_other_kinds(root)
    held_out = _validation(root)
    items = []
    for part in ("Tr", "Ts"):
        images, labels = root / f"images{part}", root / f"labels{part}"
        if not images.is_dir() or not any(images.iterdir()):
            continue
        twins: Twins = {}
        cases = {stem.removesuffix("_0000"): path for stem, path in files_by_stem(images, twins=twins).items()}
        pairs = pair(cases, files_by_stem(labels, twins=twins) if labels.is_dir() else {})
        for item in items_of_pairs(pairs, twins):
            own = "test" if part == "Ts" else "val" if item.name in held_out else "train"
            items.append(replace(item, split=own))
    return items_of_split(items, split, f"{root}: no case of the split '{split}'")


def codec(root: Path, items: Sequence[Item], given: LabelSpace | None) -> Codec | None:
    """The label space of dataset.json, or `given`, to which its classes are brought by name or id (`regrouped`); None
    where surgaug wrote the set, and says what it holds. DataError: region-based labels."""
    if read_description([root]):
        return None
    labels = _described(root).get("labels")
    if not isinstance(labels, dict):
        raise DataError(f"{root / 'dataset.json'}: names no labels; give them as in nnU-Net v2")
    if regions := [name for name, value in labels.items() if not isinstance(value, int)]:
        raise DataError(f"{root / 'dataset.json'}: {regions[0]} is a region of several labels; only single labels work")
    space = label_space(labels, root.name, where=str(root / "dataset.json"))
    table, remapped = regrouped(plain_values(space), space, given or space, root / "dataset.json")
    return Codec("ids", given or space, table, remapped)


def check(root: Path, space: LabelSpace) -> None:
    """Raises UsageError when the folder's name is not nnU-Net's, or a class is called as its reserved label."""
    if not re.fullmatch(r"Dataset\d{3}_\w+", root.name):
        raise UsageError(f"--out {root}: nnU-Net wants a folder named DatasetNNN_NAME; give --out Dataset501_Synthetic")
    if "ignore" in (name.lower() for name in space.names):
        raise UsageError("--layout nnunet: a class is called 'ignore', which nnU-Net keeps for unlabelled pixels")


def paths(frame: WrittenItem) -> tuple[str, str]:
    """imagesTr/NAME_0000.png and labelsTr/NAME.png, or the same in imagesTs and labelsTs for the test split."""
    part = _PARTS[frame.split or "train"]
    return f"images{part}/{frame.name}_0000.png", f"labels{part}/{frame.name}.png"


def finish(root: Path, frames: Sequence[WrittenItem], space: LabelSpace) -> None:
    """`dataset.json`, and `splits_final.json` where there are real frames to validate on."""
    on_disk = values(space)
    labels = {BACKGROUND: 0} | {c.name: on_disk[c.id] for c in space.classes if on_disk[c.id]}
    if space.ignore is not None:
        labels["ignore"] = on_disk[space.ignore]
    training = [frame for frame in frames if frame.split != "test"]
    content = {
        "channel_names": {"0": "R", "1": "G", "2": "B"},
        "labels": labels,
        "numTraining": len(training),
        "file_ending": ".png",
        "overwrite_image_reader_writer": "NaturalImage2DIO",
        "name": root.name,
    }
    write_text(root / "dataset.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    if found := folds(training):
        write_text(root / "splits_final.json", json.dumps(found, indent=2) + "\n")


def folds(frames: Sequence[WrittenItem], seed: int = 0) -> list[dict[str, list[str]]]:
    """nnU-Net's folds (case names under train and val): real frames validate, and nothing of their videos trains.

    One fold where there is a validation split; otherwise up to five by video. Empty where there is nothing to validate
    on: no real frame, or a single video.
    """
    real = [frame for frame in frames if not frame.synthetic]
    if any(frame.split == "val" for frame in real):
        held_out = [{frame.name for frame in real if frame.split == "val"}]
    else:
        groups = sorted({group_of(frame) for frame in real})
        order = np.random.default_rng([seed, 5]).permutation(len(groups))
        parts = np.array_split(order, min(FOLDS, len(groups))) if len(groups) > 1 else []
        chosen = [{groups[k] for k in part} for part in parts]
        held_out = [{frame.name for frame in real if group_of(frame) in group} for group in chosen]
    return [_fold(frames, names) for names in held_out]


def _fold(frames: Sequence[WrittenItem], held_out: set[str]) -> dict[str, list[str]]:
    groups = {group_of(frame) for frame in frames if frame.name in held_out}
    free = [f for f in frames if f.name not in held_out and groups.isdisjoint({group_of(f), *f.lenders})]
    train = [frame.name for frame in free]
    return {"train": train, "val": sorted(held_out)}


def _refuse_other_kinds(root: Path) -> None:
    """DataError naming what this nnU-Net data set is, where it is none of RGB frames in PNG files."""
    file, described = root / "dataset.json", _described(root)
    if "file_ending" not in described and "modality" in described:
        raise DataError(f"{file}: of nnU-Net v1; convert it (nnUNetv2_convert_old_nnUNet_dataset), with frames as PNG")
    if (ending := described.get("file_ending")) != ".png":
        raise DataError(f"{file}: file_ending is {ending!r}; frames as .png are read, not volumes. Export the slices")
    second = next((p for part in ("Tr", "Ts") for p in sorted((root / f"images{part}").glob("*_0001.png"))), None)
    if second is not None:
        raise DataError(f"{second}: a second channel; frames are read as one RGB file each, CASE_0000.png")


def _described(root: Path) -> dict:
    try:
        parsed = json.loads((root / "dataset.json").read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise DataError(f"{root / 'dataset.json'}: not JSON ({error})") from error
    return parsed if isinstance(parsed, dict) else {}


def _validation(root: Path) -> set[str]:
    path = root / "splits_final.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
        return set(found[0]["val"]) if len(found) == 1 else set()
    except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
        raise DataError(f"{path}: not nnU-Net's list of folds ({error})") from error
