"""Faithfulness and utility of all synthetic folders of a run: reads them, trains the segmenter, evaluates each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from surgaug.datasets.dataset import PairedFrames
from surgaug.errors import UsageError
from surgaug.io.manifest import FULL_LABELS
from surgaug.models.checkpoint import file_hash
from surgaug.runtime import options
from surgaug.runtime.feedback import Feedback, Silent
from surgaug.runtime.paths import cache_folder
from surgaug.scoring.config import EvaluationConfig
from surgaug.scoring.inputs import Folder, shown_frames
from surgaug.scoring.plan import MIOU
from surgaug.scoring.report.model import Definition, Faithfulness, Figure, Measure, Row, Sweep, Utility
from surgaug.scoring.segmenter.agreement import BOUNDARY_CONVENTION, IOU_CONVENTION
from surgaug.scoring.segmenter.arms import Bench, Pairs, clusters_of
from surgaug.scoring.segmenter.faithfulness import agreement, agreement_with_floor, faithfulness
from surgaug.scoring.segmenter.sweep import measure_sweep
from surgaug.scoring.segmenter.train_test_split import NotEvaluated, split, without_test_frames
from surgaug.scoring.segmenter.utility import GAIN_CONVENTION, measure_utility
from surgaug.segmenter.config import SegmenterConfig
from surgaug.segmenter.frames import LabelledFrames, joint_space, read_frames
from surgaug.segmenter.network import MULTIPLE, check_name, working_size
from surgaug.segmenter.training import Trainer, Training, content_key, default_steps
from surgaug.segmenter.weights import Supplied, check_init, is_file_name, load

RARE, BOUNDARY, UTILITY = "miou_rare", "boundary_f", "utility"
DEFINITIONS = {
    MIOU: Definition("mIoU of labels", "higher", "", f"{IOU_CONVENTION}; a segmenter trained on real frames", "labels"),
    RARE: Definition(
        "mIoU of rare classes",
        "higher",
        "",
        "as mIoU of labels, over the quarter of its classes that fewest training frames show",
        "labels",
    ),
    BOUNDARY: Definition("boundary F of labels", "higher", "", BOUNDARY_CONVENTION, "labels"),
    UTILITY: Definition("Utility (Δ mIoU)", "higher", "", GAIN_CONVENTION, "use"),
}


@dataclass(frozen=True)
class Evaluation:
    """What was found of one synthetic folder; `notes` go into the report."""

    faithfulness: Faithfulness | None
    utility: Utility | None
    sweep: Sweep | None
    notes: tuple[str, ...]

    def added_to(self, row: Row) -> Row:
        """`row` with these figures, too."""
        return replace(
            row,
            measures={**row.measures, **self._measures()},
            notes=(*row.notes, *self.notes),
            faithfulness=self.faithfulness,
            utility=self.utility,
            sweep=self.sweep,
        )

    def _measures(self) -> dict[str, Measure]:
        """For the comparison of folders; `ratio` is the share of what real frames reach."""
        out = {}
        if found := self.faithfulness:
            nothing = None if found.counted else "no class that training, held-out and synthetic frames all show"
            few = None if found.rarest else "fewer than four classes that training, held-out and synthetic frames show"
            for name, value, real, classes, reason in (
                (MIOU, found.miou, found.real_miou, found.counted, nothing),
                (RARE, found.rare_miou, found.real_rare_miou, found.rarest, few),
                (BOUNDARY, found.boundary_f, found.real_boundary_f, found.counted, nothing),
            ):
                ratio = value.value / real.value if value.value is not None and real.value else None
                out[name] = replace(_measure(value, found.images, ratio, reason), classes=classes)
        if self.utility:
            out[UTILITY] = _measure(self.utility.both_gain, self.utility.test_images, None, None)
        return out


def definitions(metrics: Sequence[str], utility: bool) -> dict[str, Definition]:
    """What `evaluate` will measure: by "miou" among the metrics, and for utility."""
    keys = [MIOU, RARE, BOUNDARY] * (MIOU in metrics) + [UTILITY] * utility
    return {key: DEFINITIONS[key] for key in keys}


def open_segmenter(config: EvaluationConfig) -> Supplied | None:
    """The user's own segmenter where `config.network` names a file; None where one is to be trained.

    Raises:
        UsageError: no such network; a file together with `utility` or `init`.
        ModelError: the file holds no segmenter, or that of `init` weights of another network.
    """
    if not is_file_name(config.network):
        check_name(config.network)
        if config.init is not None:
            check_init(config.init, config.network)
        return None
    if config.init is not None:
        raise UsageError(f"--segmenter-init starts a training, and {config.network} is not trained: --segmenter NAME")
    if config.utility or config.sweep:
        raise UsageError(f"--utility and --sweep train segmenters of their own: --segmenter NAME, not {config.network}")
    return load(Path(config.network))


def check_labels(supplied: Supplied | None, train: Folder, *folders: Folder) -> None:
    """Check that label maps are there, and that they are in the classes of the user's own segmenter.

    Raises:
        NotEvaluated: a folder without label maps.
        ModelError: the segmenter has other classes.
    """
    for folder in (train, *folders):
        if folder.frames is None:
            raise NotEvaluated(f"miou and --utility need label maps beside the images: {folder.no_labels}")
    if supplied and train.frames:
        supplied.check(train.frames.space)


@dataclass(frozen=True)
class Inputs:
    """Folders with labels (see `check_labels`). sizes: (H, W) of the images of each synthetic folder."""

    train: Folder
    real: Folder
    synths: Sequence[Folder]
    sizes: Sequence[tuple[int, int]]


def evaluate(
    inputs: Inputs,
    config: EvaluationConfig,
    supplied: Supplied | None,
    miou: bool,
    seed: int,
    device: torch.device,
    workers: int,
    feedback: Feedback,
) -> tuple[list[Evaluation], dict[str, Any]]:
    """Evaluate each synthetic folder; also facts about the segmenter, for the report.

    supplied: see `open_segmenter`. miou: whether faithfulness is measured.

    Raises:
        NotEvaluated: too few frames.
        DataError: a file that cannot be read.
    """
    size = config.size or (supplied and supplied.size) or working_size(min(inputs.sizes, key=lambda hw: hw[0] * hw[1]))
    spaces = [folder.frames.space for folder in (inputs.train, inputs.real, *inputs.synths) if folder.frames]
    space = joint_space(*spaces)
    # Synthetic images may show classes that the real training frames do not, and trainings on them learn these, too.
    classes = space.num_classes if config.utility or config.sweep else spaces[0].num_classes

    def read(frames: PairedFrames, folder: Folder, task: str) -> LabelledFrames:
        groups = {name: f"mask {origin.key}" for name, origin in folder.origins.items()}
        return read_frames(frames, size, space, workers, feedback, task, groups)

    def read_own(folder: Folder, task: str) -> LabelledFrames:
        assert folder.frames is not None  # see `check_labels`
        return read(folder.frames, folder, task)

    train, real = read_own(inputs.train, "reading training frames"), read_own(inputs.real, "reading real frames")
    sides = split(train, real)
    train, test = train.take(sides.train), real.take(sides.test)
    synths = [read_own(folder, f"reading {folder.root.name}") for folder in inputs.synths]
    class_frames = train.class_frames()
    steps = config.steps or default_steps(int(np.count_nonzero(class_frames)))
    init = None if config.init is None else str(config.init)
    training = SegmenterConfig(config.network, size, steps, seed=seed, init=init)
    trainer = Trainer(cache_folder() / "segmenters", device)
    faithful: list[Faithfulness | None] = [None] * len(synths)
    if miou:
        network = supplied.network.to(device) if supplied else _trained(trainer, train, classes, training, feedback)
        reached = agreement(network, test, device)
        faithful = [
            faithfulness(agreement_with_floor(network, frames, device, seed), reached, class_frames, space, seed)
            for frames in synths
        ]
    useful: Sequence[Utility | None] = [None] * len(synths)
    mixed: Sequence[Sweep | None] = [None] * len(synths)
    notes: list[tuple[str, ...]] = [()] * len(synths)
    if config.utility or config.sweep:
        bench = Bench(train, test, classes, training, trainer, feedback)
        sets, notes = _pairs(bench, inputs, synths, read)
        if config.utility:
            found = measure_utility(bench, sets, config.utility)
            tested = set(test.names)
            shown = [shown_frames(folder, inputs.real) for folder in inputs.synths]
            masks = [sum(not tested.isdisjoint(of_image) for of_image in of_set) for of_set in shown]
            useful = [replace(utility, of_test_masks=n) for utility, n in zip(found, masks, strict=True)]
        if config.sweep:
            mixed = [measure_sweep(bench, pairs, config.sweep) for pairs in sets]
    facts = _trained_facts(trainer, train, classes, training) if supplied is None else _facts(supplied, size)
    _, stretches = clusters_of(test)
    facts |= {"train_frames": len(train), "test_frames": len(test)}
    if miou:
        notes = [(*of_set, *note_of_trust(folder)) for of_set, folder in zip(notes, inputs.synths, strict=True)]
    evaluations = [
        Evaluation(f, u, s, (*sides.notes, *[stretches] * bool(stretches), *of_set))
        for f, u, s, of_set in zip(faithful, useful, mixed, notes, strict=True)
    ]
    return evaluations, facts


def note_of_trust(folder: Folder) -> tuple[str, ...]:
    """What to mind where a judge took labels away before a segmenter reads the rest."""
    taken = [name for name in folder.names if name in folder.trusts and folder.trusts[name].agreement < 1]
    if not taken:
        return ()
    share = 100 * float(np.mean([folder.trusts[name].agreement for name in taken]))
    return (
        f"mIoU and boundary F: of {len(taken)} images only the labels that the judge trusts are read ({share:.0f} % of "
        "theirs), which a segmenter reads more easily: such figures are no better than lower ones of a set with all "
        "its labels",
    )


def parse_size(text: str) -> tuple[int, int]:
    """(H, W) of "HxW". UsageError for anything else, and for less than a network can halve."""
    return options.parse_size(text, "--segmenter-size", least=MULTIPLE)


def _trained(
    trainer: Trainer, frames: LabelledFrames, classes: int, config: SegmenterConfig, feedback: Feedback
) -> torch.nn.Module:
    training = Training((frames,), config)
    if trainer.has(training, classes):
        return trainer.get(training, classes, Silent().task("", None))
    with feedback.task("training the segmenter on real frames", config.steps, "steps") as bar:
        return trainer.get(training, classes, bar)


def _pairs(
    bench: Bench,
    inputs: Inputs,
    synths: Sequence[LabelledFrames],
    read: Callable[[PairedFrames, Folder, str], LabelledFrames],
) -> tuple[list[Pairs], list[tuple[str, ...]]]:
    """Each set with all its labels where a judge took some away, without its copies of test frames; and notes."""
    sets, notes = [], []
    for frames, folder in zip(synths, inputs.synths, strict=True):
        kept, copies = without_test_frames(frames, bench.test)
        full = None if folder.frames is None else full_labels(folder.frames)
        raw = None
        if full is not None:
            every = read(full, folder, f"reading all labels of {folder.root.name}")
            raw = without_test_frames(every, bench.test)[0]
        sets.append(Pairs(kept, raw))
        notes.append(copies)
    return sets, notes


def full_labels(frames: PairedFrames) -> PairedFrames | None:
    """The same images with all their labels, where a judge took some away as they were synthesized."""
    items = []
    for item in frames.items:
        if item.label is None:
            continue
        full = item.label.parent.with_name(FULL_LABELS) / item.label.name
        if not full.is_file():
            return None
        items.append(replace(item, label=full))
    return replace(frames, items=tuple(items)) if items else None


def _facts(supplied: Supplied, size: tuple[int, int]) -> dict[str, Any]:
    return {
        "network": supplied.kind,
        "size": size,
        "supplied": True,
        "file": str(supplied.path),
        "sha256": supplied.sha256,
    }


def _trained_facts(trainer: Trainer, frames: LabelledFrames, classes: int, config: SegmenterConfig) -> dict[str, Any]:
    training = Training((frames,), config)
    facts = {
        **asdict(config),
        "file": str(trainer.path(training, classes)),
        "sha256": content_key(training, classes),
    }
    return facts | {"init_sha256": file_hash(Path(config.init))} if config.init else facts


def _measure(figure: Figure, n: int, ratio: float | None, reason: str | None) -> Measure:
    return Measure(figure.value, n, figure.low, figure.high, ratio=ratio, reason=reason)
