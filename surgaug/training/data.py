"""Which frames train and which validate, checked and shown before anything long starts."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from surgaug.datasets.dataset import PairedFrames, open_pairs
from surgaug.datasets.item import Item
from surgaug.datasets.splits import group_of, hold_out
from surgaug.datasets.survey import survey
from surgaug.errors import DataError
from surgaug.labels.label_space import LabelSpace
from surgaug.models.checkpoint import read_header
from surgaug.runtime.feedback import Feedback
from surgaug.training.config import TrainConfig
from surgaug.training.frames import Frames

HELD_OUT = 0.05
# Below this many frames none can be spared; validation then looks at the training frames, and says so.
TOO_FEW = 20


def load_data(config: TrainConfig, feedback: Feedback) -> tuple[Frames, Frames, dict[str, Any], np.ndarray]:
    """Training frames, validation frames, class statistics, and presence bool [N, K] of the training frames.

    DataError names the file and the value when a frame cannot be used.
    """
    paired = open_pairs(
        Path(config.data),
        classes=LabelSpace.from_dict(read_header(Path(config.distill))["space"]) if config.distill else config.classes,
        exclude_known_errors=config.exclude_known_errors,
        also=[Path(config.val)] if config.val else [],
        feedback=feedback,
    )
    train, val = split(paired, config.seed)
    if config.val:
        train = train if any(i.split for i in paired.items) else paired
        val = open_pairs(Path(config.val), classes=paired.space, feedback=feedback)
    if not len(train):
        raise DataError(f"{config.data}: no frame to train on")
    seen = survey(train, feedback, need_images=True)
    for title, columns, rows in seen.tables():
        feedback.table(title, columns, rows)
    if config.val:
        survey(val, feedback, need_images=True)
    elif val is train:
        feedback.warn(f"only {len(train)} frames and no --val: the validation loss is measured on the training frames")
    else:
        feedback.info(f"{len(val)} frames held out for validation (name others with --val)")
    frames = Frames(train, config.size, feedback, "reading frames")
    val_frames = frames if val is train else Frames(val, config.size, feedback, "reading validation frames")
    statistics = {"frames": len(train), "pixels": seen.pixels.tolist(), "presence": seen.presence.tolist()}
    return frames, val_frames, statistics, seen.presence_by_item


def split(paired: PairedFrames, seed: int) -> tuple[PairedFrames, PairedFrames]:
    """Training and validation frames: the data's own split where it has one; otherwise whole videos are held out, or
    single frames where no videos are known. Never a frame of a validation video in training.
    """

    def only(items: list[Item]) -> PairedFrames:
        return replace(paired, items=tuple(items))

    own = {s: [i for i in paired.items if i.split == s] for s in ("train", "val")}
    if own["train"] and own["val"]:
        return only(own["train"]), only(own["val"])
    items = own["train"] or list(paired.items)
    if len(items) < TOO_FEW:
        everything = only(items)
        return everything, everything
    groups = sorted({group_of(i) for i in items}, key=_natural)
    shuffled = np.random.default_rng([seed, 3]).permutation(len(groups)).tolist()
    frames = max(1, round(HELD_OUT * len(items)))
    held = hold_out([group_of(i) for i in items], [groups[g] for g in shuffled], frames, most=len(items) // 2)
    return only([i for i in items if group_of(i) not in held]), only([i for i in items if group_of(i) in held])


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(p), "") if p.isdigit() else (-1, p) for p in re.split(r"(\d+)", name)]
