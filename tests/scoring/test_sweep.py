"""The sweep: what each mixture trains on, stand-in trainings, an interrupted search, and the command on small data."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats
from segmenter_data import labelled, write_set

from surgaug.cli import run
from surgaug.runtime.feedback import Silent
from surgaug.scoring.config import Budget
from surgaug.scoring.report.html.charts import sweep_chart
from surgaug.scoring.report.model import Figure, SweepPoint
from surgaug.scoring.report.verdicts import _how_many
from surgaug.scoring.segmenter import sweep
from surgaug.scoring.segmenter.agreement import compare_maps
from surgaug.scoring.segmenter.arms import Bench, Pairs
from surgaug.scoring.segmenter.halving import COARSE, JUDGED, TIMES, Trial, grid, grid_trainings
from surgaug.scoring.segmenter.sweep import Trained, advice_in_words, chosen, measure_sweep, sweep_of, training_of
from surgaug.scoring.segmenter.utility import Readings, over_classes
from surgaug.segmenter import training
from surgaug.segmenter.config import SegmenterConfig
from surgaug.segmenter.training import Trainer, train

CONFIG = SegmenterConfig(size=(32, 48), steps=60, batch=2)
TEST = replace(labelled(40, 9), groups=("video",) * 40)


@pytest.fixture
def bench(tmp_path):
    return Bench(labelled(4, 1), TEST, 2, CONFIG, Trainer(tmp_path, torch.device("cpu")), Silent())


def test_every_mixture_sees_as_much_of_real_frames(bench):
    pairs = Pairs(labelled(20, 3))
    for mixture in grid(judged=False):
        made = training_of(Trial(mixture, 2), bench.real, pairs, CONFIG)
        whole = sum(one.config.steps for one in made.chain())
        real = made.config.steps * (made.shares[0] if made.shares else 1 / len(made.sources))
        assert (whole, round(real), made.config.seed) == (round(60 * (1 + mixture.ratio)), 60, 2)
        assert len(chosen(mixture, bench.real, pairs)) == min(20, round(4 * mixture.ratio))


def stand_in(bench, gain, trials):
    """Counts of trainings that read `gain` of the mixture more pixels rightly than real frames alone, with chance."""
    rng = np.random.default_rng(0)
    out = {}
    for trial in trials:
        share = 0.7 + (gain(trial.mixture) if trial.mixture else 0) + rng.normal(0, 0.004)
        wrong = rng.random(TEST.maps.shape) > share
        out[trial] = compare_maps(np.where(wrong, 1 - TEST.maps, TEST.maps).astype(np.uint8), TEST.maps, 2)
    return out


@pytest.mark.parametrize("gain", [0.1, -0.1])
def test_the_advice_in_figures_and_words(bench, gain):
    mixtures = grid(judged=True)
    trials = [Trial(None, s, times) for s in range(2) for times in TIMES]
    trials += [Trial(m, s) for m in mixtures if m.ratio in COARSE for s in range(2)]
    counts = stand_in(bench, lambda m: gain * (m.ratio == 2) + 0.02 * (m.labels == JUDGED), trials)
    pairs = Pairs(labelled(20, 3), labelled(20, 3))
    found = sweep_of(Trained(counts), mixtures, bench, pairs, CONFIG, 3)
    assert (found.trainings, found.of_grid) == (len(trials), grid_trainings(mixtures, 3))
    assert {p.seeds for p in found.points if p.ratio in (1, 3, 4)} == {0}
    if gain > 0:
        point = found.points[found.advice]
        assert (point.ratio, point.labels, point.images) == (2, JUDGED, 8)
        assert found.gain.low > 0
        assert found.text.startswith("Take 1:2 (8 synthetic images for 4 real frames)")
        assert _how_many(found).tone == "good"
        assert sum("advised" in row.name for row in sweep_chart(found).rows) == 1
    else:
        assert found.points[8].gain.value < 0
    json.dumps(found.text)


def test_no_synthetic_images_can_be_the_advice(bench):
    mixtures = grid(judged=False)
    trials = [*(Trial(None, 0, times) for times in TIMES), *(Trial(m, 0) for m in mixtures)]
    found = sweep_of(
        Trained(stand_in(bench, lambda m: -0.1, trials)), mixtures, bench, Pairs(labelled(9, 3)), CONFIG, 3
    )
    assert found.advice is None
    assert found.text.startswith("No synthetic images: the best mixture, 1:")
    assert (_how_many(found).answer, found.gain.value < 0) == ("None", True)


@pytest.fixture
def short(monkeypatch):
    """Trainings of two steps; the list of those that were done."""
    done = []

    def trained(one, classes, device, bar, start=None):
        done.append(one.config.steps)
        return train(replace(one, config=replace(one.config, steps=2)), classes, device, bar, start)

    monkeypatch.setattr(training, "train", trained)
    monkeypatch.setattr("surgaug.scoring.segmenter.arms.train", trained)
    return done


def test_an_interrupted_search_goes_on_and_repeats_nothing(bench, short, monkeypatch):
    pairs, whole = Pairs(labelled(8, 3)), training.train
    expected = measure_sweep(bench, pairs, Budget(seeds=2))
    many = len(short)
    short.clear()
    bench = replace(bench, trainer=Trainer(bench.trainer.folder / "other", bench.trainer.device))

    def interrupted(*arguments):
        if len(short) == 5:
            raise KeyboardInterrupt
        return whole(*arguments)

    monkeypatch.setattr(training, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        measure_sweep(bench, pairs, Budget(seeds=2))
    monkeypatch.setattr(training, "train", whole)
    assert measure_sweep(bench, pairs, Budget(seeds=2)) == expected
    assert len(short) == many


def test_minutes_end_the_search_after_its_first_rung(bench, short, monkeypatch):
    clock = iter(range(0, 10_000_000, 600))
    monkeypatch.setattr(sweep, "monotonic", lambda: next(clock))
    found = measure_sweep(bench, Pairs(labelled(8, 3)), Budget(seeds=3, minutes=1))
    assert found.cut_short
    assert {p.ratio for p in found.points if p.seeds} == set(COARSE)


def test_trainings_that_the_cache_holds_take_none_of_the_minutes(bench, short, monkeypatch):
    """A first rung that only had to be loaded ended the search: its time was held against no step of training."""

    def searched(minutes, seconds):
        clock = iter(range(0, 10_000_000, seconds))
        monkeypatch.setattr(sweep, "monotonic", lambda: next(clock))
        return measure_sweep(bench, Pairs(labelled(8, 3)), Budget(seeds=3, minutes=minutes))

    assert searched(1, 600).cut_short
    short.clear()
    found = searched(30, 10)
    assert not found.cut_short and short
    assert found.trainings > 2 * len(COARSE) + len(TIMES)


def test_without_an_interval_none_is_told_of():
    point = SweepPoint(2.0, "joint", "raw", 100, 1, 0.6, Figure(0.05, 0.04, 0.06))
    told = advice_in_words(point, True, Figure(0.05), 50)
    assert "interval holds 0" not in told and "too few test frames for an interval" in told
    assert "interval holds 0" in advice_in_words(point, True, Figure(0.05, -0.01, 0.11), 50)
    assert advice_in_words(point, True, Figure(0.05, 0.01, 0.09), 50).endswith("95 % interval +0.010 to +0.090.")


def test_the_interval_knows_that_few_videos_scatter_too_little(bench):
    """Resamples of four videos have but 3/4 of the variance that other videos would bring."""
    of_videos = replace(bench, test=replace(TEST, groups=tuple(f"video {i % 4}" for i in range(40))))
    mixture = grid(judged=False)[0]
    counts = stand_in(bench, lambda m: 0.1, [Trial(mixture, 0), Trial(None, 0)])
    fit = SimpleNamespace(gain=[0.1], error=[0.0], times=1)
    found = sweep._gain(Trained(counts), mixture, fit, 0, of_videos)
    readings = Readings({str(t.mixture): [c] for t, c in counts.items()}, of_videos.test.groups, CONFIG.seed)
    draws = over_classes(readings.draws[str(mixture)] - readings.draws["None"])[0]
    half = stats.t.ppf(0.975, 3) * (draws.var(ddof=1) * 4 / 3) ** 0.5
    assert found.high - found.value == pytest.approx(half, rel=1e-6)


def test_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    real = write_set(tmp_path / "real", 8, 2)
    train_set, synth = write_set(tmp_path / "train", 6, 1), write_set(tmp_path / "synth", 6, 3)
    argv = ["score", "--real", str(real), "--train", str(train_set), "--synth", str(synth), "--metrics", "hue"]
    argv += ["--sweep", "--seeds", "2", "--segmenter-steps", "2", "--json", "out.json", "--html", "out.html"]
    assert run(argv) == 0
    report = json.loads((tmp_path / "out.json").read_text())["rows"][0]
    assert len(report["sweep"]["points"]) == 12
    assert report["utility"] is None
    assert any(v["question"] == "How many of them, and how?" for v in report["verdicts"])
    assert "How many synthetic images" in (tmp_path / "out.html").read_text()
    assert report["sweep"]["text"] in capsys.readouterr().err
