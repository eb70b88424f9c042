"""What `score` is asked to do: settings as data. Nothing is opened here, and nothing heavy imported."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

AUTO, NO_FEATURES = "auto", "none"


@dataclass(frozen=True)
class Weights:
    """Files of published weights that the user supplied, and which network describes images besides.

    inception, lpips: files; dinov2, clip: folders.
    features: "efficientnet-lite0", a classification network of torchvision's (then `feature_weights` is a file of its
    weights), "auto" for the first where its packages are installed, or "none".
    """

    inception: Path | None = None
    resize: str = "legacy"
    dinov2: Path | None = None
    clip: Path | None = None
    lpips: tuple[Path, ...] = ()
    features: str = AUTO
    feature_weights: Path | None = None


@dataclass(frozen=True)
class Budget:
    """How many seeds utility trains, and within how many minutes (None: as long as it takes)."""

    seeds: int = 3
    minutes: float | None = None


@dataclass(frozen=True)
class EvaluationConfig:
    """The segmenter behind faithfulness and utility.

    network: a name (see `network.build`), or the user's own file (see `weights.load`).
    size: (H, W) to work at; None for the file's, or that of the smallest images (see `network.working_size`).
    steps: of each training; None for as many as the classes need (see `training.default_steps`).
    utility: what it may cost; None for no utility. sweep: the same of looking for the best mixture.
    init: weights that every training starts from; None for random ones.
    """

    network: str = "unet"
    size: tuple[int, int] | None = None
    steps: int | None = None
    utility: Budget | None = None
    sweep: Budget | None = None
    init: Path | None = None


@dataclass(frozen=True)
class ScoreConfig:
    """What to score and how.

    metrics: see `plan_measures`. None for the default ones, and with `train` faithfulness as well, where every folder
    has labels and there are frames enough; `miou` False leaves that out.
    weights: published ones that the user supplied.
    draws: random halves behind intervals and baselines.
    workers: decoding threads; 0 for as many as there are cores.
    fail_if: conditions under which it fails, see `gates.parse`.
    train: the real frames that the generator was trained on. Leakage is measured against them; "miou" among the metrics
    and `evaluation.utility` need them, with labels.
    evaluation: the segmenter behind both.
    cache: whether features of images are kept for the next run.
    leave_out_bad: go on without images that cannot be used, instead of refusing them.
    least_agreement: leave out synthetic images of which a judge, as they were made, trusted a smaller share.
    split: of real frames with splits those alone.
    """

    real: Path
    synth: tuple[Path, ...]
    metrics: tuple[str, ...] | None = None
    classes: str = "auto"
    weights: Weights = field(default_factory=Weights)
    device: str = "auto"
    draws: int = 10
    seed: int = 0
    workers: int = 0
    fail_if: tuple[str, ...] = ()
    train: Path | None = None
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    cache: bool = True
    miou: bool = True
    leave_out_bad: bool = False
    least_agreement: float | None = None
    split: str | None = None
