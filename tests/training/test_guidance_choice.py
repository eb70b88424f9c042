"""Which scale of guidance a training keeps: the nearest one, but only where the frames can tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from surgaug.diffusion.schedules import Schedule
from surgaug.models.families import diffusion
from surgaug.models.unet import SemanticUNet
from surgaug.runtime.feedback import Silent
from surgaug.training import guidance_choice as guidance
from surgaug.training.methods.diffusion import SAMPLING

NETWORK = replace(
    diffusion.PRESETS["tiny"], channels=(8, 8), encoder_blocks=(1, 1), decoder_blocks=(1, 1), attention=(False, False),
    spade=(True, True), spade_hidden=8, noise_dim=16, label_channels=4,
)  # fmt: skip
ENOUGH = guidance.LEAST * guidance.A_PICTURE


class Told(Silent):
    """Keeps what it is told."""

    def __init__(self):
        self.lines = []

    def info(self, message):
        self.lines.append(message)


class Seen:
    """Validation frames: smooth pictures of two colours each, with their maps."""

    size = (16, 24)

    def __init__(self, count: int):
        rng = np.random.default_rng(0)
        self.maps = [np.repeat(rng.integers(0, 2, (16, 1)), 24, 1).astype(np.uint8) for _ in range(count)]
        self.images = [self.painted(index_map, rng.integers(60, 200, 3)) for index_map in self.maps]

    @staticmethod
    def painted(index_map, colour):
        return (index_map[..., None] * 40 + colour).astype(np.uint8)

    def __len__(self):
        return len(self.maps)

    def view(self, i):
        return self.images[i], self.maps[i]


def choose(frames, seen=ENOUGH, told=None, **sampling):
    torch.manual_seed(0)
    net = SemanticUNet(NETWORK, 2).eval()
    settings = {**SAMPLING, "steps": 2, **sampling}
    device = torch.device("cpu")
    return guidance.choose(net, frames, seen, Schedule(), "x0", settings, device, None, told or Silent())


def pictures(monkeypatch, scale_of_noise):
    """What is sampled with a scale: the map's own picture, with more grain the further the scale is from the best."""
    calls = []

    def guided(net, prediction, index_maps, style, scale, *more):
        calls.append((scale, style))
        return index_maps, scale

    def sampled(denoise, shape, schedule, sampling, generator, device):
        (index_maps, scale), (count, _, *size) = denoise, shape
        rng = np.random.default_rng(generator.initial_seed())
        noise = rng.normal(0, scale_of_noise(scale) + 1e-6, (count, *size, 3))
        colours = rng.integers(60, 200, (count, 1, 1, 3))
        return (index_maps[..., None] * 40 + colours + noise).clip(0, 255).astype(np.uint8)

    monkeypatch.setattr(guidance, "guided", guided)
    monkeypatch.setattr(guidance, "sampled", sampled)
    return calls


@pytest.mark.parametrize("best", guidance.SCALES)
def test_the_scale_whose_pictures_lie_nearest_is_kept(monkeypatch, best):
    calls, told = pictures(monkeypatch, lambda scale: 40 * abs(scale - best)), Told()
    assert choose(Seen(20), told=told) == best
    assert {scale for scale, _ in calls} == set(guidance.SCALES)
    assert f"guidance {best:g}" in told.lines[0] and "20 validation frames" in told.lines[0]
    styles = torch.cat([style for scale, style in calls if scale == best])
    assert styles.shape == (guidance.LEAST, 7)  # in the looks of the frames, each as often


def test_what_is_hardly_nearer_stays_as_usual(monkeypatch):
    told = Told()
    pictures(monkeypatch, lambda scale: 10 - scale / 100)  # nearly the same pictures with each
    assert choose(Seen(20), told=told) == SAMPLING["guidance"]
    assert "not enough of a gain" in told.lines[0] or "guidance 2" in told.lines[0]


def test_nearer_is_a_tenth_nearer_in_most_resamples():
    rng, of_map = np.random.default_rng(0), np.arange(40) % 20
    real = rng.normal(size=(20, 5))
    far, near = (rng.normal(shift, 1, size=(40, 5)) for shift in (3, 0))
    assert guidance.nearest(real, {1.0: near, 2.0: far}, of_map, 2.0)[::2] == (1.0, True)
    assert guidance.nearest(real, {1.0: far, 2.0: near}, of_map, 2.0)[::2] == (2.0, True)
    hardly = far + 0.05 * (real.mean(0) - far.mean(0))  # a tenth nearer in the square, but for the spread
    kept, distances, clear = guidance.nearest(real, {1.0: hardly, 2.0: far}, of_map, 2.0)
    assert (kept, clear) == (2.0, False) and distances[1.0] < distances[2.0]
    # One frame of twenty decides: most resamples say otherwise.
    lone = np.zeros((20, 2))
    lone[0] = 40
    made = {
        1.0: np.concatenate([lone[:1], np.zeros((19, 2)) + 0.5]),
        2.0: np.zeros((20, 2)) + 0.01 * np.arange(20)[:, None],
    }
    kept, distances, clear = guidance.nearest(lone, made, np.arange(20), 2.0)
    assert distances[1.0] < 0.9 * distances[2.0] and (kept, clear) == (2.0, False)


def test_too_few_frames_or_too_short_a_training_choose_nothing(monkeypatch):
    calls = pictures(monkeypatch, lambda scale: 40 * abs(scale - 1))
    told = Told()
    assert choose(Seen(guidance.LEAST_FRAMES - 1), told=told) == SAMPLING["guidance"]
    assert choose(Seen(20), seen=ENOUGH - 1, told=told) == SAMPLING["guidance"]
    assert told.lines == [
        "guidance 2 is kept, no other is tried: 15 validation frames, and 16 are needed",
        "guidance 2 is kept, no other is tried: 9,599 images trained on, and 9,600 are needed",
    ]
    assert not calls
    assert guidance.how_many(10**9) == guidance.PICTURES


def test_it_samples_as_synthesize_does(monkeypatch):
    """A real network through the real sampler: the same pictures each time, and others with another scale."""
    torch.manual_seed(0)
    net, frames = SemanticUNet(NETWORK, 2).eval(), Seen(4)
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    device, maps = torch.device("cpu"), np.stack(frames.maps)

    def made(scale):
        denoise = guidance.guided(net, "x0", maps, None, scale, 5.0, device, None)
        generator = torch.Generator().manual_seed(0)
        return guidance.sampled(denoise, (4, 3, 16, 24), Schedule(), {**SAMPLING, "steps": 3}, generator, device)

    assert made(2.0).shape == (4, 16, 24, 3) and made(2.0).dtype == np.uint8
    assert np.array_equal(made(2.0), made(2.0))
    assert not np.array_equal(made(1.0), made(2.0))
