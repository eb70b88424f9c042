"""`score --sweep`: how many synthetic images, at which ratio, trained how? The trainings behind `halving.py`.

Every mixture sees as many batches of real frames; 1:r adds r synthetic images for each real one shown, and takes r
times as many different ones as there are real frames, where the set has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import monotonic

import numpy as np

from surgaug.scoring.compute.bootstrap import Chance, chance_of_clusters, student_interval
from surgaug.scoring.config import Budget
from surgaug.scoring.report.model import Figure, Sweep, SweepPoint
from surgaug.scoring.segmenter import halving
from surgaug.scoring.segmenter.agreement import LABELLED, iou
from surgaug.scoring.segmenter.arms import Bench, Pairs, clusters_of, jointly, one_after_the_other, total_steps
from surgaug.scoring.segmenter.halving import Kriging, Mixture, Trial
from surgaug.scoring.segmenter.utility import Readings, over_classes, planned_steps
from surgaug.segmenter.config import SegmenterConfig
from surgaug.segmenter.frames import LabelledFrames
from surgaug.segmenter.training import Training

FEWEST_SEEDS = 2


@dataclass(frozen=True)
class Trained:
    """What the trainings of a sweep found: counts [N, 7, K] on the test frames, by trial. cut_short: by the minutes."""

    counts: dict[Trial, np.ndarray]
    cut_short: bool = False

    def miou(self) -> halving.Results:
        """Mean over the classes that the test frames show, by trial."""
        return {trial: miou(counts) for trial, counts in self.counts.items()}


def measure_sweep(bench: Bench, pairs: Pairs, budget: Budget) -> Sweep:
    """The curve and the advice for one synthetic set. Trainings that the cache holds are not repeated.

    A budget of minutes shortens the trainings until all that are planned fit; where that was misjudged, it ends the
    search after the first rung. It bounds the trainings of this run: what the cache holds takes none of it.
    """
    mixtures, seeds = halving.grid(pairs.raw is not None), max(FEWEST_SEEDS, budget.seeds)
    config = replace(bench.config, steps=_steps(bench, pairs, mixtures, seeds, budget))
    trained = _search(bench, pairs, mixtures, seeds, config, budget.minutes)
    return sweep_of(trained, mixtures, bench, pairs, config, seeds)


def training_of(trial: Trial, real: LabelledFrames, pairs: Pairs, config: SegmenterConfig) -> Training:
    """The training that a trial stands for; `config` is that of real frames alone."""
    config = replace(config, seed=config.seed + trial.seed)
    mixture = trial.mixture
    if mixture is None:
        return Training((real,), replace(config, steps=trial.times * config.steps))
    frames = chosen(mixture, real, pairs)
    how = jointly if mixture.way == halving.JOINT else one_after_the_other
    return how(real, frames, config, mixture.ratio)


def chosen(mixture: Mixture, real: LabelledFrames, pairs: Pairs) -> LabelledFrames:
    """The synthetic images that a mixture takes: `ratio` for each real frame, evenly spread over the set, or all."""
    frames = pairs.raw if mixture.labels == halving.RAW and pairs.raw is not None else pairs.frames
    many = min(len(frames), max(1, round(mixture.ratio * len(real))))
    return frames.take(np.arange(many) * len(frames) // many)


def sweep_of(
    trained: Trained,
    mixtures: Sequence[Mixture],
    bench: Bench,
    pairs: Pairs,
    config: SegmenterConfig,
    seeds: int,
) -> Sweep:
    """The curve and the advice that follow from trainings. Pure."""
    found = trained.miou()
    best, fit = halving.advised(found, mixtures)
    points = tuple(
        _point(mixture, found, fit, i, len(chosen(mixture, bench.real, pairs).names))
        for i, mixture in enumerate(mixtures)
    )
    real = float(np.mean([value for t, value in found.items() if t.mixture is None and t.times == fit.times]))
    known = [i for i, point in enumerate(points) if point.seeds]
    advice = None if best is None else mixtures.index(best)
    shown = max(known, key=lambda i: float(fit.gain[i])) if advice is None else advice
    gain = _gain(trained, mixtures[shown], fit, shown, bench)
    return Sweep(
        points=points,
        advice=advice,
        gain=gain,
        real=real,
        times=fit.times,
        steps=config.steps,
        seeds=seeds,
        trainings=len(found),
        of_grid=halving.grid_trainings(mixtures, seeds),
        train_images=len(bench.real),
        test_images=len(bench.test),
        cut_short=trained.cut_short,
        text=advice_in_words(points[shown], advice is not None, gain, len(bench.real)),
    )


def advice_in_words(point: SweepPoint, advise: bool, gain: Figure, real: int) -> str:
    """What to do, in a sentence or two. point: the mixture that is advised, or the best of those that are not."""
    interval = "" if gain.low is None else f", 95 % interval {gain.low:+.3f} to {gain.high:+.3f}"
    figure = f"{gain.value:+.3f} mIoU over real frames alone{interval}"
    how = "in every batch" if point.way == halving.JOINT else "first, and then the real frames alone"
    labels = "with the labels that the judge trusts" if point.labels == halving.JUDGED else "with all their labels"
    mixture = f"1:{point.ratio:g} ({point.images} synthetic images for {real} real frames), {how}, {labels}"
    if not advise:
        why = "they do better alone" if (gain.value or 0) < 0 else "no more than chance"
        return f"No synthetic images: the best mixture, {mixture}, brings {figure}: {why}."
    if gain.low is None:
        doubt = " There are too few test frames for an interval: whether it is more than chance cannot be told."
    else:
        doubt = "" if gain.low > 0 else " The interval holds 0: it probably helps, no more."
    return f"Take {mixture}: {figure}.{doubt}"


def miou(counts: np.ndarray) -> float:
    """Mean IoU over the classes that the test frames show, of counts [N, 7, K]."""
    return float(iou(counts.sum(0))[counts[:, LABELLED].sum(0) > 0].mean())


def _search(
    bench: Bench, pairs: Pairs, mixtures: Sequence[Mixture], seeds: int, config: SegmenterConfig, minutes: float | None
) -> Trained:
    counts: dict[Trial, np.ndarray] = {}
    worked, spent = 0, 0.0  # steps that were trained here, and the seconds that they took
    planned = round(_units(mixtures, seeds) * config.steps)
    with bench.feedback.task("training mixtures of real and synthetic", planned, "steps") as bar:
        for number, rung in enumerate(halving.rungs(mixtures, seeds)):
            for trial in rung(Trained(counts).miou()):
                training = training_of(trial, bench.real, pairs, config)
                ahead = bench.trainer.ahead([training], bench.classes)
                if number and ahead and minutes and worked and spent + ahead * spent / worked > 60 * minutes:
                    bench.feedback.info(f"sweep: {minutes:g} minutes are over after {len(counts)} trainings")
                    return Trained(counts, cut_short=True)
                bar.advance(total_steps([training], bench.classes) - ahead)
                start = monotonic()
                counts[trial] = bench.counts(training, bar)
                if ahead:
                    worked, spent = worked + ahead, spent + monotonic() - start
    return Trained(counts)


def _point(mixture: Mixture, found: halving.Results, fit: Kriging, i: int, images: int) -> SweepPoint:
    own = [value for trial, value in found.items() if trial.mixture == mixture]
    gain, half = float(fit.gain[i]), 1.96 * float(fit.error[i])
    return SweepPoint(
        mixture.ratio,
        mixture.way,
        mixture.labels,
        images,
        len(own),
        float(np.mean(own)) if own else None,
        Figure(gain, gain - half, gain + half),
    )


def _gain(trained: Trained, mixture: Mixture, fit: Kriging, i: int, bench: Bench) -> Figure:
    """Of a mixture over real frames alone: the chance in training as kriging has it, that in test frames besides."""
    value = float(fit.gain[i])
    clusters, _ = clusters_of(bench.test)
    if len(set(clusters)) < 2:
        return Figure(value)
    seeds = [
        t.seed for t in trained.counts if t.mixture == mixture and Trial(None, t.seed, fit.times) in trained.counts
    ] or [0]
    arms = {
        "mixture": [trained.counts[t] for t in trained.counts if t.mixture == mixture][: len(seeds)],
        "real": [trained.counts[Trial(None, seed, fit.times)] for seed in seeds],
    }
    readings = Readings(arms, clusters, bench.config.seed)
    draws = over_classes(readings.draws["mixture"] - readings.draws["real"]).mean(0)
    groups = readings.groups(over_classes)
    if groups < 2:
        return Figure(value)
    of_training = Chance(float(fit.error[i]) ** 2, max(1, len(trained.counts) - 3))
    return Figure(value, *student_interval(value, [chance_of_clusters(draws, groups), of_training]))


def _units(mixtures: Sequence[Mixture], seeds: int) -> float:
    """How many times the steps of real frames alone the whole search takes at most: if the longest are the best."""
    longest = max(halving.TIMES)
    coarse = [1.0 + m.ratio for m in mixtures if m.ratio in halving.COARSE]
    all_trainings = int(halving.SHARE * halving.grid_trainings(mixtures, seeds))
    others = max(0, all_trainings - len(coarse) - len(halving.TIMES) - (seeds - 1))
    return sum(halving.TIMES) + sum(coarse) + longest * (others + seeds - 1)


def _steps(bench: Bench, pairs: Pairs, mixtures: Sequence[Mixture], seeds: int, budget: Budget) -> int:
    if not budget.minutes:
        return bench.config.steps
    sources = [training_of(Trial(m, seeds - 1), bench.real, pairs, bench.config) for m in mixtures]
    kept = bench.trainer.plan_path(sources, bench.classes, budget.minutes)
    return planned_steps(bench, kept, _units(mixtures, seeds), budget.minutes)
