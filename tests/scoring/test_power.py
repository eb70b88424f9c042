"""`benchmarks/power.py`: what its draws are made of, and when it fails."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def power(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield importlib.import_module("power")
    sys.modules.pop("power")


@pytest.mark.parametrize("size", [10, 20, 50])
def test_a_set_holds_other_frames_than_the_real_side_each_once_before_any_twice(power, size):
    video = power.Video("v", {}, {power.NONE: np.zeros((40, 1)), power.OTHER: np.zeros((7, 1))}, {})
    real, chosen = power.split(video, power.NONE, size, np.random.default_rng(0))
    assert (len(real), len(chosen)) == (20, size)
    assert set(real).isdisjoint(chosen)
    assert np.ptp(np.unique(chosen, return_counts=True)[1]) <= 1
    assert set(power.split(video, power.OTHER, size, np.random.default_rng(0))[1]) == set(range(7))


def test_it_fails_by_wrong_answers_alone(power):
    def line(fault, good, bad):
        return power.Line("v", power.LOOK, fault, 10, {"good": good, "mixed": 0.0, "bad": bad, "open": 1 - good - bad})

    assert line("blur", 0.05, 0.0).passed and not line("blur", 0.06, 0.9).passed
    assert line(power.NONE, 0.0, 0.05).passed and not line(power.NONE, 0.9, 0.06).passed
    known = line(power.OTHER, 0.9, 0.0)
    assert not known.passed and power.replace(known, question=power.KNOWN).passed  # then it is no fault
    assert not power.replace(known, question=power.KNOWN, shares={**known.shares, "good": 0.0, "bad": 0.9}).passed
    assert not power.replace(known, question=power.KNOWN, fault=power.FARTHEST).passed
    assert "| v | Do they look real? | blur | 5 / 0 / 0 / 95 |" in power.table([line("blur", 0.05, 0.0)])


def test_draws_are_judged_without_and_with_other_videos(power):
    rng = np.random.default_rng(0)

    def frames(shift, n=40):
        return 3 + 0.1 * (rng.normal(size=(n, 130)) + shift)

    vectors = {power.NONE: frames(0), power.OTHER: frames(1), "another video, blur": frames(20)}
    real = {power.COLOUR: vectors[power.NONE]}
    versions = {fault: power.Distances.of({power.COLOUR: x}, real) for fault, x in vectors.items()}
    others = {str(i): (power.Distances.of({power.COLOUR: x}, real), x) for i, x in enumerate([frames(2)] * 4)}
    video = power.Video("v", versions[power.NONE].within, vectors, versions, others)
    assert set(power.look(video, power.NONE, 20, rng)) == {power.LOOK, power.KNOWN}
    other = power.look(video, power.OTHER, 20, rng)
    assert other[power.LOOK] != "good" == other[power.KNOWN]
    assert not power.farthest(video)
    far = power.Distances.of({power.COLOUR: vectors["another video, blur"]}, real)
    apart = {**versions, power.OTHER: far}, {**vectors, power.OTHER: vectors["another video, blur"]}
    assert power.farthest(power.replace(video, versions=apart[0], colours=apart[1]))
    assert power.look(video, "another video, blur", 20, rng) == {power.KNOWN: "bad"}


def test_faults_change_pixels_as_they_are_called(power):
    images = np.random.default_rng(0).integers(60, 200, (2, 24, 32, 3), np.uint8)
    assert (
        np.abs(np.diff(power.blurred(images).astype(int), axis=2)).mean()
        < 0.5 * np.abs(np.diff(images.astype(int), axis=2)).mean()
    )
    assert (power.noisy(images).astype(int) - images).std() == pytest.approx(power.NOISE, rel=0.1)
    red = np.full((1, 4, 4, 3), (200, 40, 40), np.uint8)
    assert power.turned(red)[0, 0, 0].tolist() == [200, pytest.approx(40 + 160 * power.TURN / 60, abs=1), 40]
