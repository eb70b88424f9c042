"""Faithfulness and utility of all synthetic folders of a run: the folders read, the segmenter trained, each judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from surgaug.errors import DataError, UsageError
from surgaug.labels.label_space import IGNORE_INDEX
from surgaug.models.checkpoint import file_hash
from surgaug.runtime import options
from surgaug.runtime.feedback import Feedback, Silent
from surgaug.scoring.compute.cache import cache_folder
from surgaug.scoring.inputs import Folder, pair
from surgaug.scoring.plan import MIOU
from surgaug.scoring.report.model import Definition, Measure, Row
from surgaug.scoring.segmenter import agreement, start
from surgaug.scoring.segmenter import weights as supplied
from surgaug.scoring.segmenter.cache import Trainer, key
from surgaug.scoring.segmenter.faithfulness import Reader
from surgaug.scoring.segmenter.frames import LabelledFrames, joint_space, read_frames
from surgaug.scoring.segmenter.network import MULTIPLE, check_name
from surgaug.scoring.segmenter.results import Faithfulness, Figure, Utility
from surgaug.scoring.segmenter.train_test_split import Apart, NotJudged, keep_apart
from surgaug.scoring.segmenter.training import SegmenterConfig, enough
from surgaug.scoring.segmenter.utility import CONVENTION, Bench, Budget, measure_utility
from surgaug.scoring.segmenter.weights import Supplied

RARE, BOUNDARY, UTILITY = "miou_rare", "boundary_f", "utility"
LARGEST = 128 * 128  # pixels; more detail than that costs time and changes no verdict
DEFINITIONS = {
    MIOU: Definition(
        "mIoU of labels", "higher", "", f"{agreement.CONVENTION}; a segmenter trained on real frames", "labels"
    ),
    RARE: Definition(
        "mIoU of rare classes",
        "higher",
        "",
        "as mIoU of labels, over the quarter of its classes that fewest training frames show",
        "labels",
    ),
    BOUNDARY: Definition("boundary F of labels", "higher", "", agreement.BOUNDARY_CONVENTION, "labels"),
    UTILITY: Definition("Utility (Δ mIoU)", "higher", "", CONVENTION, "use"),
}


def definitions(metrics: Sequence[str], utility: bool) -> dict[str, Definition]:
    """What `judge_folders` will measure: by "miou" among the metrics, and for utility."""
    keys = [MIOU, RARE, BOUNDARY] * (MIOU in metrics) + [UTILITY] * utility
    return {key: DEFINITIONS[key] for key in keys}


def check_labels(config: JudgeConfig, train: Folder, *folders: Folder) -> None:
    """NotJudged unless every folder has label maps; ModelError where the user's segmenter tells other classes apart."""
    for folder in (train, *folders):
        if folder.frames is None:
            raise NotJudged(f"miou and --utility need label maps beside the images: {folder.no_labels}")
    if config.supplied and train.frames:
        config.supplied.check(train.frames.space)


@dataclass(frozen=True)
class JudgeConfig:
    """network: see `network.build`, or a file (see `supplied.load`). size: (H, W) to work at, None for the file's or
    the smallest synthetic folder's (see `fitting`). steps: of each training, None for as many as the
    classes need (see `enough`). utility: how long to train for it, None for not at all. init: weights that every
    training starts from (see `start`), None for random ones.

    Raises:
        UsageError: no such network; a file and `utility` or `init`.
        ModelError: not a file of a segmenter, or `init` is of another network.
    """

    network: str = "unet"
    size: tuple[int, int] | None = None
    steps: int | None = None
    utility: Budget | None = None
    init: Path | None = None

    def __post_init__(self) -> None:
        if not supplied.is_file_name(self.network):
            check_name(self.network)
            if self.init is not None:
                start.check(self.init, self.network)
        elif self.init is not None:
            raise UsageError(f"--segmenter-init starts a training, and {self.network} is not trained: --segmenter NAME")
        elif self.utility:
            raise UsageError(f"--utility trains segmenters of its own: --segmenter NAME, not {self.network}")
        else:
            self.supplied  # noqa: B018 - a file that is none is refused at once

    @cached_property
    def supplied(self) -> Supplied | None:
        """The user's own segmenter, where `network` names a file."""
        return supplied.load(Path(self.network)) if supplied.is_file_name(self.network) else None


@dataclass(frozen=True)
class Judgement:
    """What was found of one folder; `notes` is what a reader must know of it."""

    faithfulness: Faithfulness | None
    utility: Utility | None
    notes: tuple[str, ...]

    def added_to(self, row: Row) -> Row:
        """`row` with these figures, too."""
        return replace(
            row,
            measures={**row.measures, **self._measures()},
            notes=(*row.notes, *self.notes),
            faithfulness=self.faithfulness,
            utility=self.utility,
        )

    def _measures(self) -> dict[str, Measure]:
        """For the comparison of folders; `ratio` is the share of what real frames reach."""
        out = {}
        if found := self.faithfulness:
            nothing = None if found.counted else "no class that training, held-out and synthetic frames all show"
            few = None if found.rarest else "fewer than four classes that training, held-out and synthetic frames show"
            for name, value, real, reason in (
                (MIOU, found.miou, found.real_miou, nothing),
                (RARE, found.rare_miou, found.real_rare_miou, few),
                (BOUNDARY, found.boundary_f, found.real_boundary_f, nothing),
            ):
                ratio = value.value / real.value if value.value is not None and real.value else None
                out[name] = _measure(value, found.images, ratio, reason)
        if self.utility:
            out[UTILITY] = _measure(self.utility.both_gain, self.utility.test_images, None, None)
        return out


def judge_folders(
    config: JudgeConfig,
    faithfulness: bool,
    seed: int,
    train: Folder,
    real: Folder,
    synths: Sequence[Folder],
    sizes: Sequence[tuple[int, int]],
    device: torch.device,
    workers: int,
    feedback: Feedback,
) -> tuple[list[Judgement], dict[str, Any]]:
    """A judgement of each synthetic folder, and what the segmenter was, for the report. sizes: of their images.

    Raises:
        DataError: a folder without label maps, too few frames, a file that cannot be read.
        UsageError: no such network.
    """
    own = config.supplied
    size = config.size or (own and own.size) or fitting(min(sizes, key=lambda hw: hw[0] * hw[1]))
    spaces = [folder.frames.space for folder in (train, real, *synths) if folder.frames is not None]
    space, classes = joint_space(*spaces), spaces[0].num_classes

    def read(folder: Folder, task: str) -> LabelledFrames:
        groups = {name: f"mask {origin.source}" for name, origin in folder.origins.items()}
        assert folder.frames is not None  # see `check_labels`
        return read_frames(folder.frames, size, space, workers, feedback, task, groups)

    learn, test, notes = _sides(read(train, "reading training frames"), read(real, "reading real frames"))
    init = None if config.init is None else str(config.init)
    taught = _taught(learn)
    steps = config.steps or enough(int(np.count_nonzero(taught)))
    settings = SegmenterConfig(config.network, size, steps, seed=seed, init=init)
    trainer = Trainer(cache_folder() / "segmenters", device)
    painted = [read(folder, f"reading {folder.root.name}") for folder in synths]
    faithful: list[Faithfulness | None] = [None] * len(synths)
    if faithfulness:
        network = own.network.to(device) if own else _trained(trainer, learn, classes, settings, feedback)
        reader = Reader(network, taught, test, device, seed)
        faithful = [reader.judge(frames) for frames in painted]
    useful: list[Utility | None] = [None] * len(synths)
    extra: list[list[str]] = [[] for _ in synths]
    if config.utility:
        checked = [_without_test_frames(frames, test) for frames in painted]
        bench = Bench(learn, test, classes, settings, trainer, feedback)
        found = measure_utility(bench, [frames for frames, _ in checked], config.utility)
        useful = [replace(u, of_test_masks=pair(f, real).count) for u, f in zip(found, synths, strict=True)]
        extra = [notes_of_set for _, notes_of_set in checked]
    if own:
        facts = {"network": own.kind, "size": size, "supplied": True, "file": str(own.path), "sha256": own.sha256}
    else:
        of_training = [learn], classes, settings
        facts = {**asdict(settings), "file": str(trainer.path(*of_training)), "sha256": key(*of_training)}
        facts |= {"init_sha256": file_hash(config.init)} if config.init else {}
    facts |= {"train_frames": len(learn), "test_frames": len(test)}
    judged = [Judgement(f, u, (*notes, *more)) for f, u, more in zip(faithful, useful, extra, strict=True)]
    return judged, facts


def parse_size(text: str) -> tuple[int, int]:
    """(H, W) of "HxW". UsageError for anything else, and for less than a network can halve."""
    return options.parse_size(text, "--segmenter-size", least=MULTIPLE)


def fitting(size: tuple[int, int]) -> tuple[int, int]:
    """The size to work at for images of `size`: theirs, or their aspect at no more than `LARGEST` pixels."""
    height, width = size
    scale = min(1.0, (LARGEST / (height * width)) ** 0.5)
    if scale == 1.0:
        return size
    return tuple(max(MULTIPLE, round(edge * scale / MULTIPLE) * MULTIPLE) for edge in size)


def _sides(train: LabelledFrames, real: LabelledFrames) -> tuple[LabelledFrames, LabelledFrames, tuple[str, ...]]:
    sides: Apart = keep_apart(train, real)
    return train.take(sides.train), real.take(sides.test), sides.notes


def _trained(
    trainer: Trainer, learn: LabelledFrames, classes: int, settings: SegmenterConfig, feedback: Feedback
) -> torch.nn.Module:
    if trainer.has([learn], classes, settings):
        return trainer.get([learn], classes, settings, Silent().task("", None))
    with feedback.task("training the segmenter on real frames", settings.steps, "steps") as bar:
        return trainer.get([learn], classes, settings, bar)


def _taught(frames: LabelledFrames) -> np.ndarray:
    """int [K]: how many of the frames show each class."""
    seen = np.zeros(IGNORE_INDEX + 1, np.int64)
    for index_map in frames.maps:
        seen += np.bincount(index_map.ravel(), minlength=IGNORE_INDEX + 1) > 0
    return seen[: frames.space.num_classes]


def _without_test_frames(synth: LabelledFrames, test: LabelledFrames) -> tuple[LabelledFrames, list[str]]:
    """A set to learn from that holds none of the frames it will be tested on."""
    copies = np.isin(synth.digests(), test.digests())
    if not copies.any():
        return synth, []
    if copies.all():
        raise DataError("utility: every synthetic image is a copy of a frame it would be tested on")
    note = f"utility: {copies.sum()} synthetic images are copies of test frames and were left out"
    return synth.take(np.flatnonzero(~copies)), [note]


def _measure(figure: Figure, n: int, ratio: float | None, reason: str | None) -> Measure:
    return Measure(figure.value, n, figure.low, figure.high, ratio=ratio, reason=reason)
