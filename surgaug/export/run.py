"""Real frames, with synthetic images if there are any, written as one data set in a trainer's layout."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image

from surgaug.datasets.admission import ADMISSION, Admission
from surgaug.datasets.dataset import PairedFrames, open_pairs
from surgaug.datasets.space_match import together
from surgaug.datasets.splits import SPLITS
from surgaug.datasets.stored_ids import FORMAT
from surgaug.datasets.survey import count, read_as, survey, without_faults
from surgaug.datasets.writer import DatasetWriter, check_layout
from surgaug.errors import DataError, UsageError
from surgaug.export import card
from surgaug.export.choice import Pair, Refused, choose, kept_items
from surgaug.io.atomic import write_bytes, write_png, write_text
from surgaug.io.images import file_digest, stored_size
from surgaug.io.journal import is_whole
from surgaug.io.lock import folder_lock
from surgaug.io.manifest import Row, part_path, row_of, rows_by_file, to_line
from surgaug.io.output_folder import IMAGES, MEANING, READ_AS, write_description
from surgaug.labels.label_space import LabelSpace
from surgaug.runtime.feedback import Feedback, Silent
from surgaug.runtime.parallel import in_threads
from surgaug.runtime.paths import same_file
from surgaug.version import __version__

# Keys of a synthetic image's row that the row of its copy keeps.
_MADE = (
    "mask", "perturbations", "plausibility", "seed", "sampler", "steps", "guidance", "style", "options", "model",
    "checks", "agreement", "agreement_by_class", "doubted", "draw",
)  # fmt: skip


@dataclass(frozen=True)
class ExportConfig:
    """data: a data set of real frames. synth: outputs of `synthesize`. ratio: synthetic images for each real training
    frame; None for all. hold_out: the share of the frames to validate on, whole videos, where the data has no split.
    palette: label maps as palette PNGs. leave_out_bad: go on without frames that cannot be used, instead of refusing
    them. images, labels: the folders of the data, relative to it, where their names do not tell.
    only, without: lists of names of frames, one a line (see `choice.kept_items`)."""

    data: Path
    out: Path
    synth: tuple[Path, ...] = ()
    layout: str = "folders"
    ratio: float | None = None
    hold_out: float = 0.0
    classes: str = "auto"
    exclude_known_errors: bool = False
    seed: int = 0
    palette: bool = False
    leave_out_bad: bool = False
    images: Path | None = None
    labels: Path | None = None
    only: Path | None = None
    without: Path | None = None


@dataclass(frozen=True)
class Result:
    """The folder, and the number of pairs by (split, whether synthetic)."""

    out: Path
    counts: dict[tuple[str, bool], int]

    def by_split(self) -> dict[str, dict[str, int]]:
        """The numbers of real and of synthetic pairs, by the splits that have any."""
        kinds = {"real": False, "synthetic": True}
        numbers = {s: {kind: self.counts.get((s, which), 0) for kind, which in kinds.items()} for s in SPLITS}
        return {split: n for split, n in numbers.items() if any(n.values())}


def export(config: ExportConfig, feedback: Feedback | None = None) -> Result:
    """Write `config.data` and `config.synth` as one data set into `config.out`; frames that lie there are kept.

    Raises UsageError or DataError before the first frame when something does not fit.
    """
    feedback = feedback or Silent()
    _check(config)
    real, synths = _open(config, feedback)
    kept = kept_items((real, *synths), config.only, config.without)
    pairs, refused = choose(
        real, synths, kept=kept, ratio=config.ratio, hold_out=config.hold_out, seed=config.seed, feedback=feedback
    )
    target = DatasetWriter(config.out, config.layout, real.space, config.palette)
    target.check()
    target.check_frames([pair.frame for pair in pairs])
    _refuse_collisions(target, pairs)
    left_out = [line for frames in (real, *synths) for line in frames.left_out]
    description = _describe(config, target, pairs, feedback) | ({"left_out": left_out} if left_out else {})
    target.refuse_other(description)
    config.out.mkdir(parents=True, exist_ok=True)
    with folder_lock(config.out, feedback):
        target.claim(description, [pair.frame for pair in pairs])
        for _ in in_threads(lambda pair: _write_pair(target, pair), pairs, feedback=feedback, title="writing frames"):
            pass
        made = {frames.root: rows_by_file(frames.root) for frames in (real, *synths)}
        rows = [_row(target, pair, made.get(pair.frames.root, {})) for pair in pairs]
        write_text(part_path(config.out), "".join(map(to_line, rows)))
        target.finish([pair.frame for pair in pairs])
        counts = Counter((pair.frame.split or "train", pair.frame.synthetic) for pair in pairs)
        done = Result(config.out, dict(counts))
        _write_card(config, done, real.space)
        if synths:
            admission = _admission(target, synths, pairs, refused)
            write_text(config.out / ADMISSION, json.dumps(admission.to_dict(), indent=2, ensure_ascii=False) + "\n")
            admission.tell(feedback)
        write_description(target.description_file, {**description, "complete": True})
    feedback.table("Written", ["split", "real", "synthetic"], [[s, *n.values()] for s, n in done.by_split().items()])
    return done


def _open(config: ExportConfig, feedback: Feedback) -> tuple[PairedFrames, list[PairedFrames]]:
    """Both opened in one label space, every file of them checked."""
    real = open_pairs(
        config.data,
        classes=config.classes,
        exclude_known_errors=config.exclude_known_errors,
        images=config.images,
        labels=config.labels,
        feedback=feedback,
    )
    if config.classes == "auto":
        opened = [open_pairs(folder, feedback=feedback) for folder in config.synth]
        real, *synths = together([real, *opened], [str(path) for path in (config.data, *config.synth)], feedback)
    else:
        synths = [open_pairs(folder, classes=real.space, feedback=feedback) for folder in config.synth]
    if config.leave_out_bad:
        real, *synths = (without_faults(frames, feedback, need_images=True) for frames in (real, *synths))
    (size, _), *others = (survey(f, feedback, need_images=True).sizes.most_common(1)[0] for f in (real, *synths))
    for folder, (other, _) in zip(config.synth, others, strict=True):
        if other != size:
            feedback.warn(
                f"{folder}: images of {other[0]}x{other[1]}, beside real ones of {size[0]}x{size[1]}: let the trainer "
                "bring both to one size before it crops (synthesize --size native makes them as large as their masks)"
            )
    return real, synths


def _check(config: ExportConfig) -> None:
    check_layout(config.layout)
    if config.ratio is not None and (config.ratio < 0 or not config.synth):
        raise UsageError(f"--ratio {config.ratio:g}: 0 or more, with synthetic images (--synth DIR)")
    if not 0 <= config.hold_out < 1:
        raise UsageError(f"--hold-out {config.hold_out:g}: from 0 to below 1, for example 0.2")


def _refuse_collisions(target: DatasetWriter, pairs: Sequence[Pair]) -> None:
    seen: dict[str, str] = {}
    for pair in pairs:
        for path in target.paths(pair.frame):
            if (key := same_file(path)) in seen:
                raise DataError(f"{seen[key]} and {pair.frame.source} would both be written as {path}; rename one")
            seen[key] = pair.frame.source


def _describe(config: ExportConfig, target: DatasetWriter, pairs: Sequence[Pair], feedback: Feedback) -> dict[str, Any]:
    digest, images = hashlib.sha256(), hashlib.sha256()
    files = [pair.frames.items[pair.number].files[0] for pair in pairs]
    for found in in_threads(file_digest, files, feedback=feedback, title="digests of images"):
        images.update(found.encode())
    pixels = _pixels(pair.frames for pair in pairs)
    for pair in pairs:
        digest.update(f"{pair.frame.name} {pair.frame.split} {pair.frames.fingerprint(pair.number)}\n".encode())
    held = np.array([pixels[id(pair.frames)][pair.number] for pair in pairs])
    return {
        "format": FORMAT,
        "surgaug": __version__,
        "complete": False,
        "samples": len(pairs),
        "sources": {"real": str(config.data), "synthetic": [str(folder) for folder in config.synth]},
        "settings": {"layout": config.layout, "frames": digest.hexdigest()[:16], "seed": config.seed}
        | {IMAGES: images.hexdigest()[:16]}
        | {READ_AS: read_as(target.space, held), MEANING: target.space.digest(colors=True)}
        | {"ratio": config.ratio, "hold_out": config.hold_out}
        | ({"palette": True} if config.palette else {}),
        **target.description(),
    }


def _admission(
    target: DatasetWriter, synths: Sequence[PairedFrames], pairs: Sequence[Pair], refused: Sequence[Refused]
) -> Admission:
    """What became of the synthetic images. Their pixels without label are not counted."""
    out = Admission(target.space)
    pixels = _pixels(synths)

    def row(frames: PairedFrames, number: int, video: str | None) -> Row:
        counts = zip(frames.space.ids, pixels[id(frames)][number].tolist(), strict=True)
        return {"video": video or "", "classes": {str(i): n for i, n in counts if n}}

    for pair in pairs:
        if id(pair.frames) in pixels:
            out.admit(row(pair.frames, pair.number, pair.frame.video))
    for other in refused:
        out.refuse(row(other.frames, other.number, other.video), other.reason)
    return out


def _pixels(sets: Iterable[PairedFrames]) -> dict[int, np.ndarray]:
    """Pixels of each class in each frame, int64 [N, K], by the `id` of their set."""
    return {key: count(frames).pixels_by_item for key, frames in {id(frames): frames for frames in sets}.items()}


def _write_pair(target: DatasetWriter, pair: Pair) -> None:
    to_image, to_label = target.paths(pair.frame)
    image, item = target.root / to_image, pair.frames.items[pair.number]
    if not is_whole(target.root / to_label):
        target.write_label(to_label, target.encode(pair.frames.load_label(pair.number)))
    if not is_whole(image):
        source, _ = item.files
        if _is_rgb_png(source):
            write_bytes(image, source.read_bytes())
        else:
            write_png(image, pair.frames.load_image(pair.number))


def _is_rgb_png(path: Path) -> bool:
    """Whether a file is what would be written of it: one that EXIF turns is not, since few programs turn it, nor one of
    16 bits a channel, of which some trainers read all."""
    with Image.open(path) as image:
        plain = image.format == "PNG" and image.mode == "RGB" and image.tile[0].args == "RGB"
        return plain and stored_size(path)[1] == 1


def _write_card(config: ExportConfig, done: Result, space: LabelSpace) -> None:
    """The README; one that is there stays, since its fields may be filled in."""
    file = config.out / card.FILE
    if not file.exists():
        sources = [card.source(folder) for folder in config.synth]
        name = config.out.resolve().name
        write_text(file, card.card(name, config.layout, done.by_split(), space, str(config.data), sources))


def _row(target: DatasetWriter, pair: Pair, made: Mapping[Path, Row]) -> Row:
    """The manifest row of a pair. made: the rows of synthetic sets by file, of which a copy keeps how its image was
    made."""
    frame, (image, label) = pair.frame, target.paths(pair.frame)
    item = pair.frames.items[pair.number]
    before: Mapping[str, Any] = row_of((item.image, item.label), made) if frame.synthetic else {}
    row: Row = {"index": frame.index, "image": image, "label": label, "name": frame.name, "source": frame.source}
    row |= {"synthetic": frame.synthetic, "image_source": str(item.image)}
    row |= cast(Row, {key: before[key] for key in _MADE if key in before})
    if frame.split:
        row["split"] = frame.split
    if frame.video:
        row["video"] = frame.video
    if pair.origin:
        row["origin"] = pair.origin.to_row()
    return row
