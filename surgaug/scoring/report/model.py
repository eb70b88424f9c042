"""What `score` found, and as JSON. Pure: nothing is computed and nothing is written here."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from surgaug.runtime.notebook import table_html

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "surgaug-score-2"
Tone = Literal["good", "mixed", "bad", "open"]
COPIED = 5.0  # percent of near-copies of training frames


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of a distance over random draws of two sets of `size` images each."""

    mean: float
    sd: float
    size: int
    draws: int


@dataclass(frozen=True)
class Measure:
    """One figure of one synthetic folder.

    `value` is None where it could not be had, and then `reason` says why. `low` and `high` bound the 95 % interval.
    `n` counts images or pairs. For distances, `matched` is synthetic against half of the real frames, and `baseline`
    one random half of the real frames against the other, all at equal size; `ratio` is the one over the other (1 means
    as close as real frames are to each other). `others` is the second yardstick: real frames of other videos against
    the real frames, by video, at the size of `matched` where the metric depends on the number of images; `together` is
    that of all of them as one set, which lies nearer than each. `identical`
    counts pairs without any difference (their PSNR is infinite and is not in the mean). `classes`: ids of those that a
    mean over classes is made of.
    """

    value: float | None
    n: int
    low: float | None = None
    high: float | None = None
    matched: Spread | None = None
    baseline: Spread | None = None
    ratio: float | None = None
    identical: int | None = None
    reason: str | None = None
    others: dict[str, float] | None = None
    together: float | None = None
    classes: tuple[int, ...] | None = None

    @property
    def rank_value(self) -> float | None:
        """`value` for comparisons: infinite where every pair is identical."""
        return math.inf if self.value is None and self.identical else self.value


@dataclass(frozen=True)
class Definition:
    """What a measure is called, which way is better, by what convention it is computed, and what it belongs with.

    better: "middle" where 0.5 is right and either side is a fault of its own.
    ranked: whether the best of several folders is to be marked; not where the best figure may come of a bad set.
    deep: whether it is made of features of a trained network.
    biased: whether it depends on the number of images, so that only figures of equal numbers may be compared.
    """

    title: str
    better: Literal["higher", "lower", "middle"]
    unit: str
    convention: str
    group: str = ""
    ranked: bool = True
    deep: bool = False
    biased: bool = False

    @property
    def arrow(self) -> str:
        """Which way is better, as a sign beside the title."""
        return {"higher": "↑", "lower": "↓", "middle": "→ 0.5"}[self.better]


@dataclass(frozen=True)
class Separation:
    """How far a synthetic set lies from the real frames by one kind of features (`title`), see `compute.energy`.

    value: the energy distance over the mean distance of two real frames, 0 for equal distributions; an estimate without
    bias, and so slightly below 0 at times. low, high: its 95 % interval. images: independent ones (of different masks
    or frames) in the smaller set. All three are None where these are too few, and `reason` says so. baseline: of random
    halves of the real frames; others: of real frames of other videos, by video; together: of all of these as one set.
    """

    title: str
    value: float | None
    low: float | None
    high: float | None
    images: int
    reason: str | None = None
    baseline: Spread | None = None
    others: dict[str, float] | None = None
    together: float | None = None


@dataclass(frozen=True)
class ClassShare:
    """One class: share of all labelled pixels, and share of frames that show it, in the real and the synthetic set."""

    id: int
    name: str
    real_pixels: float
    synth_pixels: float
    real_frames: float
    synth_frames: float


@dataclass(frozen=True)
class ClassMeasure:
    """One class's distance, from its regions in real and in synthetic images."""

    id: int
    name: str
    real_regions: int
    synth_regions: int
    measure: Measure


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
class Arm:
    """mIoU on held-out real frames after one way of training, for `steps` batches in all, of which `real_steps` are of
    real frames; mean over seeds.

    gain: the difference to the reference (see `Utility`). equal_gain: the difference to real frames alone after the
    usual number of steps, which saw as many real frames. rare, rare_gain: mIoU over the rarest quarter of the classes,
    and its difference to the reference; NOTHING where there are fewer than four classes.
    """

    title: str
    steps: int
    real_steps: int
    miou: Figure
    gain: Figure
    equal_gain: Figure
    rare: Figure = NOTHING
    rare_gain: Figure = NOTHING


@dataclass(frozen=True)
class Utility:
    """mIoU on held-out real frames after training on real, on synthetic, and on both.

    steps: of training on real frames alone, and of the real part of every arm that adds synthetic images. real: mIoU of
    real frames alone, after `steps` or twice as many, whichever is better; `reference` names that arm. both_gain,
    synthetic_gain: differences of mIoU to it. arms: every way of training by name (see `segmenter/arms.py`); empty in
    reports of 0.1, where real, synthetic and both took equally many steps. smallest: the smallest gain that could have
    been seen with so many frames and seeds. verdict: what follows, in one sentence. of_test_masks: how many synthetic
    images show the label maps of test frames, changed or not, or instruments of these. judged: whether `synthetic` and
    `both` were trained with the labels that a judge trusts.
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
    reference: str = "real"
    arms: dict[str, Arm] = field(default_factory=dict)
    rarest: tuple[int, ...] = ()
    judged: bool = False


@dataclass(frozen=True)
class SweepPoint:
    """One mixture of real frames and synthetic images, 1:`ratio`, trained on `way` ("joint": in every batch; "first":
    synthetic images first, then real frames) with the labels that a judge trusts ("judged"), or all ("raw").

    images: synthetic ones that it takes. seeds: how many trainings it had; 0: told by its neighbours alone. miou: their
    mean, None without any. gain: over real frames alone, by all trainings together; low, high: of a single mixture.
    """

    ratio: float
    way: Literal["joint", "first"]
    labels: Literal["judged", "raw"]
    images: int
    seeds: int
    miou: float | None
    gain: Figure


@dataclass(frozen=True)
class Sweep:
    """How many synthetic images, at which ratio to real frames: a curve over mixtures, and an advice.

    advice: position in `points` of the mixture that is advised; None: no synthetic images, since nothing says that they
    help. gain: what it brings over real frames alone on the test frames, with its interval over test frames and seeds.
    real: mIoU of real frames alone, for `times` times the `steps`, the best that was tried. trainings, of_grid: how
    many were done, and how many all mixtures with all seeds would have taken. cut_short: whether the minutes ended it.
    text: the advice in words.
    """

    points: tuple[SweepPoint, ...]
    advice: int | None
    gain: Figure
    real: float
    times: int
    steps: int
    seeds: int
    trainings: int
    of_grid: int
    train_images: int
    test_images: int
    cut_short: bool
    text: str


@dataclass(frozen=True)
class ClassTrust:
    """Mean share of a class's pixels that a judge trusts, over the `images` that show it."""

    id: int
    name: str
    images: int
    agreement: float


@dataclass(frozen=True)
class Judged:
    """What a judge said of the images as they were synthesized, by their manifest.

    images: how many have an agreement, the share of their pixels whose label is trusted. lowest: names and agreement of
    the least trusted. left_out: images below `least`, which count nowhere in this report; None where `least` was not
    asked for.
    """

    images: int
    agreement: Figure
    classes: tuple[ClassTrust, ...]
    lowest: tuple[tuple[str, float], ...]
    least: float | None = None
    left_out: int = 0


@dataclass(frozen=True)
class ClosePair:
    """A synthetic image and the training frame nearest to it.

    distance: of thumbnails without brightness and contrast, 0 to 2. bits: of 64, by which the perceptual hashes differ.
    """

    synth: str
    train: str
    distance: float
    bits: int
    kind: Literal["exact", "near", "other"]


@dataclass(frozen=True)
class Verdict:
    """A question about a folder, answered in a word and explained. `tone`: "open" where it cannot be told."""

    question: str
    answer: str
    text: str
    tone: Tone


@dataclass(frozen=True)
class Row:
    """One synthetic folder. closest: the nearest to training frames, nearest first. settings: as the manifest says.

    separations: by extractor of features. videos: how many its images come from, None where that is not known.
    verdicts: what the figures come to (`verdicts.with_verdicts`).
    """

    name: str
    path: str
    images: int
    size: tuple[int, int]
    pairs: int
    pairs_by: str
    measures: dict[str, Measure]
    classes: tuple[ClassShare, ...] | None
    classes_reason: str | None
    notes: tuple[str, ...]
    faithfulness: Faithfulness | None = None
    utility: Utility | None = None
    sweep: Sweep | None = None
    judged: Judged | None = None
    class_frechet: tuple[ClassMeasure, ...] = ()
    closest: tuple[ClosePair, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    separations: dict[str, Separation] = field(default_factory=dict)
    videos: int | None = None
    verdicts: tuple[Verdict, ...] = ()


@dataclass(frozen=True)
class Report:
    """Everything that `score` found. left_out: of images that could not be used, why.

    videos: of the real frames, as far as they are known. other_videos: those of the second yardstick, each with the
    number of its frames.
    """

    real_path: str
    real_images: int
    real_sizes: dict[str, int]
    definitions: dict[str, Definition]
    rows: tuple[Row, ...]
    features: dict[str, dict[str, Any]]
    versions: dict[str, str]
    seed: int
    draws: int
    gates: tuple[dict[str, Any], ...] = field(default=())
    segmenter: dict[str, Any] | None = None
    left_out: tuple[str, ...] = ()
    videos: tuple[str, ...] = ()
    other_videos: dict[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; no NaN and no infinity anywhere (`json.dumps(..., allow_nan=False)` accepts it)."""
        return _finite({"format": FORMAT, **asdict(self)})

    def to_frame(self) -> pd.DataFrame:
        """A row for each measure of each folder: its figure with its interval, and of distances the baseline and ratio.

        A figure that could not be had is NaN, and `reason` says why.
        """
        import pandas as pd

        rows = [
            {
                "set": row.name,
                "measure": key,
                "title": self.definitions[key].title,
                "better": self.definitions[key].better,
                **{name: getattr(measure, name) for name in ("value", "low", "high", "n", "ratio", "reason")},
                "baseline": measure.baseline.mean if measure.baseline else None,
            }
            for row in self.rows
            for key, measure in row.measures.items()
        ]
        return pd.DataFrame(rows)

    def _repr_html_(self) -> str:
        verdicts = [[row.name, v.question, v.answer, v.text] for row in self.rows for v in row.verdicts]
        figures = [
            [
                row.name,
                self.definitions[key].title,
                figure(measure.value),
                figure(measure.baseline.mean if measure.baseline else None),
            ]
            for row in self.rows
            for key, measure in row.measures.items()
            if measure.value is not None
        ]
        told = table_html(["set", "question", "answer", ""], verdicts, "How good it is")
        return told + table_html(["set", "measure", "value", "real against real"], figures, "Figures")


def best_rows(report: Report) -> dict[str, int]:
    """The row with the best value of each measure that is ranked, where there is one that is best alone.

    Only like figures are ranked: of as many images where that matters, and over the same classes. Copies of training
    frames are real frames: a row of them is best in nothing.
    """
    best = {}
    rivals = [(row, i) for i, row in enumerate(report.rows) if not copied(row)]
    for key, definition in report.definitions.items():
        known = [(row.measures[key], i) for row, i in rivals if compared(row.measures[key], definition) is not None]
        alike = len({_made_of(measure, definition) for measure, _ in known}) == 1
        values = sorted((compared(measure, definition), i) for measure, i in known)
        if definition.better == "higher":
            values.reverse()
        if definition.ranked and alike and len(values) > 1 and values[0][0] != values[1][0]:
            best[key] = values[0][1]
    return best


def _made_of(measure: Measure, definition: Definition) -> tuple[int | None, tuple[int, ...] | None]:
    """What figures must have in common to be ranked: the number of images, where that matters, and the classes."""
    return measure.matched.size if definition.biased and measure.matched else None, measure.classes


def compared(measure: Measure, definition: Definition) -> float | None:
    """The figure of a measure that those of other folders, or of other videos (`Measure.others`), are compared with."""
    if not definition.biased:
        return measure.rank_value
    return None if measure.matched is None else measure.matched.mean


def copied(row: Row) -> bool:
    """Whether it holds too many near-copies of training frames to be called synthetic."""
    copies = row.measures.get("copies")
    return copies is not None and copies.value is not None and copies.value >= COPIED


def figure(value: float | None) -> str:
    """Four significant digits, '-' for None."""
    return "-" if value is None else f"{value:.4g}"


def span(values: Collection[float], text: Callable[[float], str], between: str) -> str:
    """The least and the greatest of the values as text; one of the two where they read the same."""
    return between.join(dict.fromkeys((text(min(values)), text(max(values)))))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"a report holds no {value}")
    return value
