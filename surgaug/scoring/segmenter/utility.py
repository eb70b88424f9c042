"""Does training on synthetic images help? A segmenter is trained on real, on synthetic, on both, and tested on real.

Every training takes the same number of steps from the same starting weights; in "both", half of each batch is
synthetic. Differences are paired: the same seeds and the same test frames on either side.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import monotonic

import numpy as np
from scipy.stats import t as student

from surgaug.io.atomic import write_text
from surgaug.labels.label_space import LabelSpace
from surgaug.runtime.feedback import Feedback, Silent, Task
from surgaug.scoring.compute.bootstrap import cluster_sums
from surgaug.scoring.config import Budget
from surgaug.scoring.report.model import ClassGain, Figure, Utility
from surgaug.scoring.segmenter.agreement import LABELLED, compare_maps, iou
from surgaug.segmenter.config import SegmenterConfig
from surgaug.segmenter.frames import LabelledFrames
from surgaug.segmenter.training import Trainer, predict, train

REAL, SYNTHETIC, BOTH = "real", "synthetic", "both"
ARMS = (REAL, SYNTHETIC, BOTH)
LEVEL = 0.05
GAIN_CONVENTION = (
    "mIoU on held-out real frames after training on real and synthetic images (half of each batch), less that after "
    "training on real ones alone; equal steps, paired by seed; interval from test frames and seeds (t distribution)"
)
FEWEST = 2  # seeds that tell anything
SHORTEST = 100  # steps; below this nothing is learnt
_PROBE = 12


@dataclass(frozen=True)
class Bench:
    """What all trainings share: real frames to train and to test on, the number of classes, the settings."""

    real: LabelledFrames
    test: LabelledFrames
    classes: int
    config: SegmenterConfig
    trainer: Trainer
    feedback: Feedback


def measure_utility(bench: Bench, synths: Sequence[LabelledFrames], budget: Budget) -> list[Utility]:
    """Utility of each synthetic folder. Trainings that the cache holds are not repeated.

    Whole seeds are trained one after the other: training on real frames once for all folders, on synthetic ones and
    on both for each. A budget of minutes first shortens the trainings until two seeds fit (one tells nothing), then
    limits the seeds.
    """
    tasks = [[bench.real], *(sources for synth in synths for sources in ([synth], [bench.real, synth]))]
    config = replace(bench.config, steps=_steps(bench, tasks, budget))
    rounds = [[replace(config, seed=config.seed + seed)] * len(tasks) for seed in range(budget.seeds)]
    known = [[bench.trainer.has(s, bench.classes, c) for s, c in zip(tasks, r, strict=True)] for r in rounds]
    total, done = config.steps * sum(map(len, known)), config.steps * sum(map(sum, known))
    counts: list[list[np.ndarray]] = []
    start = monotonic()
    with bench.feedback.task("training on real, synthetic, both", total, "steps", done) as bar:
        for settings, ready in zip(rounds, known, strict=True):
            spent = monotonic() - start
            ahead = spent / max(1, len(counts))
            if counts and budget.minutes and not all(ready) and spent + ahead > 60 * budget.minutes:
                bench.feedback.info(
                    f"utility: {len(counts)} of {budget.seeds} seeds fit into {budget.minutes:g} minutes"
                )
                break
            counts.append([_test(bench, s, c, bar) for s, c in zip(tasks, settings, strict=True)])
    return [
        utility(
            {
                REAL: [c[0] for c in counts],
                SYNTHETIC: [c[1 + 2 * i] for c in counts],
                BOTH: [c[2 + 2 * i] for c in counts],
            },
            bench.test.clusters,
            bench.test.space,
            config,
            (len(bench.real), len(synth)),
        )
        for i, synth in enumerate(synths)
    ]


def utility(
    counts: dict[str, list[np.ndarray]],
    groups: Sequence[str],
    space: LabelSpace,
    config: SegmenterConfig,
    trained_on: tuple[int, int],
) -> Utility:
    """Figures of one synthetic set, with their verdict. Pure.

    Args:
        counts: by arm, for each seed, the counts [N, 7, K] (see `compare_maps`) on the same test frames.
        groups: the group of each test frame; frames of one group are not independent.
        trained_on: numbers of real and of synthetic images.
    """
    seeds = len(counts[REAL])
    images = (counts[REAL][0][:, LABELLED] > 0).sum(0)
    shown = images > 0
    every = np.stack([c for arm in ARMS for c in counts[arm]], 1)  # of [N, arms * seeds, 7, K]: the same resamples
    sums = cluster_sums(every, groups, np.random.default_rng([config.seed, 12])).swapaxes(0, 1)
    draws = {arm: iou(sums[i * seeds : (i + 1) * seeds])[..., shown] for i, arm in enumerate(ARMS)}
    values = {arm: iou(np.stack([c.sum(0) for c in counts[arm]]))[:, shown] for arm in ARMS}
    size, tests = len(set(groups)), int(shown.sum())

    def gain(arm: str, pick: Callable[[np.ndarray], np.ndarray], level: float = LEVEL) -> Figure:
        return difference(pick(values[arm] - values[REAL]), pick(draws[arm] - draws[REAL]), size, level)

    def of_class(k: int, column: int) -> ClassGain:
        def pick(a: np.ndarray) -> np.ndarray:
            return a[..., column]

        strict = gain(BOTH, pick, LEVEL / tests)
        real, synthetic, both = (float(pick(values[arm]).mean()) for arm in ARMS)
        return ClassGain(
            space.ids[k],
            space.names[k],
            int(images[k]),
            real,
            synthetic,
            both,
            both_gain=gain(BOTH, pick),
            synthetic_gain=gain(SYNTHETIC, pick),
            sure=seeds > 1
            and strict.low is not None
            and strict.high is not None
            and not strict.low <= 0 <= strict.high,
        )

    mean = {arm: difference(values[arm].mean(-1), np.nanmean(draws[arm], -1), size, LEVEL) for arm in ARMS}
    both, synthetic = (gain(arm, lambda a: np.nanmean(a, -1)) for arm in (BOTH, SYNTHETIC))
    classes = tuple(of_class(k, column) for column, k in enumerate(np.flatnonzero(shown).tolist()))
    found = Utility(
        seeds=seeds,
        steps=config.steps,
        train_images=trained_on[0],
        synth_images=trained_on[1],
        test_images=len(groups),
        real=mean[REAL],
        synthetic=mean[SYNTHETIC],
        both=mean[BOTH],
        both_gain=both,
        synthetic_gain=synthetic,
        smallest=None if both.low is None or both.high is None else (both.high - both.low) / 2,
        classes=classes,
        verdict="",
    )
    return replace(found, verdict=verdict(found))


def difference(by_seed: np.ndarray, draws: np.ndarray, groups: int, level: float) -> Figure:
    """A mean difference with its interval, from two independent sources of chance: seeds and test frames.

    Variance = (variance between seeds) / S + variance over resampled test frames; the quantile is Student's, with the
    degrees of freedom of Welch (1947) and Satterthwaite (1946).

    by_seed: float [S]. draws: float [S, R], the same under resampled test frames, NaN where undefined. groups: how
    many independent groups of test frames there are.
    """
    seeds = len(by_seed)
    of_frames = float(np.nanvar(draws.mean(0), ddof=1)) if groups > 1 else 0.0
    of_seeds = float(by_seed.var(ddof=1)) / seeds if seeds > 1 else 0.0
    variance = of_frames + of_seeds
    value = float(by_seed.mean())
    if groups < 2:
        return Figure(value)
    if variance == 0:
        return Figure(value, value, value)
    freedom = variance**2 / (of_frames**2 / (groups - 1) + (of_seeds**2 / (seeds - 1) if seeds > 1 else 0.0))
    half = float(student.ppf(1 - level / 2, freedom)) * variance**0.5
    return Figure(value, value - half, value + half)


def verdict(found: Utility) -> str:
    """Whether the synthetic set helped, for which classes, or that it cannot be told: one sentence."""
    gain = found.both_gain
    if gain.low is None or gain.high is None:
        return "It cannot be told: the test frames come from a single video, so that chance cannot be estimated."
    figure = f"{gain.value:+.3f}, 95 % interval {gain.low:+.3f} to {gain.high:+.3f}"
    change = f"mIoU {found.real.value:.3f} to {found.both.value:.3f} ({figure})"
    if found.seeds < 2:
        return f"It cannot be told from one seed ({change}): another might say the opposite; give --seeds 3."
    better = [f"{c.name} {c.both_gain.value:+.3f}" for c in found.classes if c.sure and (c.both_gain.value or 0) > 0]
    worse = [f"{c.name} {c.both_gain.value:+.3f}" for c in found.classes if c.sure and (c.both_gain.value or 0) < 0]
    parts = [f"surely better: {', '.join(better)}"] * bool(better) + [f"surely worse: {', '.join(worse)}"] * bool(worse)
    by_class = "; " + "; ".join(parts) if parts else "; no single class changed surely"
    if gain.low > 0:
        return f"It helped: adding the synthetic images took {change}{by_class}."
    if gain.high < 0:
        return f"It harmed: adding the synthetic images took {change}{by_class}."
    return (
        f"It cannot be told at this size: {change}; with {found.test_images} test frames and {found.seeds} seeds, "
        f"changes below {found.smallest:.3f} do not show{by_class}."
    )


def _test(bench: Bench, sources: Sequence[LabelledFrames], config: SegmenterConfig, bar: Task) -> np.ndarray:
    network = bench.trainer.get(sources, bench.classes, config, bar)
    predicted = predict(network, bench.test.images, bench.trainer.device)
    return compare_maps(predicted, bench.test.maps, bench.test.space.num_classes)


def _steps(bench: Bench, tasks: Sequence[Sequence[LabelledFrames]], budget: Budget) -> int:
    """Steps of each training, so that `FEWEST` seeds fit into the minutes; the same again for the same question."""
    if not budget.minutes:
        return bench.config.steps
    kept = bench.trainer.plan_path(
        [frames for sources in tasks for frames in sources], bench.classes, bench.config, budget.minutes
    )
    if kept.is_file():
        return json.loads(kept.read_text())["steps"]
    start = monotonic()
    train(
        [bench.real], bench.classes, replace(bench.config, steps=_PROBE), bench.trainer.device, Silent().task("", None)
    )
    trainings = min(FEWEST, budget.seeds) * len(tasks)
    fitting = int(60 * budget.minutes / trainings * _PROBE / (monotonic() - start))
    steps = max(SHORTEST, min(bench.config.steps, fitting // SHORTEST * SHORTEST))
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_text(kept, json.dumps({"steps": steps}))
    return steps
