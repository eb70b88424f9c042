"""Training and validation frames of any data set, as two folders of pairs at one size: what a comparison starts from.

    python benchmarks/frames.py phantom|DATA OUT [--train N] [--val N] [--test N] [--subset N] [--size HxW]
                                [--classes ...] [--exclude-known-errors]

`phantom` renders scenes; training and validation show different "videos". DATA keeps its own split where it has one.
Writes OUT/train, OUT/val (images/ and labels/ each) and OUT/classes.json; with `--test` OUT/test as well, other scenes,
or frames of DATA's own test split, or of its training split those that were not taken, as far as there are any; with
`--subset` OUT/subset, so many of OUT/train. Frames that lie there already are kept, and others than those are refused.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from surgaug.datasets.dataset import PairedFrames, open_pairs
from surgaug.errors import SurgaugError
from surgaug.io.atomic import write_png, write_text
from surgaug.labels.builtin_spaces import load_space
from surgaug.labels.label_space import LabelSpace
from surgaug.labels.resize import resize_image, resize_label_map
from surgaug.phantom import render
from surgaug.phantom.frequencies import SPLITS
from surgaug.phantom.geometry import draw_instruments, scene_rng
from surgaug.runtime.spread import spread
from surgaug.training.data import split

PHANTOM = "phantom"
# Validation scenes are of seeds that no training set reaches.
VAL_SEED = 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("out", type=Path)
    parser.add_argument("--train", type=int, help="at most so many frames [default: all; phantom: 300]")
    parser.add_argument("--val", type=int, default=100)
    parser.add_argument("--test", type=int, default=0)
    parser.add_argument("--subset", type=int, default=0)
    parser.add_argument("--size", type=size, default=(64, 64), metavar="HxW")
    parser.add_argument("--classes", default="auto")
    parser.add_argument("--exclude-known-errors", action="store_true", help="of CaDIS; nothing for other data sets")
    options = parser.parse_args()
    try:
        write_frames(
            options.data, options.out, options.train, options.val, options.size, options.classes, options.test,
            options.exclude_known_errors,
        )  # fmt: skip
    except SurgaugError as error:
        sys.exit(f"frames.py: error: {error}")
    if options.subset:
        write_subset(options.out / "train", options.out / "subset", options.subset)


def size(text: str) -> tuple[int, int]:
    """ "64x112" to (64, 112)."""
    height, width = text.lower().split("x")
    return int(height), int(width)


def write_frames(
    data: str,
    out: Path,
    train: int | None,
    val: int,
    hw: tuple[int, int],
    classes: str = "auto",
    test: int = 0,
    exclude_known_errors: bool = False,
) -> None:
    """Write at most `train`, `val` and `test` frames of `data`, evenly spread over it, at (H, W) `hw`.

    Ends the program where `out` holds frames that were asked for otherwise.
    """
    asked = {"data": data, "train": train, "val": val, "size": list(hw), "classes": classes}
    asked |= {"test": test} if test else {}
    asked |= {"exclude_known_errors": True} if exclude_known_errors else {}
    claim, out_claim = json.dumps(asked), out / "frames.json"
    if out_claim.exists() and out_claim.read_text() != claim:
        sys.exit(f"{out}: holds frames of {out_claim.read_text()}, not of {claim}; name another folder")
    paired = (
        None if data == PHANTOM else open_pairs(Path(data), classes=classes)
    )  # refused before OUT is claimed for it
    out.mkdir(parents=True, exist_ok=True)
    write_text(out_claim, claim)
    if paired is None:
        space = load_space("cadis")
        write_pairs(out / "train", train or 300, lambda k: phantom(k, k, "Training", hw))
        write_pairs(out / "val", val, lambda k: phantom(VAL_SEED + k, k, "Test", hw))
        write_pairs(out / "test", test, lambda k: phantom(VAL_SEED + val + k, k, "Test", hw))
    else:
        if exclude_known_errors and paired.layout == "cadis":
            paired = open_pairs(Path(data), classes=classes, exclude_known_errors=True)
        space, own_test = paired.space, replace(paired, items=tuple(i for i in paired.items if i.split == "test"))
        for name, frames, most in zip(("train", "val"), split(paired, 0), (train, val), strict=True):
            numbers = np.arange(len(frames))
            chosen = evenly(numbers, most or len(numbers))
            write_chosen(out / name, frames, chosen, space, hw)
            if name == "train":
                others, left = frames, np.setdiff1d(numbers, chosen)
                if len(own_test):
                    others, left = own_test, np.arange(len(own_test))
                tested = evenly(left, test)
                write_chosen(out / "test", others, tested, space, hw)
    write_text(out / "classes.json", json.dumps(space.to_dict()))


def write_subset(train: Path, out: Path, n: int) -> None:
    """`n` of the pairs in `train`, evenly spread, under their names."""
    names = sorted(path.name for path in (train / "labels").iterdir())
    for kind in ("images", "labels"):
        (out / kind).mkdir(parents=True, exist_ok=True)
        for i in evenly(np.arange(len(names)), n):
            shutil.copyfile(train / kind / names[i], out / kind / names[i])


def phantom(seed: int, k: int, part: str, hw: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A scene in the style of one of the videos of CaDIS's split."""
    return render(seed, hw, video=SPLITS[part][k % len(SPLITS[part])])


def covering(classes: Collection[int], each: int, first: int, at_least: int = 0) -> list[int]:
    """Seeds of phantom scenes, from `first` on: `at_least` as they come, then those alone that have an instrument of
    which fewer than `each` were found, until there are so many of all `classes`.
    """
    found, seeds = Counter[int](), []
    for seed in itertools.count(first):
        if len(seeds) >= at_least and all(found[k] >= each for k in classes):
            return seeds
        _, ids = draw_instruments(scene_rng(seed))
        if len(seeds) < at_least or any(k in classes and found[k] < each for k in ids):
            seeds.append(seed)
            found.update(ids)


def evenly(numbers: np.ndarray, n: int) -> np.ndarray:
    """`n` of them, or all."""
    return numbers[spread(len(numbers), n)]


def write_chosen(
    folder: Path, frames: PairedFrames, chosen: np.ndarray, space: LabelSpace, hw: tuple[int, int]
) -> None:
    """The chosen frames at the size, under their names, which tell their videos: those of one are no independent
    witnesses."""

    def load(k: int) -> tuple[np.ndarray, np.ndarray]:
        i = int(chosen[k])
        return resize_image(frames.load_image(i), hw), resize_label_map(frames.load_label(i), hw, space)

    write_pairs(folder, len(chosen), load, [frames.items[i].name.replace("/", "_") for i in chosen])


def write_pairs(
    folder: Path, n: int, make: Callable[[int], tuple[np.ndarray, np.ndarray]], names: Sequence[str] | None = None
) -> None:
    """images/NAME.png and labels/NAME.png for each K below n; the names are K itself, without `names`."""
    for kind in ("images", "labels") if n else ():
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for k in range(n):
        name = names[k] if names else f"{k:05d}"
        image, label = (folder / kind / f"{name}.png" for kind in ("images", "labels"))
        if not (image.exists() and label.exists()):
            made = make(k)
            write_png(image, made[0])
            write_png(label, made[1])


if __name__ == "__main__":
    main()
