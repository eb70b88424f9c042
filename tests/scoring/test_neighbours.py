"""Precision, recall, density and coverage by their definitions; leakage and repeats on sets made to have them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from surgaug.scoring.compute.leakage import DEFINITIONS, auc_interval, find_leakage, fingerprint
from surgaug.scoring.compute.neighbours import nearest
from surgaug.scoring.metrics import prdc


def sample(n, d, seed, shift=0.0):
    return np.random.default_rng(seed).normal(shift, 1, (n, d))


def by_definition(real, synth):
    def radius(x, k):
        return np.sort(cdist(x, x), axis=1)[:, k]

    across = cdist(real, synth)
    ball, synth_ball, cover = radius(real, 3), radius(synth, 3), radius(real, 5)
    return [
        (across <= ball[:, None]).any(0).mean(),
        (across <= synth_ball).any(1).mean(),
        (across <= cover[:, None]).sum() / (5 * len(synth)),
        (across <= cover[:, None]).any(1).mean(),
    ]


@pytest.mark.parametrize(("n", "m"), [(60, 40), (700, 530)])  # the second: more than one block of rows
def test_prdc_by_definition(n, m):
    real, synth = sample(n, 6, 1), sample(m, 6, 2, 0.7)
    assert prdc.compute(real, synth) == pytest.approx(by_definition(real, synth), abs=1e-12)
    i, j = np.random.default_rng(0).permutation(n)[:30], np.arange(20)
    assert prdc.compute_many(real, synth, [(i, j)])[0] == pytest.approx(by_definition(real[i], synth[j]), abs=1e-12)


def test_prdc_at_its_ends():
    real = sample(50, 4, 0)
    same, far = prdc.compute(real, real), prdc.compute(real, real + 100)
    assert same.tolist() == [1, 1, pytest.approx(1.2), 1]  # each ball holds its centre and five neighbours
    assert far.tolist() == [0, 0, 0, 0]
    twins = np.repeat(real[:5], 10, axis=0)  # radius 0
    assert prdc.compute(twins, real[:10])[3] == 1
    assert prdc.compute(twins, real[:10])[0] == 0.5


def test_nearest():
    x, y = sample(600, 3, 1), sample(40, 3, 2)
    distance, index = nearest(x, y)
    assert distance == pytest.approx(cdist(x, y).min(1))
    assert (index == cdist(x, y).argmin(1)).all()
    own = cdist(x, x) + np.diag(np.full(600, np.inf))
    assert nearest(x, x, other=True)[0] == pytest.approx(own.min(1))
    assert nearest(np.ones((2, 3)), np.ones((1, 3)))[0].tolist() == [0, 0]


def picture(seed):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(30, 220, (6, 8, 3)).astype(np.float32)
    return np.clip(cv2.resize(coarse, (64, 48), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)


def prints(seeds, change=lambda image: image):
    return np.stack([fingerprint(change(picture(seed))) for seed in seeds])


def leak(synth, real, train):
    paths = [tuple(Path(f"{side}{i}") for i in range(len(a))) for side, a in (("s", synth), ("t", train))]
    return find_leakage(synth, real, train, *paths, (np.arange(len(synth)), np.arange(len(real))), 0)


def test_new_pictures_do_not_leak():
    found = leak(prints(range(60)), prints(range(100, 160)), prints(range(200, 300)))
    auc = found.measures["leakage"]
    assert auc.low < 0.5 < auc.high
    assert found.measures["copies"].value == found.measures["repeats"].value == 0
    assert found.notes == ()
    assert [p.kind for p in found.closest] == ["other"] * 24
    assert [p.distance for p in found.closest] == sorted(p.distance for p in found.closest)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda image: image, "exact"),
        (lambda image: np.clip(image * 0.8 + 20, 0, 255).astype(np.uint8), "near"),
        (lambda image: cv2.GaussianBlur(image, (0, 0), 1), "near"),
        (
            lambda image: np.clip(image + np.random.default_rng(0).normal(0, 6, image.shape), 0, 255).astype(np.uint8),
            "near",
        ),
        (lambda image: cv2.resize(image, (32, 24), interpolation=cv2.INTER_AREA), "near"),
    ],
    ids=["same", "brighter", "blurred", "noisy", "smaller"],
)
def test_copies_are_found_whatever_was_done_to_them(change, kind):
    found = leak(prints(range(200, 230), change), prints(range(100, 140)), prints(range(200, 300)))
    assert found.measures["leakage"].value > 0.99
    assert found.measures["copies"].value > 90
    assert {p.kind for p in found.closest} <= {kind, "near"}
    assert [p.train for p in found.closest] == [f"t{p.synth[1:]}" for p in found.closest]


def test_noise_is_far_from_training_and_never_the_best():
    noise = [fingerprint(np.random.default_rng(i).integers(0, 256, (48, 64, 3), np.uint8)) for i in range(30)]
    found = leak(np.stack(noise), prints(range(100, 140)), prints(range(200, 300)))
    assert found.measures["leakage"].high < 0.05
    assert DEFINITIONS["leakage"].better == "middle"
    assert not DEFINITIONS["leakage"].ranked
    assert DEFINITIONS["leakage"].arrow == "→ 0.5"


def test_repeats_and_real_frames_that_are_not_held_out():
    twice = np.concatenate([prints(range(10)), prints(range(5)), prints(range(20, 25))])
    found = leak(twice, prints(range(200, 210)), prints(range(200, 300)))
    assert found.measures["repeats"].value == 50
    assert any("10 of 10 real frames are in --train" in note for note in found.notes)
    assert found.measures["leakage"].value is None
    assert "none is held out" in found.measures["leakage"].reason


def test_leakage_is_told_by_the_real_frames_that_are_held_out():
    """Nothing is nearer than a frame to itself: shared frames would hide images that are close to training."""
    synth, train = prints(range(60)), prints(range(200, 300))
    apart = leak(synth, prints(range(100, 140)), train)
    mixed = leak(synth, prints([*range(100, 140), *range(200, 230)]), train)
    assert mixed.measures["leakage"] == apart.measures["leakage"]
    assert any("30 of 70 real frames are in --train" in note for note in mixed.notes)


def test_a_picture_of_one_colour_has_a_fingerprint():
    vector = fingerprint(np.full((20, 30, 3), 80, np.uint8))
    assert np.isfinite(vector).all()
    assert not vector[:768].any()


def flat(*colours):
    return np.stack([fingerprint(np.full((20, 30, 3), colour, np.uint8)) for colour in colours])


def test_pictures_of_one_colour_are_copies_of_pictures_of_that_colour_alone():
    train = np.concatenate([prints(range(5)), flat((0, 0, 0))])
    found = leak(flat((200, 200, 200), (90, 90, 90), (180, 90, 90), (90, 45, 45)), prints(range(100, 110)), train)
    assert found.measures["copies"].value == found.measures["repeats"].value == 0
    assert {p.kind for p in found.closest} == {"other"}
    same = leak(flat((0, 0, 0), (2, 2, 2), (200, 200, 200), (201, 200, 200)), prints(range(100, 110)), train)
    assert same.measures["copies"].value == 50 and same.measures["repeats"].value == 100
    assert [p.kind for p in same.closest[:2]] == ["exact", "near"]


@pytest.mark.parametrize("videos", [2, 3])
def test_the_interval_of_leakage_holds_the_truth_with_few_real_videos(videos):
    """Percentiles of the resamples would hold it half of the time, or in three of four."""
    rng = np.random.default_rng(videos)
    hits = 0
    for _ in range(100):
        real = np.repeat(rng.normal(0, 1, videos), 8) + rng.normal(0, 0.3, 8 * videos)
        groups = np.arange(40), np.repeat(np.arange(videos), 8)
        low, high = auc_interval(rng.normal(0, 1.04, 40), real, groups, rng, 60)
        hits += low <= 0.5 <= high
    assert hits / 100 >= 0.9
    assert auc_interval(real, real, (np.zeros(len(real)), np.arange(len(real))), rng) == (None, None)
