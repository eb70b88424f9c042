"""The ways of training that are compared: real frames alone, synthetic images alone, and both in several ways.

Real exposure is the same wherever real frames are seen, but for real frames alone at twice the steps: `steps` batches
of them. A ratio of 1:r is r synthetic images shown for each real one: such a training takes 1 + r times as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import monotonic

import numpy as np

from surgaug.datasets.pairing import natural
from surgaug.runtime.feedback import Feedback, Silent, Task
from surgaug.scoring.segmenter.agreement import compare_maps
from surgaug.segmenter.config import SegmenterConfig
from surgaug.segmenter.frames import LabelledFrames
from surgaug.segmenter.training import Trainer, Training, predict, train

REAL, REAL_LONG, SYNTHETIC, BOTH, FIRST = "real", "real_long", "synthetic", "both", "first"
RAW = "_raw"  # at the end of an arm's name: with the labels that a judge does not trust
REALS = (REAL, REAL_LONG)
TITLES = {
    REAL: "real",
    REAL_LONG: "real, twice the steps",
    SYNTHETIC: "synthetic",
    BOTH: "both, 1:1",
    FIRST: "synthetic first, then real",
}
STRETCHES, SHORTEST_STRETCH = 10, 4  # of a single test video; frames
_PROBE = 12


@dataclass(frozen=True, eq=False)
class Pairs:
    """Synthetic images with their labels; `raw`: with all labels, where a judge has taken some from `frames`."""

    frames: LabelledFrames
    raw: LabelledFrames | None = None


@dataclass(frozen=True)
class Bench:
    """What all trainings share: real frames to train and to test on, the number of classes, the settings."""

    real: LabelledFrames
    test: LabelledFrames
    classes: int
    config: SegmenterConfig
    trainer: Trainer
    feedback: Feedback

    def counts(self, training: Training, bar: Task) -> np.ndarray:
        """Of the network of this training on the test frames: int64 [N, 7, K], see `compare_maps`."""
        network = self.trainer.get(training, self.classes, bar)
        predicted = predict(network, self.test.images, self.trainer.device)
        return compare_maps(predicted, self.test.maps, self.test.space.num_classes)

    def seconds_a_step(self) -> float:
        """How long a batch takes, by a few of them, once what the first ones make ready is there."""
        for steps in (2, _PROBE):
            start = monotonic()
            probe = Training((self.real,), replace(self.config, steps=steps))
            train(probe, self.classes, self.trainer.device, Silent().task("", None))
        return (monotonic() - start) / _PROBE


def arms_of(real: LabelledFrames, pairs: Pairs | None, config: SegmenterConfig) -> dict[str, Training]:
    """The trainings of one seed, by arm: those of real frames, and with `pairs` the others, judged and raw."""
    twice = replace(config, steps=2 * config.steps)
    out = {REAL: Training((real,), config), REAL_LONG: Training((real,), twice)}
    for end, frames in (("", pairs.frames), (RAW, pairs.raw)) if pairs else ():
        if frames is not None:
            out[SYNTHETIC + end] = Training((frames,), config)
            out[BOTH + end] = jointly(real, frames, config, 1.0)
            out[FIRST + end] = one_after_the_other(real, frames, config, 1.0)
    return out


def jointly(real: LabelledFrames, synth: LabelledFrames, config: SegmenterConfig, ratio: float) -> Training:
    """Real frames and synthetic images 1:`ratio` in every batch."""
    steps = round(config.steps * (1 + ratio))
    shares = None if ratio == 1 else (1 / (1 + ratio), ratio / (1 + ratio))
    return Training((real, synth), replace(config, steps=steps), shares)


def one_after_the_other(real: LabelledFrames, synth: LabelledFrames, config: SegmenterConfig, ratio: float) -> Training:
    """Synthetic images for `ratio` times the steps, and then real frames."""
    before = Training((synth,), replace(config, steps=max(1, round(config.steps * ratio))))
    return Training((real,), config, after=before)


def title_of(arm: str) -> str:
    """What an arm is called, in tables."""
    raw = arm.endswith(RAW)
    return TITLES[arm.removesuffix(RAW)] + " (all labels)" * raw


def clusters_of(test: LabelledFrames) -> tuple[tuple[str, ...], str]:
    """What resampling draws together: the videos of the test frames; and a note on what intervals stand for.

    Of a single video, contiguous stretches in the order of the frames' names; figures then stand for it alone. Of too
    few frames for two stretches no interval can be given, and all are in one cluster.
    """
    if len(set(test.groups)) > 1:
        return test.groups, ""
    count = min(STRETCHES, len(test) // SHORTEST_STRETCH)
    if count < 2:
        return test.groups, ""
    place = np.empty(len(test), int)
    place[sorted(range(len(test)), key=lambda i: natural(test.names[i]))] = np.arange(len(test)) * count // len(test)
    note = (
        f"the {len(test)} test frames are of one video ({test.groups[0]}): intervals are over {count} contiguous "
        "stretches of it, those of gains over seeds as well, and hold for this video alone"
    )
    return tuple(f"stretch {i}" for i in place), note


def total_steps(trainings: Sequence[Training], classes: int) -> int:
    """Steps of all trainings, each that occurs several times, or begins several, once."""
    return sum({one.key(classes): one.config.steps for training in trainings for one in training.chain()}.values())
