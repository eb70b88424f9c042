"""Faithfulness: right images are told from wrong ones, on figures made by hand and through the whole command."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import groupby

import cv2
import numpy as np
import pytest
import torch
from segmenter_data import SPACE, labelled, scene, write_set

from surgaug.errors import DataError, UsageError
from surgaug.labels.label_space import LabelClass, LabelSpace
from surgaug.scoring.config import Budget, EvaluationConfig, ScoreConfig
from surgaug.scoring.report.verdicts import verdicts
from surgaug.scoring.run import run_score
from surgaug.scoring.segmenter.agreement import compare_maps
from surgaug.scoring.segmenter.evaluation import parse_size
from surgaug.scoring.segmenter.faithfulness import (
    NOT_IN_REAL,
    NOT_IN_SYNTH,
    NOT_IN_TRAIN,
    Agreement,
    agreement,
    deranged,
    faithfulness,
    rarest_quarter,
)
from surgaug.segmenter.network import working_size

FOUR = LabelSpace("four", tuple(LabelClass(10 * k, f"class {k}") for k in range(4)))


def maps(*rows):
    """Maps [N, 8, 8] whose rows hold the given classes, 8 a map."""
    return np.stack([np.repeat(np.array(row, np.uint8)[:, None], 8, 1) for row in rows])


def test_figures_of_classes_and_why_some_are_missing():
    label = maps([0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 3, 3, 3, 3])
    guess = maps([0, 0, 0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 0, 0, 0, 0])
    real_label = maps([0, 0, 0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 1, 1, 2, 2])
    counts, real = (compare_maps(g, of, 4) for g, of in ((guess, label), (real_label, real_label)))
    train_frames = np.array([True, True, True, False])
    found = faithfulness(Agreement(counts, ("a", "b")), Agreement(real, ("a", "b")), train_frames, FOUR, 0)
    assert found.counted == (0, 10)
    assert found.miou.value == pytest.approx((8 / 14 + 2 / 4) / 2)
    assert found.real_miou.value == 1
    assert found.floor is None
    by_id = {c.id: c for c in found.classes}
    assert by_id[20].reason == NOT_IN_SYNTH and by_id[20].iou.value is None and by_id[20].real_iou.value == 1
    assert by_id[30].reason == NOT_IN_TRAIN and by_id[30].iou.value is None
    assert by_id[10].images == 1 and by_id[10].real_images == 2
    other_way = faithfulness(Agreement(real, ("a", "b")), Agreement(counts, ("a", "b")), train_frames, FOUR, 0)
    assert next(c for c in other_way.classes if c.id == 20).reason == NOT_IN_REAL
    assert [c.iou.low is None for c in found.classes if c.id == 0] == [False]


def test_one_image_has_figures_without_interval():
    label = maps([0, 0, 0, 0, 1, 1, 1, 1])
    counts = compare_maps(label, label, 4)
    found = faithfulness(Agreement(counts, ("a",)), Agreement(counts, ("a",)), np.ones(4, bool), FOUR, 0)
    assert (found.miou.value, found.miou.low, found.miou.high) == (1, None, None)


def test_sets_without_a_common_class_have_no_mean():
    zero, one = (np.full((2, 8, 8), k, np.uint8) for k in (0, 1))
    counts, real = compare_maps(zero, zero, 4), compare_maps(one, one, 4)
    found = faithfulness(Agreement(counts, ("a", "b"), counts), Agreement(real, ("a", "b")), np.ones(4, bool), FOUR, 0)
    assert (found.counted, found.miou.value, found.floor) == ((), None, None)


def test_the_interval_holds_the_value_and_shrinks_with_images():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, (200, 8, 8), dtype=np.uint8)
    guess = np.where(rng.random(label.shape) < rng.uniform(0.5, 1, (200, 1, 1)), label, 1 - label).astype(np.uint8)
    counts = compare_maps(guess, label, 2)
    two = LabelSpace("two", FOUR.classes[:2])
    widths = []
    for n in (20, 200):
        groups = tuple(map(str, range(n)))
        side = Agreement(counts[:n], groups)
        found = faithfulness(side, side, np.ones(2, bool), two, 0)
        assert found.miou.low < found.miou.value < found.miou.high
        widths.append(found.miou.high - found.miou.low)
    assert widths[1] == pytest.approx(widths[0] / 10**0.5, rel=0.4)


def test_a_class_of_one_group_has_no_interval():
    """Every resample that shows it has the same images, as if there were no chance in it."""
    label = maps([0, 0, 0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 2, 2, 2, 2])
    guess = maps([0, 0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 2, 2, 1])
    side = Agreement(compare_maps(guess, label, 4), ("a", "b", "c"))
    both = Agreement(compare_maps(guess[[0, 0, 1, 2]], label[[0, 0, 1, 2]], 4), ("a", "b", "b", "c"))
    found = faithfulness(side, both, np.ones(4, bool), FOUR, 0)
    ground, first, second = found.classes
    assert ground.iou.low is not None and found.miou.low is not None
    for figure in (first.iou, first.boundary_f, second.iou, second.real_iou):
        assert figure.value is not None and figure.low is figure.high is None
    assert first.real_iou.low is not None  # two groups show it


def test_three_videos_hold_the_truth_as_often_as_they_say():
    """Percentiles of the resamples would hold it in three of four."""
    rng = np.random.default_rng(0)
    two = LabelSpace("two", FOUR.classes[:2])
    hits = 0
    for _ in range(40):
        counts = np.zeros((6, 7, 2), np.int64)
        share = np.repeat(rng.normal(0.6, 0.04, 3), 2)[:, None]
        counts[:, :3] = np.stack([10_000 * 2 * share / (1 + share), *np.full((2, 6, 1), 10_000.0)], 1)
        side = Agreement(counts, ("a", "a", "b", "b", "c", "c"))
        found = faithfulness(side, side, np.ones(2, bool), two, 0).real_miou
        hits += found.low <= 0.6 <= found.high
    assert hits / 40 >= 0.88


@pytest.mark.parametrize("repeats", [[1] * 6, [5, 5], [3, 1, 2, 1], [40, 40, 1, 1]], ids=str)
def test_chance_is_told_by_other_maps_however_often_they_repeat(repeats):
    kinds = np.random.default_rng(1).permutation(np.repeat(np.arange(len(repeats)), repeats))
    label_maps = np.stack([np.full((8, 8), k, np.uint8) for k in kinds])
    for seed in range(5):
        other = deranged(label_maps, np.random.default_rng(seed))
        assert sorted(other) == list(range(len(kinds)))
        assert (kinds[other] != kinds).all()
    assert deranged(label_maps[kinds == 0], np.random.default_rng(0)) is None


def test_a_map_that_fills_most_of_a_set_is_exchanged_where_it_can_be():
    label_maps = np.stack([np.full((8, 8), k, np.uint8) for k in [0] * 8 + [1, 2]])
    other = deranged(label_maps, np.random.default_rng(0))
    assert sorted(other) == list(range(10))
    assert (label_maps[other, 0, 0] != label_maps[:, 0, 0]).sum() == 4


@pytest.mark.parametrize(
    ("size", "fit"), [((64, 64), (64, 64)), ((64, 112), (64, 112)), ((512, 512), (128, 128)), ((540, 960), (96, 176))]
)
def test_the_size_to_work_at(size, fit):
    assert working_size(size) == fit


def test_sizes_as_typed():
    assert parse_size("64x112") == (64, 112)
    for text in ("64", "8x64", "64x", "axb"):
        with pytest.raises(UsageError, match="--segmenter-size"):
            parse_size(text)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Training and real frames; synthetic sets that are right, hue-shifted, and labelled at random."""
    root = tmp_path_factory.mktemp("sets")

    def shifted(image, label_map, i):
        return np.roll(image, 1, 2), label_map

    def permuted(image, label_map, i):
        return image, np.roll(label_map, (13, 21), (0, 1))

    write_set(root / "train", 16, 1)
    write_set(root / "real", 12, 2)
    write_set(root / "right", 12, 3)
    write_set(root / "shifted", 12, 3, shifted)
    write_set(root / "permuted", 12, 3, permuted)
    return root


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def run(folders, cache, *synth, synth_root=None, **options):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SURGAUG_CACHE", str(cache))
        options = {
            "metrics": ("miou",),
            "train": folders / "train",
            "evaluation": EvaluationConfig(steps=60),
            **options,
        }
        return run_score(
            ScoreConfig(folders / "real", tuple((synth_root or folders) / name for name in synth), **options)
        )


@pytest.mark.slow
def test_right_labels_are_told_from_wrong_ones(folders, cache):
    report = run(folders, cache, "right", "shifted", "permuted", fail_if=("miou.ratio<0.8",))
    right, _, permuted = report.rows
    assert right.measures["miou"].value > 0.7
    assert right.measures["miou"].ratio == pytest.approx(1, abs=0.15)
    assert right.faithfulness.floor < right.faithfulness.miou.low
    assert permuted.measures["miou"].high < right.measures["miou"].low
    assert permuted.measures["boundary_f"].value < right.measures["boundary_f"].value
    answers = [next(v.tone for v in verdicts(report, row) if "labels" in v.question) for row in (right, permuted)]
    assert answers == ["good", "bad"]
    assert [gate["failed"] for gate in report.gates][0::2] == [False, True]
    text = json.dumps(report.to_dict(), allow_nan=False)
    assert json.loads(text)["segmenter"]["train_frames"] == 16
    again = run(folders, cache, "right")
    assert again.rows[0].faithfulness == right.faithfulness


def test_real_frames_of_one_video_are_resampled_in_stretches():
    frames = labelled(12)

    def drawn_together(groups):
        return agreement(lambda x: x[:, :2], replace(frames, groups=groups), torch.device("cpu")).groups

    assert [len(list(run)) for _, run in groupby(drawn_together(("v",) * 12))] == [4, 4, 4]
    videos = ("v", "v", "v", "w", "w", "w") * 2
    assert drawn_together(videos) == videos


def test_a_class_of_the_synthetic_images_alone_can_be_trained_on(folders, cache, tmp_path):
    write_set(tmp_path / "more", 8, 5)
    for path in (tmp_path / "more" / "labels").iterdir():
        label_map = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        label_map[:4, :4] = 4
        cv2.imwrite(str(path), label_map)
    steps = EvaluationConfig(steps=2, utility=Budget(seeds=1))
    report = run(folders, cache, "more", synth_root=tmp_path, evaluation=steps)
    assert report.rows[0].utility.train_images == 16
    assert {c.id: c.reason for c in report.rows[0].faithfulness.classes}[4] == NOT_IN_TRAIN


def test_what_cannot_be_judged_is_refused_before_anything_is_read(folders, cache, tmp_path):
    with pytest.raises(UsageError, match="--train DIR"):
        run(folders, cache, "right", train=None)
    cv2.imwrite(str(tmp_path / "plain.png"), np.zeros((32, 48, 3), np.uint8))
    with pytest.raises(DataError, match="label maps"):
        run(folders, cache, "right", train=tmp_path)
    with pytest.raises(UsageError, match="there are: unet"):
        run(folders, cache, "right", evaluation=EvaluationConfig("nonet"))
    assert SPACE.ids == (0, 3)


def test_by_default_it_is_measured_where_it_can_be(folders, cache, tmp_path):
    steps = EvaluationConfig(steps=2)
    by_default = run(folders, cache, "right", metrics=None, evaluation=steps)
    assert by_default.rows[0].measures["miou"].value is not None
    assert "miou" not in run(folders, cache, "right", metrics=None, evaluation=steps, miou=False).definitions
    assert "miou" not in run(folders, cache, "right", metrics=("frechet",), evaluation=steps).definitions
    cv2.imwrite(str(tmp_path / "plain.png"), scene(9, 9)[0])
    without_labels = run(folders, cache, "right", metrics=None, train=tmp_path)
    assert "miou" not in without_labels.definitions
    assert "leakage" in without_labels.definitions
    with pytest.raises(DataError, match="label maps"):  # a gate on it asks for it
        run(folders, cache, "right", metrics=None, train=tmp_path, fail_if=("miou<0.1",))


def test_the_rarest_quarter_is_that_of_fewest_training_frames():
    every = np.ones(8, bool)
    frames = np.array([9, 3, 8, 1, 7, 3, 6, 5])
    assert np.flatnonzero(rarest_quarter(frames, every)).tolist() == [1, 3]  # of equals the first
    some = frames != 1
    assert np.flatnonzero(rarest_quarter(frames, some)).tolist() == [1]  # a quarter of seven, rounded down
    assert not rarest_quarter(frames[:3], every[:3]).any()


def test_rare_classes_have_a_mean_of_their_own():
    rng = np.random.default_rng(0)
    real, synth = (compare_maps(*rng.integers(0, 4, (2, 6, 16, 16), np.uint8), 4) for _ in range(2))
    groups = tuple("abcdef")
    found = faithfulness(Agreement(synth, groups), Agreement(real, groups), np.array([5, 6, 2, 4]), FOUR, 0)
    assert found.rarest == (FOUR.ids[2],)
    assert found.rare_miou == found.classes[2].iou
    assert found.real_rare_miou == found.classes[2].real_iou
