from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from surgaug.models.unet import SemanticUNet, UNetConfig
from surgaug.training import diffusion_step as training_step
from surgaug.training.config import TrainConfig
from surgaug.training.diffusion_step import (
    NetWithLabels,
    apply,
    draw,
    drop_labels,
    generator_of,
    gradient,
    lr_factor,
    make_batch,
)
from surgaug.training.frames import FrameBatch, order, repeat_factors

NETWORK = UNetConfig(
    channels=(16, 32), encoder_blocks=(1, 1), decoder_blocks=(1, 1), attention=(False, True), spade=(True, True),
    spade_hidden=8, label_channels=4, head_dim=16, noise_dim=32, style=True,
)  # fmt: skip
CONFIG = TrainConfig(network=NETWORK, size=(16, 16), batch=4, steps=10)
CPU = torch.device("cpu")


def a_batch(config=CONFIG, part=slice(0, 4), step=7):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
    maps = rng.integers(0, 3, (4, 16, 16), dtype=np.uint8)
    frames = FrameBatch(images[part], maps[part])
    return make_batch(config, draw(config, frames, 3, part, CPU, generator_of(config, step)), CPU)


def test_two_processes_see_the_parts_of_one_batch():
    whole = a_batch()
    for part in (slice(0, 2), slice(2, 4)):
        mine = a_batch(part=part)
        columns = [[b.x_t, b.noise_level, *b.condition, b.target, b.weight] for b in (whole, mine)]
        for expected, got in zip(*columns, strict=True):
            torch.testing.assert_close(got, expected[part], rtol=0, atol=0, equal_nan=True)


def test_styles_are_kept_from_the_network_at_the_asked_rate():
    config = replace(CONFIG, drop_style=0.3)
    dropped = torch.cat([a_batch(config, step=step).condition[1].isnan().all(1) for step in range(300)])
    assert abs(dropped.float().mean() - 0.3) < 4 * (0.3 * 0.7 / len(dropped)) ** 0.5


def test_another_step_brings_other_noise():
    assert not torch.equal(a_batch(step=7).x_t, a_batch(step=8).x_t)


@pytest.mark.parametrize("accumulate", [2, 4])
def test_accumulated_gradient_is_the_whole_ones(accumulate):
    grads = []
    for n in (1, accumulate):
        torch.manual_seed(0)
        net = SemanticUNet(NETWORK, 3)
        torch.nn.init.normal_(net.out.weight, std=0.1)
        config = replace(CONFIG, accumulate=n)
        scaler = torch.amp.GradScaler("cpu", enabled=False)
        gradient(NetWithLabels(net), a_batch(config), config, config.accumulate, scaler, None)
        grads.append(net.image_entry.weight.grad.clone())
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-4, atol=1e-7)


def test_a_step_without_a_finite_gradient_changes_nothing():
    net = SemanticUNet(NETWORK, 3)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    for p in net.parameters():
        p.grad = torch.full_like(p, float("nan"))
    optimizer = torch.optim.AdamW(net.parameters(), 1.0)
    norm = apply(net, [optimizer], torch.amp.GradScaler("cpu", enabled=False), 1.0)
    assert np.isnan(norm)
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_in_fp16_an_overflow_in_one_optimizers_gradient_keeps_all_from_their_step(bad):
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    optimizers = [torch.optim.AdamW(net[0].parameters(), 1e-2), torch.optim.SGD(net[1].parameters(), 1e-2)]
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)

    def step(spoil: bool) -> torch.Tensor:
        scaler.scale(net(torch.ones(1, 2)).square().sum()).backward()
        if spoil:
            net[1].weight.grad[0, 0] = bad
        return apply(net, optimizers, scaler, 1.0)

    step(False)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    assert not step(True).isfinite()
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items()) and scaler.get_scale() == 2
    assert step(False).isfinite() and scaler.get_scale() == 2
    assert not any(torch.equal(before[k], v) or v.isnan().any() for k, v in net.state_dict().items())


def test_label_dropout_rates_and_what_stays():
    maps = torch.randint(0, 3, (4000, 4, 4), dtype=torch.uint8)
    maps[:, 0, 0] = 255
    out = drop_labels(maps, 0.2, 0.1, 3, torch.Generator().manual_seed(0))
    gone = out == 255
    assert ((out == maps) | gone).all()
    assert (gone & (maps == 255)).sum() == (maps == 255).sum()
    for k in range(3):  # dropped with its map, or alone
        rate = gone[maps == k].float().mean().item()
        assert rate == pytest.approx(1 - 0.8 * 0.9, abs=0.02)
    one = torch.zeros(1, 4, 4, dtype=torch.uint8)
    assert torch.equal(drop_labels(one, 0.0, 0.0, 3, torch.Generator()), one)


def test_learning_rate_rises_then_falls():
    assert lr_factor(0, 0.0, 9) == pytest.approx(0.1)
    assert lr_factor(9, 0.0, 9) == 1.0
    assert lr_factor(1000, 0.5, 9) == pytest.approx(0.505)
    assert lr_factor(1000, 1.0, 9) == pytest.approx(0.01)
    assert lr_factor(1000, 7.0, 9) == pytest.approx(0.01)
    assert [lr_factor(step, 0.9, 9, "constant") for step in (4, 9, 1000)] == [0.5, 1.0, 1.0]


def test_order_goes_on_where_it_stopped_and_covers_every_frame():
    factors = np.array([1.0, 1.5, 3.0, 1.0])
    stream = order(factors, seed=3)
    first = [next(stream) for _ in range(100)]
    for start in (0, 1, 6, 7, 50):
        again = order(factors, seed=3, start=start)
        assert [next(again) for _ in range(20)] == first[start : start + 20]
    counts = np.bincount(first, minlength=4) / 100
    np.testing.assert_allclose(counts, factors / factors.sum(), atol=0.06)


def test_repeat_factors_against_lvis_by_hand():
    presence = np.zeros((100, 3), bool)
    presence[:, 0] = True
    presence[:1, 1] = True
    np.testing.assert_allclose(repeat_factors(presence, 0.04)[:2], [2.0, 1.0])
    assert (repeat_factors(presence, 0.0) == 1).all()


def test_styles_are_not_computed_for_a_network_without(monkeypatch):
    monkeypatch.setattr(training_step, "style_code", None)
    without = replace(CONFIG, network=replace(NETWORK, style=False))
    assert a_batch(without).condition[1].isnan().all()
