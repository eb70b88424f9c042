from __future__ import annotations

import itertools

import numpy as np

from surgaug.synthesis.noise import batch_noise, mask_order_rng, perturbation_rng, sample_noise

SHAPE = (3, 8, 16)


def test_noise_depends_on_seed_sample_and_step_alone():
    alone = sample_noise(5, 7, 2, SHAPE)
    together = batch_noise(5, [3, 7, 1], 2, SHAPE)
    assert together.dtype == np.float32
    assert np.array_equal(together[1], alone)
    assert np.array_equal(batch_noise(5, [7], 2, SHAPE)[0], alone)


def test_no_two_keys_share_their_numbers():
    seeds = (0, 1, 2**32, 2**32 + 1, 2**63 - 1)
    drawn = {sample_noise(*key, (4,)).tobytes() for key in itertools.product(seeds, range(5), range(5))}
    assert len(drawn) == len(seeds) * 25
    streams = [perturbation_rng(0, 1), mask_order_rng(0, 1)]
    assert len({rng.standard_normal(4, dtype=np.float32).tobytes() for rng in streams} | drawn) == len(drawn) + 2


def test_noise_is_standard_normal():
    values = batch_noise(0, range(64), 0, (3, 32, 32))
    assert abs(values.mean()) < 0.01 and abs(values.std() - 1) < 0.01
    flat = values.reshape(64, -1)
    correlation = np.corrcoef(flat) - np.eye(64)
    assert np.abs(correlation).max() < 0.1
