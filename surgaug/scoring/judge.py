"""`judge`: the segmenter of real frames that `synthesize --judge` asks, trained once and written to a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from surgaug.datasets.dataset import open_pairs, usual_size
from surgaug.errors import UsageError
from surgaug.runtime.device import pick_device
from surgaug.runtime.feedback import Feedback, Silent
from surgaug.segmenter.config import SegmenterConfig
from surgaug.segmenter.judge import fit, read_real, save, training_frames
from surgaug.segmenter.network import check_name, working_size
from surgaug.segmenter.training import default_steps

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class JudgeConfig:
    """data: real frames with label maps. out: the file. network, size, steps: as in `SegmenterConfig`."""

    data: Path
    out: Path
    classes: str = "auto"
    network: str = "unet"
    size: tuple[int, int] | None = None
    steps: int | None = None
    device: str = "auto"
    leave_out_bad: bool = False


@dataclass(frozen=True)
class ClassSurprise:
    """How many real frames show a class, and the mean cross-entropy of its labels, in nats; None for none."""

    id: int
    name: str
    frames: int
    surprise: float | None


@dataclass(frozen=True)
class TrainedJudge:
    """What was trained: number of frames, (H, W) that it reads at, and its classes."""

    frames: int
    size: tuple[int, int]
    classes: tuple[ClassSurprise, ...]


def train_judge(config: JudgeConfig, feedback: Feedback | None = None) -> TrainedJudge:
    """Train the judge of `config.data`, or take it from the cache, and write it to `config.out`.

    Raises:
        UsageError: an unknown network, another suffix than .safetensors.
        DataError: too few frames, a file that cannot be read.
    """
    feedback = feedback or Silent()
    check_name(config.network)
    if config.out.suffix != SUFFIX:
        raise UsageError(f"--out {config.out}: a judge is a file of tensors; its name ends with {SUFFIX}")
    device = pick_device(config.device)
    frames = open_pairs(config.data, classes=config.classes, feedback=feedback)
    frames = training_frames(frames, config.data, config.leave_out_bad, feedback)
    size = config.size or working_size(usual_size(config.data))
    read = read_real(frames, size, f"--data {config.data}", feedback)
    shown = read.class_frames()
    steps = config.steps or default_steps(int(np.count_nonzero(shown)))
    judge = fit(read, SegmenterConfig(config.network, size, steps), device, feedback)
    config.out.parent.mkdir(parents=True, exist_ok=True)
    save(judge, config.out, config.network)
    classes = tuple(
        ClassSurprise(c.id, c.name, int(n), float(mean) if np.isfinite(mean) else None)
        for c, n, mean in zip(read.space.classes, shown, judge.class_means, strict=True)
    )
    return TrainedJudge(len(read), size, classes)
