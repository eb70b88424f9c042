"""The splits of a data set, and which frames are held out from training: whole videos, never some frames of one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from surgaug.datasets.item import Item, WrittenItem

SPLITS = ("train", "val", "test")


def group_of(item: Item | WrittenItem) -> str:
    """What must stay on one side of a split: the video, or the frame itself where no video is known."""
    return item.video or item.name


def hold_out(groups: Sequence[str], order: Iterable[str], frames: float, most: int | None = None) -> set[str]:
    """The groups to hold out: taken whole, in `order`, until they hold at least `frames` frames.

    groups: the group of each frame (see `group_of`). most: a group is passed over where it would take the number of
    frames held out beyond this; None for all frames but one, so that something is left to train on.
    """
    sizes = Counter(groups)
    most = len(groups) - 1 if most is None else most
    held: set[str] = set()
    count = 0
    for group in order:
        if count >= frames:
            break
        if count + sizes[group] <= most:
            held.add(group)
            count += sizes[group]
    return held
