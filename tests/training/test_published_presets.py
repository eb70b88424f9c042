"""Presets `thesis` and `sdm` in our loop: what they are trained with, that they learn, and how they are sampled."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from surgaug.models.checkpoint import load_model
from surgaug.training.presets import from_command_line, preset
from surgaug.training.run import train

SMALL = [
    "network.channels=8,16", "network.encoder_blocks=1,1", "network.decoder_blocks=2,2", "network.spade_hidden=8",
    "network.attention=false,true", "network.spade=true,true", "network.head_dim=8", "network.noise_dim=32",
    "network.dropout=0", "save_minutes=60", "warmup=5", "lr=3e-3",
]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Squares of one colour on a ground of another."""
    root, rng = tmp_path_factory.mktemp("frames"), np.random.default_rng(0)
    for sub in ("images", "labels"):
        (root / sub).mkdir()
    for i in range(12):
        label = np.zeros((16, 24), np.uint8)
        y, x = rng.integers(0, 10, 2)
        label[y : y + 6, x : x + 8] = 1
        cv2.imwrite(str(root / "labels" / f"f{i:03}.png"), label)
        cv2.imwrite(str(root / "images" / f"f{i:03}.png"), np.where(label[..., None] == 1, 40, 200).repeat(3, 2))
    return root


@pytest.mark.parametrize(("name", "sampler", "guidance"), [("thesis", "ddim", 1.0), ("sdm", "ddpm", 2.5)])
def test_they_learn_and_say_how_they_are_sampled(data, tmp_path, name, sampler, guidance):
    def trained(steps):
        given = {"data": str(data), "out": str(tmp_path / str(steps)), "size": "16x24", "batch": 4, "steps": steps}
        return train(from_command_line(name, given, None, SMALL))

    end = trained(60)
    assert end.val_loss < 0.6 * trained(1).val_loss
    model = load_model(end.model)
    assert type(model.net).__name__ == "SR3UNet" and model.prediction == "eps"
    assert (model.defaults["sampler"], model.defaults["guidance"]) == (sampler, guidance)


@pytest.mark.parametrize("name", ["thesis", "sdm"])
def test_a_constant_rate_and_a_constant_average_as_published(name):
    config = preset(name)
    assert (config.lr, config.lr_decay, config.betas, config.weight_decay) == (1e-4, "constant", (0.9, 0.999), 0.0)
    assert (config.ema_decay, config.min_snr_gamma, config.muon_lr, config.init) == (0.9999, None, None, None)


def test_the_schedules_of_the_papers():
    thesis, sdm = preset("thesis").schedule, preset("sdm").schedule
    assert (thesis.kind, thesis.timesteps) == ("cosine", 2000)
    betas = 1 - sdm.alpha_bars[1:] / sdm.alpha_bars[:-1]
    torch.testing.assert_close(betas, torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), rtol=1e-6, atol=1e-9)
