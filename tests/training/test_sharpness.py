"""How much sharper a second stage must be asked to be: measured on windows, between the offsets tried."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_windows import frames  # noqa: F401  (a fixture)

from surgaug.diffusion.schedules import Schedule
from surgaug.models.families import upsampler
from surgaug.models.upsampler import Upsampler
from surgaug.runtime.device import to_tensor
from surgaug.runtime.feedback import Silent
from surgaug.training import sharpness
from surgaug.training.methods.upsampler import SAMPLING

NETWORK = replace(
    upsampler.PRESETS["tiny"], channels=(8, 8), encoder_blocks=(1, 1), decoder_blocks=(1, 1), attention=(False, False),
    spade=(True, True), spade_hidden=8, noise_dim=16, label_channels=4,
)  # fmt: skip


def test_detail_is_the_finest_octave():
    noise = torch.randn(4, 1, 65, 96, generator=torch.Generator().manual_seed(0)).expand(-1, 3, -1, -1)
    assert sharpness.detail(0.3 * noise) == pytest.approx(0.3 * math.sqrt(0.75), rel=0.02)
    assert sharpness.detail(torch.full((1, 3, 8, 8), 0.7)) == 0
    coarse = torch.nn.functional.interpolate(noise, scale_factor=2, mode="nearest")
    assert sharpness.detail(coarse) < 1e-6


def test_the_offset_lies_between_those_tried():
    rising = [1.0, 2.0, 3.0, 4.0, 5.0]
    assert sharpness.offset_for(rising, 2.5) == pytest.approx(np.mean(sharpness.OFFSETS[1:3]))
    assert sharpness.offset_for(rising, 0.5) == sharpness.OFFSETS[0]  # sharp enough as it is
    assert sharpness.offset_for(rising, 9.0) == sharpness.OFFSETS[-1]  # never sharp enough
    assert sharpness.offset_for([1.0, 2.0, 2.0, 2.0, 2.0], 1.5) == pytest.approx(np.mean(sharpness.OFFSETS[:2]))


def measured(net: Upsampler, frames) -> float:  # noqa: F811
    schedule, sampling = Schedule(hand_over=1.0), {**SAMPLING, "grain": 0.0}
    return sharpness.sharper(net, frames, schedule, "x0", sampling, None, Silent())


def test_it_is_measured_against_the_windows_frames(frames, monkeypatch):  # noqa: F811
    """A network that gives the windows' own details, scaled as it is asked: half of them as it is."""
    drawn = [frames.draw(i, np.random.default_rng([8, i]), "", 0.0)[0] for i in range(len(frames))]
    real, asked = sharpness.detail(to_tensor(np.stack(drawn), "cpu")), []

    def made(net, windows, index_maps, offset, *more):
        asked.append(offset)
        noise = torch.randn(len(windows), 1, 32, 32, generator=torch.Generator().manual_seed(0)).expand(-1, 3, -1, -1)
        return noise * (0.5 + offset) * real / sharpness.detail(noise)

    monkeypatch.setattr(sharpness, "_made", made)
    net = Upsampler(replace(NETWORK, style=True), 2)
    assert measured(net, frames) == pytest.approx(0.3, abs=0.03)  # 0.8 of the frames' details
    assert set(asked) <= set(sharpness.OFFSETS[:3])  # and not asked further
    assert measured(Upsampler(replace(NETWORK, style=False), 2), frames) == 0


def test_an_untrained_network_is_measured_like_any(frames):  # noqa: F811
    torch.manual_seed(0)
    assert 0 <= measured(Upsampler(replace(NETWORK, style=True), 2), frames) <= sharpness.OFFSETS[-1]
