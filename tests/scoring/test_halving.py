"""The search for a mixture, with stand-in trainings: a curve in closed form and the chance of a training on top."""

from __future__ import annotations

import numpy as np
import pytest

from surgaug.scoring.segmenter.halving import (
    JUDGED,
    RATIOS,
    TIMES,
    Kriging,
    Mixture,
    Trial,
    advised,
    grid,
    grid_trainings,
    rungs,
)

REAL, NOISE, SEEDS, RUNS = 0.30, 0.006, 3, 60


def peaked(mixture):
    octaves = np.log2(mixture.ratio)
    return 0.02 - 0.006 * (octaves - 1) ** 2 + 0.006 * (mixture.labels == JUDGED) - 0.004 * (mixture.way == "first")


def rising(mixture):
    octaves = np.log2(mixture.ratio)
    return -0.005 + 0.006 * octaves + 0.004 * (mixture.labels == JUDGED) + 0.003 * octaves * (mixture.way == "first")


def crossing(mixture):
    octaves = np.log2(mixture.ratio)
    return (0.015 - 0.006 * octaves if mixture.way == "joint" else 0.008 * octaves) - 0.01 * (mixture.labels != JUDGED)


def harmful(mixture):
    return -0.01 - 0.004 * np.log2(mixture.ratio) + 0.004 * (mixture.labels == JUDGED)


def search(truth, mixtures, seed, noise=NOISE):
    """The results of a whole search."""
    rng, found = np.random.default_rng(seed), {}
    for rung in rungs(mixtures, SEEDS):
        for trial in rung(found):
            assert trial not in found
            gain = 0.001 * (trial.times == 2) if trial.mixture is None else truth(trial.mixture)
            found[trial] = REAL + gain + rng.normal(0, noise)
    return found


@pytest.mark.parametrize("judged", [True, False])
@pytest.mark.parametrize("truth", [peaked, rising, crossing, harmful])
def test_the_advice_is_near_the_grids_best_in_a_third_of_its_trainings(truth, judged):
    mixtures, lost = grid(judged), []
    best = max(0.001, *map(truth, mixtures))
    for seed in range(RUNS):
        found = search(truth, mixtures, seed)
        assert len(found) <= grid_trainings(mixtures, SEEDS) / 3
        advice, _ = advised(found, mixtures)
        lost.append(best - (0.001 if advice is None else truth(advice)))
    assert np.mean(lost) < 0.005
    assert np.mean(np.array(lost) <= 0.005) >= 0.75


@pytest.mark.parametrize("truth", [harmful, lambda mixture: 0.0])
def test_no_synthetic_images_are_advised_where_they_do_not_help(truth):
    none = [advised(search(truth, grid(True), seed), grid(True))[0] is None for seed in range(RUNS)]
    assert np.mean(none) >= 0.7


def test_a_plain_gain_is_found_with_its_size():
    mixtures, inside = grid(True), 0
    for seed in range(RUNS):
        advice, fit = advised(search(peaked, mixtures, seed), mixtures)
        i = mixtures.index(advice)
        inside += abs(fit.gain[i] - peaked(advice)) < 1.96 * fit.error[i]
    assert inside >= 0.8 * RUNS


def test_neighbours_tell_of_a_mixture_that_was_not_trained():
    a, b, far = Mixture(1.0), Mixture(2.0), Mixture(2.0, "first", JUDGED)
    found = {Trial(None, s): 0.3 for s in range(3)} | {Trial(a, s): 0.34 for s in range(3)}
    fit = Kriging(found, [a, b, far])
    assert fit.gain[0] > fit.gain[1] > fit.gain[2] > 0
    assert fit.error[0] < fit.error[1] < fit.error[2]


@pytest.mark.parametrize("longer", TIMES[1:])
def test_real_frames_for_longer_are_the_reference_where_they_are_better(longer):
    a = Mixture(1.0)
    real = {Trial(None, s, times): 0.34 if times == longer else 0.30 for times in TIMES for s in range(3)}
    found = real | {Trial(a, s): 0.32 for s in range(3)}
    assert Kriging(found, [a]).times == longer
    assert Kriging(found, [a]).gain[0] < 0
    assert advised(found, [a])[0] is None


def test_one_training_that_is_worse_than_the_longer_reference_is_not_advised():
    a = Mixture(1.0)
    found = {Trial(None, 0): 0.30, Trial(None, 0, times=2): 0.33, Trial(a, 0): 0.32}
    assert Kriging(found, [a]).times == 2
    assert advised(found, [a])[0] is None


def test_steps_alone_are_no_gain_of_synthetic_images():
    """As long as all learn by steps and nothing else, a mixture that takes seven times as many gains nothing."""
    mixtures = grid(judged=False)

    def searched(seed):
        rng, found = np.random.default_rng(seed), {}
        for rung in rungs(mixtures, SEEDS):
            for trial in rung(found):
                steps = 1 + trial.mixture.ratio if trial.mixture else trial.times
                found[trial] = 0.1 + 0.05 * np.log2(steps) + rng.normal(0, NOISE)
        return found

    assert max(TIMES) == 1 + max(RATIOS)
    gains = [advised(searched(seed), mixtures)[1].gain.max() for seed in range(RUNS)]
    assert np.mean(gains) < NOISE / 2 and max(gains) < 2 * NOISE
