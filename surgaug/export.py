"""Real frames, and painted ones if wanted, as one data set in a trainer's layout. Validation and test stay real.

A painted frame comes from a mask, and shows what that mask shows: those whose mask is of a validation or test frame, or
of the same video, are left out. Whence a mask came is followed through the manifests of `synthesize` and
`augment-masks`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from surgaug import __version__
from surgaug.data.atomic import write_bytes, write_png, write_text
from surgaug.data.dataset import Item, PairedFrames, open_pairs, survey
from surgaug.data.item import Frame
from surgaug.data.manifests import MANIFEST
from surgaug.data.origins import Origin, read_origins
from surgaug.data.scan import in_threads
from surgaug.data.settings import differences
from surgaug.data.stored import FORMAT
from surgaug.data.target import Target, check_layout, refuse_strangers
from surgaug.errors import DataError, UsageError
from surgaug.feedback import Feedback, Silent
from surgaug.lock import folder_lock

SPLITS = ("train", "val", "test")
_NAMED = 3


@dataclass(frozen=True)
class ExportConfig:
    """data: a data set of real frames. synth: outputs of `synthesize`. ratio: painted frames for each real training
    frame; None for all. hold_out: the share of the frames to validate on, whole videos, where the data has no split."""

    data: Path
    out: Path
    synth: tuple[Path, ...] = ()
    layout: str = "folders"
    ratio: float | None = None
    hold_out: float = 0.0
    classes: str = "auto"
    exclude_known_errors: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Pair:
    """A frame to be written, and where it is read from: item `number` of `frames`."""

    frame: Frame
    frames: PairedFrames = field(repr=False)
    number: int


@dataclass(frozen=True)
class Result:
    """The folder, and the number of frames by (split, painted or not)."""

    out: Path
    counts: dict[tuple[str, bool], int]


def export(config: ExportConfig, feedback: Feedback | None = None) -> Result:
    """Write `config.data` and `config.synth` as one data set into `config.out`; frames that lie there are kept.

    Raises UsageError or DataError before the first frame when something does not fit.
    """
    feedback = feedback or Silent()
    _check(config)
    real, synths = _open(config, feedback)
    pairs = choose(real, synths, config, feedback)
    target = Target(config.out, config.layout, real.space)
    target.check()
    _refuse_collisions(target, pairs)
    description = _describe(config, target, pairs)
    refuse_strangers(target)
    _refuse_other(target, description)
    config.out.mkdir(parents=True, exist_ok=True)
    with folder_lock(config.out, feedback):
        _write(target.description_file, description)  # first: what a kill leaves from here on is known as ours
        target.prepare(pair.frame for pair in pairs)
        for _ in in_threads(lambda pair: _write_pair(target, pair), pairs, feedback, "writing frames"):
            pass
        target.finish([pair.frame for pair in pairs])
        rows = [json.dumps(_row(target, pair), ensure_ascii=False, separators=(",", ":")) for pair in pairs]
        write_text(config.out / MANIFEST, "".join(f"{row}\n" for row in rows))
        counts = Counter((pair.frame.split or "train", pair.frame.synthetic) for pair in pairs)
        _write(target.description_file, {**description, "complete": True})
    table = [[split, counts[split, False], counts[split, True]] for split in SPLITS if counts[split, False]]
    feedback.table("Written", ["split", "real", "painted"], table)
    return Result(config.out, dict(counts))


def choose(real: PairedFrames, synths: Sequence[PairedFrames], config: ExportConfig, feedback: Feedback) -> list[Pair]:
    """The pairs of the new data set: all real frames with their splits, and the painted ones that may train."""
    splits = split_items(real.items, config.hold_out, config.seed)
    pairs = [
        Pair(Frame(item.name, i, split, item.video, False, str(item.label)), real, i)
        for i, (item, split) in enumerate(zip(real.items, splits, strict=True))
    ]
    allowed = _allowed(real, splits, synths, feedback)
    if config.ratio is not None:
        wanted = round(config.ratio * splits.count("train"))
        if wanted > len(allowed):
            raise DataError(
                f"--ratio {config.ratio:g}: {wanted} painted frames are needed for {splits.count('train')} real ones, "
                f"and {len(allowed)} may train; paint more, or give a lower --ratio"
            )
        picked = np.random.default_rng([config.seed, 7]).permutation(len(allowed))[:wanted]
        allowed = [allowed[k] for k in sorted(picked)]
    names = Counter([*(p.frame.name for p in pairs), *(p.frame.name for p in allowed)])
    for pair in allowed:
        name = pair.frame.name
        name = name if names[name] == 1 else f"{pair.frames.root.resolve().name}_{name}"
        pairs.append(replace(pair, frame=replace(pair.frame, name=name, index=len(pairs))))
    return pairs


def split_items(items: Sequence[Item], hold_out: float, seed: int) -> list[str]:
    """Split of each item: its own; without any, a share `hold_out` of the frames, in whole videos, is "val"."""
    if any(item.split for item in items):
        if hold_out:
            raise UsageError(f"--hold-out {hold_out:g}: the data has splits of its own; leave --hold-out out")
        return [item.split or "train" for item in items]
    groups = sorted({item.video or item.name for item in items})
    sizes = Counter(item.video or item.name for item in items)
    held: set[str] = set()
    for k in np.random.default_rng([seed, 6]).permutation(len(groups)):
        if sum(sizes[g] for g in held) >= hold_out * len(items) or len(held) == len(groups) - 1:
            break
        held.add(groups[k])
    return ["val" if (item.video or item.name) in held else "train" for item in items]


def _allowed(
    real: PairedFrames, splits: Sequence[str], synths: Sequence[PairedFrames], feedback: Feedback
) -> list[Pair]:
    """The painted frames that do not come from masks of the validation or test split."""
    by_path = {item.label.resolve(): i for i, item in enumerate(real.items) if item.label is not None}
    by_name = {item.name: i for i, item in enumerate(real.items)}
    held_videos = {item.video for item, split in zip(real.items, splits, strict=True) if split != "train"} - {None}
    allowed, left_out, unknown = [], [], []
    for frames in synths:
        origins = read_origins(frames.root)
        for k, item in enumerate(frames.items):
            origin = origins.get(item.image.name, Origin(item.name, "", item.video, None))
            source = by_path.get(Path(origin.path).resolve()) if origin.path else None
            source = by_name.get(origin.mask) if source is None else source
            video = real.items[source].video if source is not None else origin.video or item.video
            if (source is not None and splits[source] != "train") or video in held_videos:
                left_out.append(item.name)
                continue
            if source is None and origin.split in ("val", "test"):
                left_out.append(item.name)
                continue
            if source is None and video not in {i.video for i in real.items}:
                unknown.append(item.name)
            group = video or (real.items[source].name if source is not None else None)
            frame = Frame(item.name, 0, "train", group, True, origin.path or str(item.label))
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


def _open(config: ExportConfig, feedback: Feedback) -> tuple[PairedFrames, list[PairedFrames]]:
    """Both opened in one label space, every file of them checked."""
    known = {"exclude_known_errors": config.exclude_known_errors, "feedback": feedback}
    real = open_pairs(config.data, classes=config.classes, **known)
    if config.synth and config.classes == "auto" and real.space.name == "auto":
        real = open_pairs(config.data, classes=open_pairs(config.synth[0], feedback=feedback).space, **known)
    synths = [open_pairs(folder, classes=real.space, feedback=feedback) for folder in config.synth]
    for frames in (real, *synths):
        survey(frames, feedback, need_images=True)
    return real, synths


def _check(config: ExportConfig) -> None:
    check_layout(config.layout)
    if config.ratio is not None and (config.ratio < 0 or not config.synth):
        raise UsageError(f"--ratio {config.ratio:g}: 0 or more, with painted frames (--synth DIR)")
    if not 0 <= config.hold_out < 1:
        raise UsageError(f"--hold-out {config.hold_out:g}: from 0 to below 1, for example 0.2")


def _refuse_collisions(target: Target, pairs: Sequence[Pair]) -> None:
    seen: dict[str, str] = {}
    for pair in pairs:
        for path in target.paths(pair.frame):
            if path in seen:
                raise DataError(f"{seen[path]} and {pair.frame.source} would both be written as {path}; rename one")
            seen[path] = pair.frame.source


def _describe(config: ExportConfig, target: Target, pairs: Sequence[Pair]) -> dict[str, Any]:
    digest = hashlib.sha256()
    for pair in pairs:
        digest.update(f"{pair.frame.name} {pair.frame.split} {pair.frames.fingerprint(pair.number)}\n".encode())
    return {
        "format": FORMAT,
        "surgaug": __version__,
        "complete": False,
        "samples": len(pairs),
        "sources": {"real": str(config.data), "painted": [str(folder) for folder in config.synth]},
        "settings": {"layout": config.layout, "frames": digest.hexdigest()[:16], "seed": config.seed}
        | {"ratio": config.ratio, "hold_out": config.hold_out},
        **target.description(),
    }


def _refuse_other(target: Target, description: dict[str, Any]) -> None:
    file = target.description_file
    if not file.exists():
        return
    try:
        old = json.loads(file.read_text(encoding="utf-8"))["settings"]
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{file}: not a description of a data set of surgaug; give another --out") from None
    if lines := differences(old, description["settings"]):
        raise UsageError(
            f"{target.root} holds a data set made with other settings ({'; '.join(lines)}); repeat them, or give "
            "another --out"
        )


def _write_pair(target: Target, pair: Pair) -> None:
    image, label = (target.root / path for path in target.paths(pair.frame))
    item = pair.frames.items[pair.number]
    if not label.is_file():
        write_png(label, target.encode(pair.frames.load_label(pair.number)))
    if not image.is_file():
        if _is_rgb_png(item.image):
            write_bytes(image, item.image.read_bytes())
        else:
            write_png(image, pair.frames.load_image(pair.number))


def _is_rgb_png(path: Path) -> bool:
    with Image.open(path) as image:
        return image.format == "PNG" and image.mode == "RGB"


def _row(target: Target, pair: Pair) -> dict[str, Any]:
    frame, (image, label) = pair.frame, target.paths(pair.frame)
    return {
        "index": frame.index, "image": image, "label": label, "name": frame.name, "split": frame.split,
        "video": frame.video, "synthetic": frame.synthetic, "source": frame.source,
        "image_source": str(pair.frames.items[pair.number].image),
    }  # fmt: skip


def _write(file: Path, description: dict[str, Any]) -> None:
    write_text(file, json.dumps(description, indent=2, ensure_ascii=False) + "\n")
