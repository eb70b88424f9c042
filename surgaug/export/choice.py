"""Which real frames and synthetic images make a data set, and in which split each is. Validation and test stay real.
`--only` and `--without` list names, one a line, as `surgaug browse` saves them.

A synthetic image shows what its mask shows, and the masks of which instruments were put into that: those with one of a
validation or test frame, or of the same video, are left out. Where a mask came from is followed through manifests
(`datasets.provenance`); a copy of one is known by what it holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np

from surgaug.datasets.dataset import PairedFrames
from surgaug.datasets.item import Item, WrittenItem, fingerprint
from surgaug.datasets.provenance import Origin, Provenance, read_origins
from surgaug.datasets.splits import HELD_OUT, group_of, hold_out
from surgaug.errors import DataError, UsageError
from surgaug.io.images import SUFFIXES
from surgaug.io.manifest import is_there, read_rows
from surgaug.runtime.feedback import Feedback
from surgaug.runtime.options import did_you_mean
from surgaug.runtime.paths import portable

_NAMED = 3


@dataclass(frozen=True)
class Pair:
    """What is to be written, and where it is read from: item `number` of `frames`. origin: of a synthetic image."""

    frame: WrittenItem
    frames: PairedFrames = field(repr=False)
    number: int
    origin: Origin | None = None


@dataclass(frozen=True)
class Refused:
    """A synthetic image that is not taken: item `number` of `frames`, the video that it shows, and why."""

    frames: PairedFrames = field(repr=False)
    number: int
    video: str | None
    reason: str


MASK_HELD_OUT = "its mask is of the validation or test split"
VIDEO_HELD_OUT = "its mask is of a video with validation or test frames"
LENDER_HELD_OUT = "an instrument in it was cut from a mask of the validation or test split, or of its videos"
_REASONS = {
    MASK_HELD_OUT: "their masks are of the validation or test split",
    VIDEO_HELD_OUT: "their masks are of videos with validation or test frames",
    LENDER_HELD_OUT: "instruments in them were cut from such masks",
}
BEYOND_RATIO = "beyond --ratio"
NOT_CHOSEN = "dropped by --only or --without"


def choose(
    real: PairedFrames,
    synths: Sequence[PairedFrames],
    *,
    kept: Sequence[frozenset[int]] | None = None,
    ratio: float | None,
    hold_out: float,
    seed: int,
    feedback: Feedback,
) -> tuple[list[Pair], list[Refused]]:
    """The pairs of the new data set, and the synthetic images that are refused. See `ExportConfig`. All real frames are
    taken, with their splits; of the synthetic images that may train, `ratio` for each real training frame. kept: the
    numbers of the items that may be chosen, of `real` and then of each of `synths`; None for all. Splits are made
    before that, of all real frames: where `kept` drops a validation frame, synthetic images of its mask do not train
    either.

    What the manifest of `real` calls synthetic stays so. Raises UsageError or DataError where such an image would
    validate.
    """
    synthetic = synthetic_in(real)
    if hold_out and synthetic:
        raise UsageError(
            f"--hold-out {hold_out:g}: {real.root} holds {len(synthetic)} synthetic images, and those must not "
            "validate; give the real frames as --data and the synthetic images as --synth"
        )
    splits = split_items(real.items, hold_out, seed)
    if wrong := sorted(i for i in synthetic if splits[i] != "train"):
        raise DataError(f"{real.items[wrong[0]].image}: a synthetic image in the {splits[wrong[0]]} split; remove it")
    may = dict(zip(map(id, (real, *synths)), kept, strict=True)) if kept else {}
    numbers = [i for i in range(len(real)) if not may or i in may[id(real)]]
    pairs = [
        Pair(
            WrittenItem(item.name, k, splits[i], item.video, i in synthetic, str(item.label)), real, i, synthetic.get(i)
        )
        for k, i in enumerate(numbers)
        for item in [real.items[i]]
    ]
    allowed, refused = _allowed(real, splits, synths, feedback)
    if may:
        dropped = [p for p in allowed if p.number not in may[id(p.frames)]]
        refused += [Refused(p.frames, p.number, p.frame.video, NOT_CHOSEN) for p in dropped]
        allowed = [p for p in allowed if p.number in may[id(p.frames)]]
    if ratio is not None:
        training = sum(pair.frame.split == "train" and not pair.frame.synthetic for pair in pairs)
        needed = round(ratio * training)
        if needed > len(allowed):
            raise DataError(
                f"--ratio {ratio:g}: {needed} synthetic images are needed for {training} real frames, "
                f"and {len(allowed)} may train; synthesize more, or leave --ratio out to take these"
            )
        picked = np.random.default_rng([seed, 7]).permutation(len(allowed))[:needed]
        others = sorted(set(range(len(allowed))) - set(picked.tolist()))
        refused += [Refused(p.frames, p.number, p.frame.video, BEYOND_RATIO) for p in map(allowed.__getitem__, others)]
        allowed = [allowed[k] for k in sorted(picked)]
    names = Counter([*(p.frame.name for p in pairs), *(p.frame.name for p in allowed)])
    for pair in allowed:
        name = pair.frame.name
        name = name if names[name] == 1 else portable(f"{pair.frames.root.resolve().name}_{name}")
        pairs.append(replace(pair, frame=replace(pair.frame, name=name, index=len(pairs))))
    return pairs, refused


def synthetic_in(frames: PairedFrames) -> dict[int, Origin]:
    """The items that the data set's manifest calls synthetic, with their origins.

    Those are what `export` was given as synthetic, and all that `synthesize` made.
    """
    rows, _ = read_rows(frames.root)
    files = {frames.root / row["image"] for row in rows if "image" in row and row.get("synthetic", "sampler" in row)}
    origins = read_origins(frames.root)
    return {i: origins[item.image.name] for i, item in enumerate(frames.items) if item.image and item.image in files}


def split_items(items: Sequence[Item], share: float, seed: int) -> list[str]:
    """Split of each item: its own; without any, a `share` of the frames, in whole videos, is "val"."""
    if any(item.split for item in items):
        if share:
            raise UsageError(f"--hold-out {share:g}: the data has splits of its own; leave --hold-out out")
        return [item.split or "train" for item in items]
    of_items = [group_of(item) for item in items]
    groups = sorted(set(of_items))
    order = np.random.default_rng([seed, 6]).permutation(len(groups))
    held = hold_out(of_items, [groups[k] for k in order], share * len(items))
    return ["val" if group in held else "train" for group in of_items]


def _allowed(
    real: PairedFrames, splits: Sequence[str], synths: Sequence[PairedFrames], feedback: Feedback
) -> tuple[list[Pair], list[Refused]]:
    """The synthetic images that come neither from masks of the validation or test split nor from its videos, and the
    others."""
    find = _Sources(real, splits)
    allowed: list[Pair] = []
    left_out: list[Refused] = []
    unknown: list[str] = []
    for frames in synths:
        origins, before = read_origins(frames.root), Provenance(frames.root)
        for k, item in enumerate(frames.items):
            origin = before.located(origins.get(item.files[0].name, Origin(item.name, "", item.video, None)))
            source, *lenders = map(find.of, replace(origin, video=origin.video or item.video).all())
            reason = source.reason or (LENDER_HELD_OUT if any(lender.reason for lender in lenders) else "")
            if reason:
                left_out.append(Refused(frames, k, source.video, reason))
                continue
            if not all(one.known for one in (source, *lenders)):
                unknown.append(item.name)
            lent = frozenset(lender.group for lender in lenders if lender.group)
            frame = WrittenItem(item.name, 0, "train", source.group, True, origin.path or str(item.label), lent)
            allowed.append(Pair(frame, frames, k, origin))
    for reason, number in Counter(refused.reason for refused in left_out).items():
        feedback.info(f"synthetic images left out, since {_REASONS[reason]}: {number}")
    if unknown:
        feedback.warn(
            f"synthetic images from masks that are not in {real.root}: {len(unknown)} ({', '.join(unknown[:_NAMED])}"
            f"{', ...' if len(unknown) > _NAMED else ''}); see to it that they show nothing of its validation frames"
        )
    return allowed, left_out


@dataclass(frozen=True)
class _Source:
    """What the real data says of a label map: its video, its group (`splits.group_of`), why it must not train ("" where
    it may), and whether it, or its video, is of that data."""

    video: str | None
    group: str | None
    reason: str
    known: bool


class _Sources:
    """The label maps of `real`, found by what a manifest says of one."""

    def __init__(self, real: PairedFrames, splits: Sequence[str]):
        self._real, self._splits = real, splits
        self._by_path = {item.label.resolve(): i for i, item in enumerate(real.items) if item.label is not None}
        self._by_name = {item.name: i for i, item in enumerate(real.items)}
        self._videos = {item.video for item in real.items} - {None}
        held = [i for i, split in enumerate(splits) if split != "train"]
        self._held_videos = {real.items[i].video for i in held} - {None}
        self._held_maps = {real.fingerprint(i): i for i in held}
        self._found: dict[Origin, _Source] = {}

    def of(self, origin: Origin) -> _Source:
        """What is known of a label map, its donors left aside."""
        if origin not in self._found:
            number = self._number(origin)
            item = None if number is None else self._real.items[number]
            video = item.video if item else origin.video
            held_out = origin.split in HELD_OUT if number is None else self._splits[number] != "train"
            reason = MASK_HELD_OUT if held_out else VIDEO_HELD_OUT if video in self._held_videos else ""
            group, known = (group_of(item), True) if item else (video, video in self._videos)
            self._found[origin] = _Source(video, group, reason, known)
        return self._found[origin]

    def _number(self, origin: Origin) -> int | None:
        number = self._by_path.get(Path(origin.path).resolve()) if origin.path else None
        if number is None and origin.path and is_there(origin.path):
            # a copy of a held-out one? Names may be the same by chance.
            number = self._held_maps.get(fingerprint(Path(origin.path)))
        return self._by_name.get(origin.mask) if number is None else number


def kept_items(sets: Sequence[PairedFrames], only: Path | None, without: Path | None) -> list[frozenset[int]] | None:
    """For each data set the numbers of the items that stay; None where there is no list.

    only: a data set of which the list names frames keeps these alone; the others stay whole. without: what is named
    goes. Raises DataError: a list that cannot be read, a name of no frame or of several data sets, nothing left.
    """
    if only is None and without is None:
        return None
    whole = [frozenset(range(len(frames))) for frames in sets]
    chosen = _find(sets, only) if only else [frozenset()] * len(sets)
    dropped = _find(sets, without) if without else [frozenset()] * len(sets)
    left = [(some or every) - gone for every, some, gone in zip(whole, chosen, dropped, strict=True)]
    if not any(left):
        raise DataError(f"{without or only}: no frame is left")
    return left


def read_names(file: Path) -> list[str]:
    """The names of a list: lines that are neither empty nor comments (#), without folder and image ending.

    Raises DataError where it cannot be read as UTF-8.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read as a list of names ({error})") from error
    return [_name(line.strip()) for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _name(line: str) -> str:
    path = PurePosixPath(line.replace("\\", "/"))
    return path.stem if path.suffix.lower() in SUFFIXES else path.name


def _find(sets: Sequence[PairedFrames], file: Path) -> list[frozenset[int]]:
    """The items that a list names, by data set."""
    numbers = [{item.name: i for i, item in enumerate(frames.items)} for frames in sets]
    found: list[set[int]] = [set() for _ in sets]
    for name in read_names(file):
        where = [k for k, by_name in enumerate(numbers) if name in by_name]
        if len(where) != 1:
            roots = " and ".join(str(sets[k].root) for k in where)
            known = [known for by_name in numbers for known in by_name]
            what = f"frames of {roots}; export them one by one" if where else f"no frame{did_you_mean(name, known)}"
            raise DataError(f"{file}: {name!r} names {what}")
        found[where[0]].add(numbers[where[0]][name])
    return [frozenset(some) for some in found]
