"""The splits of a data set, and which frames are held out from training: whole videos, never some frames of one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from surgaug.datasets.item import Item, WrittenItem
from surgaug.errors import DataError
from surgaug.runtime.feedback import Feedback

SPLITS = ("train", "val", "test")
HELD_OUT = SPLITS[1:]


def of_split(items: Sequence[Item], split: str | None, where: object, feedback: Feedback) -> list[int]:
    """The numbers of the items of `split`; with None all, and it is told where some of them are held out from training.

    where: what the items are of, for messages. Raises DataError where the split has none.
    """
    chosen = numbers_of(split, [item.split for item in items], f"{where}: no label map")
    held_out = sum(item.split in HELD_OUT for item in items)
    if split is None and 0 < held_out < len(items):
        feedback.warn(
            f"{held_out} of {len(items)} label maps are of the validation or test split: what is made from them must "
            "not train what is tested there (export leaves it out); --split train takes the others alone"
        )
    return chosen


def numbers_of(split: str | None, splits: Sequence[str | None], none: str) -> list[int]:
    """Where `splits` is `split`; with None everywhere. Raises DataError beginning with `none` where that is nowhere."""
    chosen = [i for i, name in enumerate(splits) if split in (None, name)]
    if not chosen:
        there = sorted({name for name in splits if name})
        cure = f"there is {', '.join(there)}" if there else "it has no splits: leave --split out (also of surgaug.toml)"
        raise DataError(f"{none} of the split '{split}'; {cure}")
    return chosen


def trains_apart(items: Iterable[Item]) -> bool:
    """Whether these are training frames and others that are held out."""
    there = {item.split for item in items}
    return SPLITS[0] in there and not there.isdisjoint(HELD_OUT)


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
