"""What a segmenter says of a synthetic set: agreement with its labels, and what training on it changes. Data alone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A value with its 95 % interval; all None where there is none."""

    value: float | None
    low: float | None = None
    high: float | None = None


NOTHING = Figure(None)


@dataclass(frozen=True)
class ClassReading:
    """One class as the segmenter predicts it, in the synthetic images and in held-out real frames.

    `images`, `real_images`: how many maps show it. `reason` says why a figure is missing.
    """

    id: int
    name: str
    images: int
    real_images: int
    iou: Figure
    real_iou: Figure
    boundary_f: Figure
    real_boundary_f: Figure
    reason: str | None = None


@dataclass(frozen=True)
class Faithfulness:
    """Agreement of a segmenter trained on real frames with the labels of synthetic images.

    miou, boundary_f: mean over the classes `counted` (ids); rare_miou: over the `rarest` of them (see
    `faithfulness.faithfulness`). real_miou, real_rare_miou, real_boundary_f: the same on held-out real frames.
    floor: mIoU where each image is held against another image's labels; None where all labels are the same.
    """

    images: int
    real_images: int
    counted: tuple[int, ...]
    rarest: tuple[int, ...]
    miou: Figure
    real_miou: Figure
    rare_miou: Figure
    real_rare_miou: Figure
    boundary_f: Figure
    real_boundary_f: Figure
    floor: float | None
    classes: tuple[ClassReading, ...]


@dataclass(frozen=True)
class ClassGain:
    """IoU of one class on held-out real frames after each training, mean over seeds, and the differences to `real`.

    sure: the gain of "both" differs from 0 even after correction for the number of classes (Bonferroni).
    """

    id: int
    name: str
    images: int
    real: float
    synthetic: float
    both: float
    both_gain: Figure
    synthetic_gain: Figure
    sure: bool


@dataclass(frozen=True)
class Utility:
    """mIoU on held-out real frames after training on real, on synthetic, and on both, equally long.

    both_gain, synthetic_gain: differences of mIoU to training on real frames alone. `smallest`: the smallest gain that
    could have been seen with so many frames and seeds. `verdict`: what follows, in one sentence.
    of_test_masks: how many synthetic images have the label maps of test frames.
    """

    seeds: int
    steps: int
    train_images: int
    synth_images: int
    test_images: int
    real: Figure
    synthetic: Figure
    both: Figure
    both_gain: Figure
    synthetic_gain: Figure
    smallest: float | None
    classes: tuple[ClassGain, ...]
    verdict: str
    of_test_masks: int = 0
