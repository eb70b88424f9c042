"""Which frames train and which validate, checked and shown before anything long starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from surgaug.datasets.dataset import PairedFrames, open_pairs, usual_size
from surgaug.datasets.item import Item
from surgaug.datasets.pairing import natural
from surgaug.datasets.space_match import INSIST, Reference, bring, of_model, open_own, statistics_of
from surgaug.datasets.splits import group_of, hold_out
from surgaug.datasets.survey import Survey, survey, warn_of_one_class, without_faults
from surgaug.errors import DataError, SurgaugError
from surgaug.labels import class_statistics
from surgaug.labels.class_statistics import ClassStatistics, touching_classes
from surgaug.labels.label_space import LabelSpace
from surgaug.models import families
from surgaug.models.checkpoint import read_header
from surgaug.models.style import style_code
from surgaug.runtime.device import to_tensor
from surgaug.runtime.distributed import ProcessGroup
from surgaug.runtime.feedback import Feedback
from surgaug.runtime.parallel import in_threads
from surgaug.runtime.spread import spread
from surgaug.training.config import TrainConfig, cascade_of
from surgaug.training.frames import Frames, Keeping
from surgaug.training.windows import WindowedFrames

HELD_OUT = 0.05
# Below this many frames none can be spared; validation then looks at the training frames, and says so.
TOO_FEW = 20
MOSTLY_SHOWN = 0.85
STYLES = 1024  # frames whose style codes go into the model file; 100 bytes each
MAPS_LOOKED_AT = 512  # for the classes that touch: tells shares to about two in a hundred

# By the frame's name: digests of its image, of the file of its label map, and of the class ids in that.
Digests = dict[str, list[str]]


@dataclass(frozen=True)
class TrainingData:
    """Training frames, validation frames, statistics of the former's classes.

    presence: bool [N, K]. left_out: of frames that could not be used, why.
    """

    frames: Frames
    val: Frames
    statistics: ClassStatistics
    presence: np.ndarray
    left_out: tuple[str, ...] = ()


def load_data(config: TrainConfig, feedback: Feedback, group: ProcessGroup | None = None) -> TrainingData:
    """Open, check and read the frames. DataError names the file and the value when one cannot be used."""
    keeping = Keeping(config.frames_on_disk, config.zoom, group or ProcessGroup())
    train, val = choose_frames(config, feedback)
    if not len(train):
        raise DataError(f"{config.data}: no frame to train on")
    seen = survey(train, feedback, need_images=True)
    for title, columns, rows in seen.tables():
        feedback.table(title, columns, rows)
    warn_of_one_class(seen, feedback)
    if val is not train:
        _warn_of_shared_videos(train, val, feedback)
    if config.val:
        survey(val, feedback, need_images=True)
    elif val is train:
        feedback.warn(f"only {len(train)} frames and no --val: the validation loss is measured on the training frames")
    else:
        feedback.info(f"{len(val)} frames held out for validation (name others with --val)")
    frames = _frames(train, config, keeping, feedback, "reading frames")
    val_frames = frames if val is train else _frames(val, config, keeping, feedback, "reading validation frames")
    left_out = (*train.left_out, *(val.left_out if config.val else ()))
    return TrainingData(frames, val_frames, _statistics(train, seen), seen.presence_by_item, left_out)


def choose_frames(config: TrainConfig, feedback: Feedback) -> tuple[PairedFrames, PairedFrames]:
    """The frames to train on, and those to validate on; the same twice where none can be spared."""
    paired = _open(config, feedback)
    if config.leave_out_bad:
        paired = without_faults(paired, feedback, need_images=True)
    if not config.val:
        return split(paired, config.seed)
    val = _open_val(Path(config.val), config, paired, feedback)
    val = without_faults(val, feedback, need_images=True) if config.leave_out_bad else val
    val = _its_validation_split(val, feedback)
    return _without(replace(paired, items=tuple(for_training(paired))), val, feedback), val


def _frames(paired: PairedFrames, config: TrainConfig, keeping: Keeping, feedback: Feedback, task: str) -> Frames:
    """Whole frames, or windows of them for the second stage of a cascade."""
    if config.model != families.UPSAMPLER:
        detail = config.network.label_detail if config.model == families.DIFFUSION else 1
        return Frames(paired, config.size, keeping, feedback, task, detail)
    cascade, base = cascade_of(config)
    return WindowedFrames(paired, config.size, base, cascade.window, keeping, feedback, task)


def _open(config: TrainConfig, feedback: Feedback) -> PairedFrames:
    """The data, in the label space of the teacher where there is one."""

    def open_as(classes: str | LabelSpace, heard: Feedback | None) -> PairedFrames:
        return open_pairs(
            Path(config.data),
            classes=classes,
            exclude_known_errors=config.exclude_known_errors,
            images=Path(config.images) if config.images else None,
            labels=Path(config.labels) if config.labels else None,
            also=[Path(config.val)] if config.val else [],
            feedback=heard,
        )

    if not config.distill:
        return open_as(config.classes, feedback)
    header = read_header(Path(config.distill))
    space = LabelSpace.from_dict(header["space"])
    if config.classes == INSIST:
        return open_as(space, feedback)
    teacher = of_model(space, Path(config.distill), header["meta"], f"say --classes {INSIST} if they are the teacher's")
    return bring(open_own(open_as, config.classes, space, feedback), teacher, feedback)


def _open_val(root: Path, config: TrainConfig, paired: PairedFrames, feedback: Feedback) -> PairedFrames:
    """The frames of --val, in the label space of the training data `paired`."""
    if config.classes != "auto":
        return open_pairs(root, classes=paired.space, feedback=feedback)
    val = open_own(lambda how, heard: open_pairs(root, classes=how, feedback=heard), "auto", paired.space, feedback)
    data = Reference(paired.space, f"the training data {config.data}", lambda: statistics_of(paired))
    return bring(val, data, feedback)


def warn_of_crops(config: TrainConfig, feedback: Feedback) -> None:
    """Say so where the size of the images cuts much off each frame; nothing of data that cannot be read."""
    size = config.size
    try:
        height, width = usual_size(Path(config.data), *(Path(f) if f else None for f in (config.images, config.labels)))
    except SurgaugError:
        return
    aspect, frames = size[1] / size[0], width / height
    shown = min(aspect, frames) / max(aspect, frames)
    if shown < MOSTLY_SHOWN:
        fitting = like_frames(size, (height, width))
        feedback.warn(
            f"--size {size[0]}x{size[1]} shows {100 * shown:.0f} % of a frame of {height}x{width} at a time; "
            f"--size {fitting[0]}x{fitting[1]} shows all of it"
        )


def like_frames(size: tuple[int, int], frame: tuple[int, int]) -> tuple[int, int]:
    """The training size (H, W) with the shorter side of `size` and about the proportions of a frame of (H, W)."""
    shorter = min(size)
    step = 8 if shorter < 128 else 16
    longer = max(shorter, round(shorter * max(frame) / min(frame) / step) * step)
    return (shorter, longer) if frame[1] >= frame[0] else (longer, shorter)


def _statistics(train: PairedFrames, seen: Survey) -> ClassStatistics:
    chosen = spread(len(train), MAPS_LOOKED_AT)
    contacts = list(in_threads(lambda i: touching_classes(train.load_label(i), train.space), chosen))
    return class_statistics.statistics_of(train.space.ids, seen.presence_by_item, seen.pixels, contacts)


def digests(data: TrainingData) -> Digests:
    """What the files of all frames hold, so that it can be told later whether they are the same."""
    both = data.frames.digests if data.val is data.frames else [*data.frames.digests, *data.val.digests]
    named = zip(frame_names(data.frames.paired, data.val.paired), both, strict=True)
    return {name: [d.image, d.label_file, d.label_map] for name, d in named}


def frame_names(train: PairedFrames, val: PairedFrames) -> list[str]:
    """Of the frames of training and, unless they are the same, of validation, whose names may occur in both."""
    return [i.name for i in train.items] + [f"val/{i.name}" for i in val.items if val is not train]


def label_digests(data: TrainingData) -> list[str]:
    """Digests of all label maps, training's and validation's: their ids are known to be the model's."""
    return sorted({d.label_map for frames in (data.frames, data.val) for d in frames.digests})


def style_bank(frames: Frames) -> list[dict[str, Any]]:
    """Name, video (or None) and style code of the frames, at most `STYLES` evenly spaced ones: what a user of the
    model can choose from when sampling.
    """
    bank = []
    for i in spread(len(frames), STYLES):
        item, (image, _) = frames.paired.items[i], frames.view(i)
        code = style_code(to_tensor(image[None], "cpu"))[0]
        bank.append({"name": item.name, "video": item.video, "code": [round(v, 4) for v in code.tolist()]})
    return bank


def for_training(paired: PairedFrames) -> list[Item]:
    """The frames of the data's training split; without one, all that are of no split.

    Raises DataError where all are held out from training.
    """
    own = [i for i in paired.items if i.split == "train"]
    if items := own or [i for i in paired.items if i.split is None]:
        return items
    splits = " and ".join(sorted({str(i.split) for i in paired.items}))
    raise DataError(
        f"{paired.root}: all {len(paired)} frames are of the {splits} split, and none is there to be trained on; name "
        "the training frames with --data"
    )


def _its_validation_split(val: PairedFrames, feedback: Feedback) -> PairedFrames:
    """Of the frames of --val those of their own validation split, where they have one."""
    own = tuple(i for i in val.items if i.split == "val")
    if not own or len(own) == len(val):
        return val
    feedback.info(f"of --val {val.root} the {len(own)} frames of its validation split, of {len(val)} in all")
    return replace(val, items=own)


def _without(train: PairedFrames, val: PairedFrames, feedback: Feedback) -> PairedFrames:
    """The training frames that are no validation frames as well; all of them where that leaves none."""
    shown = {i.image.resolve() for i in val.items if i.image}
    kept = tuple(i for i in train.items if not (i.image and i.image.resolve() in shown))
    if not kept:
        feedback.warn(f"--val {val.root} has all training frames: the validation loss is measured on them")
        return train
    if both := len(train) - len(kept):
        feedback.warn(f"{both} of {len(train)} frames are of --val {val.root}, too: they are not trained on")
    return replace(train, items=kept)


def _warn_of_shared_videos(train: PairedFrames, val: PairedFrames, feedback: Feedback) -> None:
    """Frames of one video are alike: a validation loss of videos that training saw is lower than that of others."""
    trained = {i.video for i in train.items}
    of_shared = [i.video for i in val.items if i.video and i.video in trained]
    if of_shared:
        names = sorted(set(of_shared), key=natural)
        some = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        feedback.warn(
            f"{len(of_shared)} of {len(val)} validation frames are of videos that are trained on, too ({some}): the "
            "validation loss says little of other videos; name frames of those with --val"
        )


def split(paired: PairedFrames, seed: int) -> tuple[PairedFrames, PairedFrames]:
    """Training and validation frames: the data's own split where it has one; otherwise whole videos are held out, or
    single frames where no videos are known. Never a frame of a validation video in training.
    """

    def only(items: list[Item]) -> PairedFrames:
        return replace(paired, items=tuple(items))

    own = {s: [i for i in paired.items if i.split == s] for s in ("train", "val")}
    if own["train"] and own["val"]:
        return only(own["train"]), only(own["val"])
    items = for_training(paired)
    if len(items) < TOO_FEW:
        everything = only(items)
        return everything, everything
    groups = sorted({group_of(i) for i in items}, key=natural)
    shuffled = np.random.default_rng([seed, 3]).permutation(len(groups)).tolist()
    frames = max(1, round(HELD_OUT * len(items)))
    held = hold_out([group_of(i) for i in items], [groups[g] for g in shuffled], frames, most=len(items) // 2)
    return only([i for i in items if group_of(i) not in held]), only([i for i in items if group_of(i) in held])
