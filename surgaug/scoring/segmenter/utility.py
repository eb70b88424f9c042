"""Does training on synthetic images help? A segmenter is trained on real, on synthetic, on both, and tested on real.

Every training starts from the same weights; `arms.py` says how much each sees of what. The reference is training on
real frames alone for as long or twice as long, whichever is better, so that no gain comes of training longer.
Differences are paired: the same seeds and the same test frames on either side.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

import numpy as np

from surgaug.io.atomic import write_text
from surgaug.labels.label_space import LabelSpace
from surgaug.scoring.compute.bootstrap import (
    Chance,
    chance_of_clusters,
    cluster_sums,
    clusters_showing,
    student_interval,
)
from surgaug.scoring.config import Budget
from surgaug.scoring.report.model import NOTHING, Arm, ClassGain, Figure, Utility
from surgaug.scoring.segmenter.agreement import LABELLED, iou
from surgaug.scoring.segmenter.arms import (
    BOTH,
    RAW,
    REAL,
    REALS,
    SYNTHETIC,
    Bench,
    Pairs,
    arms_of,
    clusters_of,
    title_of,
    total_steps,
)
from surgaug.scoring.segmenter.faithfulness import rarest_quarter
from surgaug.segmenter.config import SegmenterConfig
from surgaug.segmenter.training import Training

LEVEL = 0.05
GAIN_CONVENTION = (
    "mIoU on held-out real frames after training on real and synthetic images (half of each batch), less that after "
    "training on real ones alone, for equally many batches of real frames or for equally many in all, whichever is "
    "better; paired by seed; interval from test frames and seeds (t distribution)"
)
FEWEST = 2  # seeds that tell anything
SHORTEST = 100  # steps; below this nothing is learnt


@dataclass(frozen=True)
class TrainedOn:
    """What stands behind a set's figures. real, synth: numbers of images. class_frames: int [K], how many real training
    frames show each class; None: no figures of rare classes."""

    real: int
    synth: int
    class_frames: np.ndarray | None = None
    judged: bool = False


def measure_utility(bench: Bench, sets: Sequence[Pairs], budget: Budget) -> list[Utility]:
    """Utility of each synthetic set. Trainings that the cache holds are not repeated.

    Whole seeds are trained one after the other: training on real frames once for all sets. A budget of minutes first
    shortens the trainings until two seeds fit (one tells nothing), then limits the seeds.
    """
    config = replace(bench.config, steps=_steps(bench, sets, budget))
    seeds = [replace(config, seed=config.seed + seed) for seed in range(budget.seeds)]
    rounds = [_round(bench, sets, settings) for settings in seeds]
    every = [training for trainings in rounds for training in trainings.values()]
    total = total_steps(every, bench.classes)
    counts: list[dict[str, np.ndarray]] = []
    start = monotonic()
    done = total - bench.trainer.ahead(every, bench.classes)
    with bench.feedback.task("training on real, synthetic, both", total, "steps", done) as bar:
        for trainings in rounds:
            spent = monotonic() - start
            ahead = spent / max(1, len(counts))
            ready = not bench.trainer.ahead(trainings.values(), bench.classes)
            if counts and budget.minutes and not ready and spent + ahead > 60 * budget.minutes:
                bench.feedback.info(
                    f"utility: {len(counts)} of {budget.seeds} seeds fit into {budget.minutes:g} minutes"
                )
                break
            counts.append({name: bench.counts(training, bar) for name, training in trainings.items()})
    clusters, _ = clusters_of(bench.test)
    class_frames = bench.real.class_frames()
    return [
        utility(
            {arm: [of_seed[_key(i, arm)] for of_seed in counts] for arm in arms_of(bench.real, pairs, config)},
            clusters,
            bench.test.space,
            config,
            TrainedOn(len(bench.real), len(pairs.frames), class_frames, pairs.raw is not None),
        )
        for i, pairs in enumerate(sets)
    ]


def utility(
    counts: dict[str, list[np.ndarray]],
    groups: Sequence[str],
    space: LabelSpace,
    config: SegmenterConfig,
    trained_on: TrainedOn,
) -> Utility:
    """Figures of one synthetic set, with their verdict. Pure.

    Args:
        counts: by arm, for each seed, the counts [N, 7, K] (see `compare_maps`) on the same test frames; of real,
            synthetic and both at least.
        groups: the group of each test frame; frames of one group are not independent.
    """
    readings = Readings(counts, groups, config.seed)
    images, shown = readings.images, readings.shown
    reference = max((arm for arm in REALS if arm in counts), key=lambda arm: float(readings.values[arm].mean()))
    rarest = np.zeros(space.num_classes, bool)
    if trained_on.class_frames is not None:
        rarest = rarest_quarter(trained_on.class_frames, shown & (trained_on.class_frames > 0))

    def of_class(k: int, column: int) -> ClassGain:
        def pick(a: np.ndarray) -> np.ndarray:
            return a[..., column]

        strict = readings.gain(BOTH, reference, pick, LEVEL / int(shown.sum()))
        real, synthetic, both = (float(pick(readings.values[arm]).mean()) for arm in (reference, SYNTHETIC, BOTH))
        return ClassGain(
            space.ids[k],
            space.names[k],
            int(images[k]),
            real,
            synthetic,
            both,
            both_gain=readings.gain(BOTH, reference, pick),
            synthetic_gain=readings.gain(SYNTHETIC, reference, pick),
            sure=readings.seeds > 1
            and strict.low is not None
            and strict.high is not None
            and not strict.low <= 0 <= strict.high,
        )

    def of_arm(arm: str) -> Arm:
        def rare(a: np.ndarray) -> np.ndarray:
            return over_classes(a[..., rarest[shown]])

        steps, real_steps = arm_steps(arm, config.steps)
        return Arm(
            title_of(arm),
            steps,
            real_steps,
            readings.mean(arm, over_classes),
            readings.gain(arm, reference, over_classes),
            readings.gain(arm, REAL, over_classes),
            readings.mean(arm, rare) if rarest.any() else NOTHING,
            readings.gain(arm, reference, rare) if rarest.any() else NOTHING,
        )

    arms = {arm: of_arm(arm) for arm in counts}
    both = arms[BOTH].gain
    found = Utility(
        seeds=readings.seeds,
        steps=config.steps,
        train_images=trained_on.real,
        synth_images=trained_on.synth,
        test_images=len(groups),
        real=arms[reference].miou,
        synthetic=arms[SYNTHETIC].miou,
        both=arms[BOTH].miou,
        both_gain=both,
        synthetic_gain=arms[SYNTHETIC].gain,
        smallest=None if both.low is None or both.high is None else (both.high - both.low) / 2,
        classes=tuple(of_class(k, column) for column, k in enumerate(np.flatnonzero(shown).tolist())),
        verdict="",
        reference=reference,
        arms=arms,
        rarest=tuple(i for i, yes in zip(space.ids, rarest, strict=True) if yes),
        judged=trained_on.judged,
    )
    return replace(found, verdict=verdict(found))


def arm_steps(arm: str, steps: int) -> tuple[int, int]:
    """Batches in all, and how many of them are real frames', of an arm where real frames alone take `steps`."""
    kind = arm.removesuffix(RAW)
    if kind in REALS:
        return (steps, steps) if kind == REAL else (2 * steps, 2 * steps)
    return (steps, 0) if kind == SYNTHETIC else (2 * steps, steps)


class Readings:
    """IoU by arm, as measured and under resampled test frames: what all figures are made of.

    counts: by arm, for each seed, the counts [N, 7, K] on the same test frames. groups: of those. images: int [K], how
    many test frames show each class; shown: bool [K]. values: by arm, float [seeds, shown classes]. by_group: float
    [groups, shown classes], 1 where a group of test frames shows a class, otherwise NaN.
    """

    def __init__(self, counts: dict[str, list[np.ndarray]], groups: Sequence[str], seed: int) -> None:
        first = next(iter(counts.values()))
        self.seeds = len(first)
        labelled = first[0][:, LABELLED] > 0
        self.images = labelled.sum(0)
        self.shown = self.images > 0
        self.by_group = np.where(clusters_showing(labelled, groups), 1.0, np.nan)[:, self.shown]
        # Of [N, arms * seeds, 7, K]: the same resamples for all.
        every = np.stack([c for of_seeds in counts.values() for c in of_seeds], 1)
        sums = cluster_sums(every, groups, np.random.default_rng([seed, 12])).swapaxes(0, 1)
        ends = np.cumsum([len(of_seeds) for of_seeds in counts.values()]).tolist()
        self.values = {arm: iou(np.stack([c.sum(0) for c in of]))[:, self.shown] for arm, of in counts.items()}
        self.draws = {
            arm: iou(sums[end - len(of) : end])[..., self.shown]
            for (arm, of), end in zip(counts.items(), ends, strict=True)
        }

    def mean(self, arm: str, pick: Callable[[np.ndarray], np.ndarray]) -> Figure:
        """`pick` of the classes' IoU of an arm."""
        return difference(pick(self.values[arm]), pick(self.draws[arm]), self.groups(pick), LEVEL)

    def gain(self, arm: str, reference: str, pick: Callable[[np.ndarray], np.ndarray], level: float = LEVEL) -> Figure:
        """`pick` of the differences between an arm and another, by class; the seeds that both have are paired."""
        n = min(len(self.values[arm]), len(self.values[reference]))
        values = self.values[arm][:n] - self.values[reference][:n]
        draws = self.draws[arm][:n] - self.draws[reference][:n]
        return difference(pick(values), pick(draws), self.groups(pick), level)

    def groups(self, pick: Callable[[np.ndarray], np.ndarray]) -> int:
        """How many groups of test frames show a class of those that `pick` takes.

        What lies in one group alone is the same in every resample of groups, and looks as if no chance were in it.
        """
        return int(np.isfinite(pick(self.by_group)).sum())


def over_classes(a: np.ndarray) -> np.ndarray:
    """Mean over the last axis, of those that are defined; NaN where none is."""
    known = np.isfinite(a)
    with np.errstate(invalid="ignore"):
        return np.where(known, a, 0.0).sum(-1) / np.where(known.any(-1), known.sum(-1), np.nan)


def difference(by_seed: np.ndarray, draws: np.ndarray, groups: int, level: float) -> Figure:
    """A mean difference with its interval, from two independent sources of chance: seeds and test frames.

    Variance = (variance between seeds) / S + variance by the choice of test frames; see `student_interval`.

    by_seed: float [S]. draws: float [S, R], the same under resampled test frames, NaN where undefined. groups: how
    many independent groups of test frames show what is measured; of one, its chance cannot be known, nor an interval.
    """
    seeds, value = len(by_seed), float(by_seed.mean())
    if groups < 2:
        return Figure(value)
    chances = [chance_of_clusters(draws.mean(0), groups)]
    if seeds > 1:
        chances.append(Chance(float(by_seed.var(ddof=1)) / seeds, seeds - 1))
    return Figure(value, *student_interval(value, chances, 1 - level))


def verdict(found: Utility) -> str:
    """Whether the synthetic set helped, for which classes, or that it cannot be told: one sentence."""
    gain = found.both_gain
    added = "adding the synthetic images" + " (the labels that the judge trusts)" * found.judged
    if gain.low is None or gain.high is None:
        return "It cannot be told: too few test frames of a single video, so that chance cannot be estimated."
    figure = f"{gain.value:+.3f}, 95 % interval {gain.low:+.3f} to {gain.high:+.3f}"
    change = f"mIoU {found.real.value:.3f} to {found.both.value:.3f} ({figure})"
    if found.seeds < 2:
        return f"It cannot be told from one seed ({change}): another might say the opposite; give --seeds 3."
    better = [f"{c.name} {c.both_gain.value:+.3f}" for c in found.classes if c.sure and (c.both_gain.value or 0) > 0]
    worse = [f"{c.name} {c.both_gain.value:+.3f}" for c in found.classes if c.sure and (c.both_gain.value or 0) < 0]
    parts = [f"surely better: {', '.join(better)}"] * bool(better) + [f"surely worse: {', '.join(worse)}"] * bool(worse)
    by_class = "; " + "; ".join(parts) if parts else "; no single class changed surely"
    if gain.low > 0:
        return f"It helped: {added} took {change}{by_class}."
    if gain.high < 0:
        return f"It harmed: {added} took {change}{by_class}."
    return (
        f"It cannot be told at this size: {change}; with {found.test_images} test frames and {found.seeds} seeds, "
        f"changes below {found.smallest:.3f} do not show{by_class}."
    )


def _key(number: int, arm: str) -> str:
    """The key of an arm of a set: the trainings on real frames alone are the same for all sets."""
    return arm if arm in REALS else f"{number} {arm}"


def _round(bench: Bench, sets: Sequence[Pairs], config: SegmenterConfig) -> dict[str, Training]:
    """The trainings of one seed."""
    return {
        _key(i, arm): training
        for i, pairs in enumerate(sets)
        for arm, training in arms_of(bench.real, pairs, config).items()
    }


def _steps(bench: Bench, sets: Sequence[Pairs], budget: Budget) -> int:
    """Steps of each training, so that `FEWEST` seeds fit into the minutes; the same again for the same question."""
    if not budget.minutes:
        return bench.config.steps
    trainings = list(_round(bench, sets, bench.config).values())
    kept = bench.trainer.plan_path(trainings, bench.classes, budget.minutes)
    if budget.seeds < FEWEST and not kept.is_file():
        kept = kept.with_stem(f"{kept.stem}-{budget.seeds}")  # so few may train longer than several
    units = total_steps(trainings, bench.classes) / bench.config.steps
    return planned_steps(bench, kept, units * min(FEWEST, budget.seeds), budget.minutes)


def planned_steps(bench: Bench, kept: Path, units: float, minutes: float) -> int:
    """Steps such that `units` times as many fit into the minutes; decided once, and then taken from the file `kept`."""
    if kept.is_file():
        return json.loads(kept.read_text())["steps"]
    fitting = int(60 * minutes / units / bench.seconds_a_step())
    steps = max(SHORTEST, min(bench.config.steps, fitting // SHORTEST * SHORTEST))
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_text(kept, json.dumps({"steps": steps}))
    return steps
