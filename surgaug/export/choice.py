"""Which frames make a data set of real and painted ones, and in which split each is. Validation and test stay real.

A painted frame comes from a mask, and shows what that mask shows: those whose mask is of a validation or test frame, or
of the same video, are left out. Whence a mask came is followed through the manifests of `synthesize` and
`augment-masks`; a copy of one is known by what it holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from surgaug.datasets.dataset import PairedFrames
from surgaug.datasets.item import Item, WrittenItem, fingerprint
from surgaug.datasets.provenance import Origin, read_origins
from surgaug.datasets.splits import group_of, hold_out
from surgaug.errors import DataError, UsageError
from surgaug.io.file_names import portable
from surgaug.io.manifest import MANIFEST, read_manifest
from surgaug.runtime.feedback import Feedback

_NAMED = 3


@dataclass(frozen=True)
class Pair:
    """A frame to be written, and where it is read from: item `number` of `frames`."""

    frame: WrittenItem
    frames: PairedFrames = field(repr=False)
    number: int


def choose(
    real: PairedFrames,
    synths: Sequence[PairedFrames],
    *,
    ratio: float | None,
    hold_out: float,
    seed: int,
    feedback: Feedback,
) -> list[Pair]:
    """The pairs of the new data set: all real frames with their splits, and the painted ones that may train, of which
    `ratio` for each real training frame are picked. See `ExportConfig`.

    Frames of `real` that its manifest calls painted stay so. Raises UsageError or DataError where one would validate.
    """
    painted = painted_in(real)
    if hold_out and painted:
        raise UsageError(
            f"--hold-out {hold_out:g}: {real.root} holds {len(painted)} painted frames, and those must not validate; "
            "give the real ones as --data and the painted ones as --synth"
        )
    splits = split_items(real.items, hold_out, seed)
    if wrong := sorted(i for i in painted if splits[i] != "train"):
        raise DataError(f"{real.items[wrong[0]].image}: a painted frame in the {splits[wrong[0]]} split; remove it")
    pairs = [
        Pair(WrittenItem(item.name, i, split, item.video, i in painted, str(item.label)), real, i)
        for i, (item, split) in enumerate(zip(real.items, splits, strict=True))
    ]
    allowed = _allowed(real, splits, synths, feedback)
    if ratio is not None:
        training = splits.count("train") - len(painted)
        wanted = round(ratio * training)
        if wanted > len(allowed):
            raise DataError(
                f"--ratio {ratio:g}: {wanted} painted frames are needed for {training} real ones, "
                f"and {len(allowed)} may train; paint more, or give a lower --ratio"
            )
        picked = np.random.default_rng([seed, 7]).permutation(len(allowed))[:wanted]
        allowed = [allowed[k] for k in sorted(picked)]
    names = Counter([*(p.frame.name for p in pairs), *(p.frame.name for p in allowed)])
    for pair in allowed:
        name = pair.frame.name
        name = name if names[name] == 1 else portable(f"{pair.frames.root.resolve().name}_{name}")
        pairs.append(replace(pair, frame=replace(pair.frame, name=name, index=len(pairs))))
    return pairs


def painted_in(frames: PairedFrames) -> set[int]:
    """The items that the data set's manifest calls painted: those of `export`, and all that `synthesize` made."""
    if not (frames.root / MANIFEST).is_file():
        return set()
    rows = read_manifest(frames.root / MANIFEST)[0]
    files = {frames.root / str(row.get("image")) for row in rows if row.get("synthetic", "sampler" in row)}
    return {i for i, item in enumerate(frames.items) if item.image in files}


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
) -> list[Pair]:
    """The painted frames that do not come from masks of the validation or test split."""
    by_path = {item.label.resolve(): i for i, item in enumerate(real.items) if item.label is not None}
    by_name = {item.name: i for i, item in enumerate(real.items)}
    videos = {item.video for item in real.items} - {None}
    held_videos = {item.video for item, split in zip(real.items, splits, strict=True) if split != "train"} - {None}
    held_maps = {real.fingerprint(i): i for i, split in enumerate(splits) if split != "train"}
    hashes: dict[str, str] = {}
    allowed, left_out, unknown = [], [], []
    for frames in synths:
        origins = read_origins(frames.root)
        for k, item in enumerate(frames.items):
            origin = origins.get(item.files[0].name, Origin(item.name, "", item.video, None))
            source = by_path.get(Path(origin.path).resolve()) if origin.path else None
            if source is None and origin.path:  # a copy of a held-out one? Names may be the same by chance.
                if origin.path not in hashes:
                    hashes[origin.path] = fingerprint(Path(origin.path)) if Path(origin.path).is_file() else ""
                source = held_maps.get(hashes[origin.path])
            source = by_name.get(origin.mask) if source is None else source
            video = real.items[source].video if source is not None else origin.video or item.video
            if (source is not None and splits[source] != "train") or video in held_videos:
                left_out.append(item.name)
                continue
            if source is None and origin.split in ("val", "test"):
                left_out.append(item.name)
                continue
            if source is None and video not in videos:
                unknown.append(item.name)
            group = video or (real.items[source].name if source is not None else None)
            frame = WrittenItem(item.name, 0, "train", group, True, origin.path or str(item.label))
            allowed.append(Pair(frame, frames, k))
    if left_out:
        feedback.info(
            f"painted frames left out, since their masks are of the validation or test split: {len(left_out)}"
        )
    if unknown:
        feedback.warn(
            f"painted frames from masks that are not in {real.root}: {len(unknown)} ({', '.join(unknown[:_NAMED])}"
            f"{', ...' if len(unknown) > _NAMED else ''}); see to it that they show nothing of its validation frames"
        )
    return allowed
