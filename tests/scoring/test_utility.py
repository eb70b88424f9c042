"""Utility: intervals against the textbook, verdicts on figures made by hand, and trainings that are not repeated."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats
from segmenter_data import SPACE, labelled

from surgaug.errors import DataError
from surgaug.labels.label_space import LabelClass, LabelSpace
from surgaug.runtime.feedback import Silent
from surgaug.scoring.config import Budget
from surgaug.scoring.segmenter import arms, utility
from surgaug.scoring.segmenter.agreement import compare_maps
from surgaug.scoring.segmenter.arms import BOTH, REAL, REAL_LONG, SYNTHETIC, Bench, Pairs, arms_of, clusters_of
from surgaug.scoring.segmenter.train_test_split import without_test_frames
from surgaug.scoring.segmenter.utility import TrainedOn, difference, measure_utility
from surgaug.segmenter import training
from surgaug.segmenter.config import SegmenterConfig
from surgaug.segmenter.training import Trainer, train

CONFIG = SegmenterConfig(size=(32, 48), steps=50, batch=2)


def test_the_interval_over_seeds_alone_is_students():
    by_seed = np.array([0.01, 0.03, 0.02, 0.06])
    figure = difference(by_seed, np.tile(by_seed[:, None], 50), 1000, 0.05)
    expected = stats.t.interval(0.95, 3, by_seed.mean(), stats.sem(by_seed))
    assert (figure.low, figure.high) == pytest.approx(expected)


def test_the_interval_over_frames_alone_is_that_of_the_resampled():
    draws = np.random.default_rng(1).normal(0.02, 0.01, 20_000)
    figure = difference(np.full(3, 0.02), np.tile(draws, (3, 1)), 10_000, 0.05)
    assert (figure.low, figure.high) == pytest.approx((0.02 - 0.0196, 0.02 + 0.0196), abs=5e-4)


def test_both_sources_of_chance_add_up():
    rng = np.random.default_rng(0)
    by_seed, frames = np.array([0.0, 0.02, 0.04]), rng.normal(0, 0.01, 5000)
    alone = difference(by_seed, np.zeros((3, 5000)), 100, 0.05)
    together = difference(by_seed, by_seed[:, None] + frames, 100, 0.05)
    of_seeds, of_frames = by_seed.var(ddof=1) / 3, frames.var(ddof=1) * 100 / 99
    variance = of_seeds + of_frames
    freedom = variance**2 / (of_seeds**2 / 2 + of_frames**2 / 99)
    assert together.high - together.value == pytest.approx(stats.t.ppf(0.975, freedom) * variance**0.5)
    assert alone.value == together.value == pytest.approx(0.02)


def readings(quality, seeds=3, frames=40, seed=0):
    """Counts of predictions that are right with a probability of `quality`."""
    labels = np.random.default_rng(99).integers(0, 2, (frames, 8, 8), dtype=np.uint8)
    rng = np.random.default_rng(seed)
    wrong = [rng.random(labels.shape) > quality for _ in range(seeds)]
    return [compare_maps(np.where(w, 1 - labels, labels).astype(np.uint8), labels, 2) for w in wrong]


@pytest.mark.parametrize(
    ("both", "seeds", "start"),
    [
        (0.95, 3, "It helped: adding the synthetic images took mIoU 0."),
        (0.70, 3, "It harmed: "),
        (0.85, 3, "It cannot be told at this size: mIoU 0."),
        (0.95, 1, "It cannot be told from one seed"),
    ],
)
def test_verdicts(both, seeds, start):
    counts = {REAL: readings(0.85, seeds, seed=1), SYNTHETIC: readings(0.6, seeds, seed=2)}
    counts[BOTH] = readings(both, seeds, seed=3)
    found = utility.utility(counts, tuple(map(str, range(40))), SPACE, CONFIG, TrainedOn(10, 20))
    assert found.verdict.startswith(start)
    assert found.synthetic_gain.high < 0 if seeds > 1 else True
    assert (found.seeds, found.test_images, found.train_images, found.synth_images) == (seeds, 40, 10, 20)
    for c in found.classes:
        assert c.both_gain.value == pytest.approx(c.both - c.real)
        assert c.sure is (seeds > 1 and both != 0.85)
        assert (c.name in found.verdict) is c.sure
    assert found.both_gain.value == pytest.approx(found.both.value - found.real.value)


def test_a_single_video_says_nothing_of_chance():
    counts = {arm: readings(0.8) for arm in (REAL, SYNTHETIC, BOTH)}
    found = utility.utility(counts, ("video",) * 40, SPACE, CONFIG, TrainedOn(10, 20))
    assert found.both_gain.low is None
    assert "single video" in found.verdict


def counts_of(*shares):
    """Counts [20, 7, 3] of four frames each of five videos: the first two classes in all of them, and the third, where
    there are `shares` for it, in the first frames of as many videos; each found in that share of its pixels."""
    found = np.zeros((20, 7, 3), np.int64)
    every = np.arange(20)
    for k in (0, 1):
        found[:, :3, k] = np.stack([800 + 10 * ((7 * every + 3 * k) % 5), np.full(20, 1000), np.full(20, 1000)], 1)
    for video, share in enumerate(shares):
        found[4 * video, :3, 2] = round(1000 * share), 1000, 1000
    return found


@pytest.mark.parametrize(
    ("before", "after", "interval", "sure"),
    [
        ([0.5], [0.9], False, False),
        ([0.5, 0.55], [0.9, 0.6], True, False),
        ([0.5] * 5, [0.9, 0.91, 0.9, 0.92, 0.9], True, True),
    ],
    ids=["one video", "two that disagree", "five"],
)
def test_a_class_of_a_single_video_is_not_surely_better(before, after, interval, sure):
    """Every resample of videos that shows it has the same frame, as if there were no chance in it."""
    space = LabelSpace("three", tuple(LabelClass(i, name) for i, name in enumerate("abc")))
    by_seed = [np.array(before) + error for error in (0, 0.005, -0.005)]
    counts = {arm: [counts_of(*shares) for shares in by_seed] for arm in (REAL, SYNTHETIC)}
    counts[BOTH] = [counts_of(*(shares - before + after)) for shares in by_seed]
    groups = [f"video{i // 4}" for i in range(20)]
    found = utility.utility(counts, groups, space, CONFIG, TrainedOn(50, 50, np.array([50, 50, 5])))
    third = found.classes[2]
    assert third.both_gain.value > 0.1
    assert (third.both_gain.low is not None) is interval
    assert third.sure is ("surely better: c" in found.verdict) is sure
    assert found.classes[0].both_gain.low is not None and found.both_gain.low is not None


def test_a_class_that_no_test_frame_shows_has_no_gain():
    labels = np.zeros((4, 8, 8), np.uint8)
    counts = {arm: [compare_maps(labels, labels, 2)] * 2 for arm in (REAL, SYNTHETIC, BOTH)}
    found = utility.utility(counts, ("a", "b", "c", "d"), SPACE, CONFIG, TrainedOn(1, 1))
    assert [c.name for c in found.classes] == ["ground"]
    assert found.both_gain.value == found.both_gain.low == found.both_gain.high == 0


def test_the_better_of_two_trainings_on_real_frames_is_the_reference():
    counts = {REAL: readings(0.80, seed=1), SYNTHETIC: readings(0.6, seed=2), BOTH: readings(0.85, seed=3)}
    counts[REAL_LONG] = readings(0.95, seed=4)
    found = utility.utility(counts, tuple(map(str, range(40))), SPACE, CONFIG, TrainedOn(10, 20))
    assert found.reference == REAL_LONG
    assert found.both_gain.high < 0 < found.arms[BOTH].equal_gain.low
    assert found.verdict.startswith("It harmed")
    assert found.real == found.arms[REAL_LONG].miou
    assert [(arm.steps, arm.real_steps) for arm in found.arms.values()] == [(50, 50), (50, 0), (100, 50), (100, 100)]


def test_rare_classes_have_figures_of_their_own():
    space = LabelSpace("eight", tuple(LabelClass(i, f"class {i}") for i in range(8)))
    labels = np.random.default_rng(0).integers(0, 8, (30, 16, 16), dtype=np.uint8)
    right = compare_maps(labels, labels, 8)
    wrong = compare_maps(np.where(labels < 2, 7, labels).astype(np.uint8), labels, 8)
    counts = {REAL: [wrong] * 2, SYNTHETIC: [wrong] * 2, BOTH: [right] * 2}
    frames = np.array([2, 3, 9, 9, 9, 9, 9, 9])
    found = utility.utility(counts, tuple(map(str, range(30))), space, CONFIG, TrainedOn(10, 20, frames))
    assert found.rarest == (0, 1)
    assert (found.arms[REAL].rare.value, found.arms[BOTH].rare_gain.value) == (0, 1)
    assert found.arms[BOTH].gain.value < 1


def test_a_single_test_video_is_resampled_in_stretches():
    frames = replace(labelled(25), groups=("video12",) * 25)
    clusters, note = clusters_of(frames)
    counts = Counter(clusters)
    assert len(counts) == 6 and max(counts.values()) - min(counts.values()) <= 1
    assert frames.names[9:11] == ("0_9", "0_10")
    assert sum(a != b for a, b in pairwise(clusters)) == 5  # each in one piece
    assert "video12" in note and "6 contiguous stretches" in note
    several = replace(frames, groups=("a", "b") * 12 + ("a",))
    assert clusters_of(several) == (several.groups, "")
    assert len(set(clusters_of(frames.take(np.arange(5)))[0])) == 1


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """A bench whose trainings are two steps long, and the list of them: sources, steps, seed, whether it goes on."""
    trained = []

    def short(training, classes, device, bar, start=None):
        config = training.config
        trained.append((len(training.sources), config.steps, config.seed, start is not None))
        return train(replace(training, config=replace(config, steps=2, batch=2)), classes, device, bar, start)

    monkeypatch.setattr(training, "train", short)
    monkeypatch.setattr(arms, "train", short)
    trainer = Trainer(tmp_path, torch.device("cpu"))
    return Bench(labelled(5, 1), labelled(6, 2), 2, CONFIG, trainer, Silent()), trained


def sets(*seeds):
    return [Pairs(labelled(5, seed)) for seed in seeds]


def test_trainings_are_fair_paired_and_never_repeated(bench):
    bench, trained = bench
    first = measure_utility(bench, sets(3, 4), Budget(seeds=2))
    real = [(1, 50, False), (1, 100, False)]
    of_set = [(1, 50, False), (2, 100, False), (1, 50, True)]
    assert sorted(trained) == sorted((n, steps, s, on) for s in (0, 1) for n, steps, on in real + 2 * of_set)
    assert [u.seeds for u in first] == [2, 2]
    trained.clear()
    assert measure_utility(bench, sets(3), Budget(seeds=2)) == first[:1]
    assert trained == []
    measure_utility(bench, sets(3), Budget(seeds=3))
    assert sorted(trained) == sorted((n, steps, 2, on) for n, steps, on in real + of_set)


def test_what_a_judge_took_away_is_an_arm_of_its_own(bench):
    bench, trained = bench
    full = labelled(5, 3)
    maps = full.maps.copy()
    maps[:, :8] = 255
    found = measure_utility(bench, [Pairs(replace(full, maps=maps), full)], Budget(seeds=1))[0]
    assert found.judged
    raw = ["synthetic_raw", "both_raw", "first_raw"]
    assert list(found.arms) == ["real", "real_long", "synthetic", "both", "first", *raw]
    assert len(trained) == 8
    assert found.arms["both_raw"].title == "both, 1:1 (all labels)"
    assert set(arms_of(bench.real, Pairs(full), CONFIG)) == {"real", "real_long", "synthetic", "both", "first"}


def test_an_interrupted_run_goes_on(bench, monkeypatch):
    bench, trained = bench
    whole = training.train

    def interrupted(*arguments):
        if len(trained) == 2:
            raise KeyboardInterrupt
        return whole(*arguments)

    monkeypatch.setattr(training, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        measure_utility(bench, sets(3), Budget(seeds=1))
    monkeypatch.setattr(training, "train", whole)
    measure_utility(bench, sets(3), Budget(seeds=1))
    assert len(trained) == 5


def test_minutes_bound_steps_and_seeds(bench, monkeypatch):
    bench, trained = bench
    clock = iter(range(0, 100_000, 600))  # ten minutes pass between any two looks at it
    monkeypatch.setattr(utility, "monotonic", lambda: next(clock))
    monkeypatch.setattr(arms, "monotonic", lambda: next(clock))
    long = replace(bench, config=SegmenterConfig(size=(32, 48), steps=800))
    found = measure_utility(long, sets(3), Budget(seeds=3, minutes=40))
    assert found[0].seeds < 3
    assert found[0].steps == utility.SHORTEST
    steps = {s for _, s, _, _ in trained[2:]}  # behind the two that tell how long a step takes
    assert steps == {100, 200}
    trained.clear()
    assert measure_utility(long, sets(3), Budget(seeds=1, minutes=40))[0].steps in steps
    assert trained == []


def test_the_length_that_one_seed_may_have_is_not_that_of_several(bench, monkeypatch):
    bench, _ = bench
    monkeypatch.setattr(Bench, "seconds_a_step", lambda self: 1.0)
    # In all seven times the steps a seed: of 30 minutes 257 a training for one, and 128 for each of two.
    assert [measure_utility(bench_of_length(bench, 800), sets(3), Budget(n, 30))[0].steps for n in (1, 3)] == [200, 100]


def bench_of_length(bench, steps):
    return replace(bench, config=replace(bench.config, steps=steps))


def test_copies_of_test_frames_do_not_train():
    test, synth = labelled(3, 1), labelled(5, 1)
    kept, notes = without_test_frames(synth, test)
    assert kept.names == ("1_3", "1_4")
    assert "3 synthetic images are copies of test frames" in notes[0]
    with pytest.raises(DataError, match="every synthetic image"):
        without_test_frames(test, test)
