"""The baselines in the same loop as ours: they resume bit for bit, learn, and refuse what they would not heed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from surgaug.errors import Interrupted, UsageError
from surgaug.models import families
from surgaug.models.checkpoint import load_model
from surgaug.runtime.distributed import ProcessGroup
from surgaug.runtime.feedback import Silent
from surgaug.training import methods
from surgaug.training.adversarial import cross_entropy, feature_matching, hinge, least_squares
from surgaug.training.config import TrainConfig, check
from surgaug.training.data import load_data
from surgaug.training.frames import FrameBatch, batches
from surgaug.training.methods import cyclegan, spade
from surgaug.training.presets import from_command_line
from surgaug.training.run import train

SMALL = {
    "pix2pix": ["network.channels=8", "network.depth=3", "adversary.channels=8"],
    "cyclegan": ["network.channels=8", "network.blocks=1", "adversary.channels=8", "adversary.buffer=3"],
    "spade": ["network.channels=16,16,8", "network.hidden=8", "network.z=8", "adversary.channels=8"],
    "clade": ["network.channels=16,16,8", "network.z=8", "adversary.channels=8"],
    "pix2pixhd": ["network.channels=8", "network.downs=2", "network.blocks=1", "network.fine_blocks=1",
                  "adversary.channels=8"],
}  # fmt: skip
ENCODER = ["network.encoder=true", *SMALL["spade"]]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Squares (class 1) on a ground (class 0), each of a colour that the label decides."""
    root, rng = tmp_path_factory.mktemp("frames"), np.random.default_rng(0)
    for sub in ("images", "labels"):
        (root / sub).mkdir()
    for i in range(24):
        label = np.zeros((16, 24), np.uint8)
        y, x = rng.integers(0, 10, 2)
        label[y : y + 6, x : x + 8] = 1
        image = np.where(label[..., None] == 1, [40, 60, 200], [180, 120, 60]) + rng.normal(0, 8, (16, 24, 3))
        cv2.imwrite(str(root / "images" / f"f{i:03}.png"), image.clip(0, 255).astype(np.uint8))
        cv2.imwrite(str(root / "labels" / f"f{i:03}.png"), label)
    return root


def settings(data: Path, out: Path, model: str, *more: str, **given) -> TrainConfig:
    given = {"data": str(data), "out": str(out), "model": model, "size": "16x24", "batch": 2, "steps": 8, **given}
    return from_command_line("tiny", given, None, [*SMALL[model], *more])


def equal(a, b) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(equal, a, b))
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


@pytest.mark.parametrize("model", SMALL)
def test_resumed_equals_uninterrupted_bit_for_bit(data, tmp_path, monkeypatch, model):
    """Generator, discriminator, both optimizers, and the buffer of old images."""
    whole, run = tmp_path / "whole", tmp_path / "run"
    train(settings(data, whole, model))
    method = methods.get(model).Method
    real, calls = method.update, []

    def interrupting(self, *args):
        calls.append(1)
        if len(calls) == 5:
            os.kill(os.getpid(), signal.SIGINT)
        return real(self, *args)

    monkeypatch.setattr(method, "update", interrupting)
    with pytest.raises(Interrupted):
        train(settings(data, run, model))
    train(settings(data, run, model), resume=True)
    assert len(calls) == 8
    a, b = (torch.load(folder / "state.pt", weights_only=True) for folder in (whole, run))
    for state in (a, b):
        state.pop("minutes")
    assert equal(a, b)
    assert load_model(run / "last.safetensors").family == model


@pytest.mark.parametrize(
    ("model", "more"),
    [("pix2pix", []), ("spade", []), ("spade", ["network.encoder=true"]), ("clade", []), ("pix2pixhd", []),
     ("pix2pixhd", ["adversary.coarse=1"])],
)  # fmt: skip
def test_it_learns(data, tmp_path, model, more):
    """Two colours: synthetic and real images come much closer than they start."""
    start = train(settings(data, tmp_path / "a", model, *more, steps=1, lr=1e-9)).val_loss
    end = train(settings(data, tmp_path / "b", model, *more, steps=80, lr=2e-3)).val_loss
    assert end < 0.6 * start


def test_pix2pixhd_grows_when_its_time_has_come_and_the_model_file_knows(data, tmp_path):
    config = settings(data, tmp_path / "run", "pix2pixhd", "adversary.coarse=0.6")
    net = families.get("pix2pixhd").build(config.network, 2)
    method = methods.get("pix2pixhd").Method(config, net, 2, torch.device("cpu"), None, ProcessGroup())
    fine = net.up[-2].weight.clone()
    grown = []
    for step in range(4):
        method.set_rate(step, step / 4)
        method.update(
            FrameBatch(np.zeros((1, 17, 24, 3), np.uint8), np.zeros((1, 17, 24), np.uint8)), step, slice(0, 1)
        )
        grown.append((bool(net.grown), not torch.equal(fine, net.up[-2].weight)))
    assert grown == [(False, False), (False, False), (False, False), (True, True)]
    train(config)
    assert bool(load_model(tmp_path / "run" / "last.safetensors").net.grown)


def test_what_spades_encoder_is_drawn_to():
    """Closed form of the divergence, and torch's own."""
    mean, log_variance = torch.tensor([[1.0, 0.0], [0.5, -2.0]]), torch.tensor([[0.0, 1.0], [-1.0, 0.3]])
    given = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    wanted = torch.distributions.Normal(torch.zeros(2, 2), torch.ones(2, 2))
    expected = torch.distributions.kl_divergence(given, wanted).sum(dim=1).mean()
    torch.testing.assert_close(spade.divergence(mean, log_variance), expected)


def test_with_an_encoder_spade_paints_in_the_style_of_the_frame(data):
    """One map, two frames: the images are made from another z."""
    config = from_command_line("tiny", {"data": str(data), "model": "spade", "size": "16x24"}, None, ENCODER)
    torch.manual_seed(0)
    net = families.get("spade").build(config.network, 2)
    torch.nn.init.normal_(net.encoder.mean.weight)
    method = methods.get("spade").Method(config, net, 2, torch.device("cpu"), None, ProcessGroup())
    index_map, frames = torch.zeros(2, 16, 24, dtype=torch.uint8), torch.rand(2, 3, 16, 24) * 2 - 1
    batch = method.generated(index_map, frames)
    assert batch.penalty > 0 and not torch.allclose(batch.fake[0], batch.fake[1])
    batch.fake[0].sum().backward()
    assert net.encoder.mean.weight.grad.abs().sum() > 0


def test_cyclegan_sees_no_pairs_and_the_same_ones_after_a_resume(data):
    frames = load_data(settings(data, Path("x"), "cyclegan"), Silent()).frames
    factors, arguments = np.ones(len(frames)), {"seed": 3, "batch": 4, "part": slice(0, 4), "flip": "h", "zoom": 0.1}

    def first(n, step=0, paired=False):
        stream = batches(frames, factors, step=step, paired=paired, **arguments)
        return [next(stream) for _ in range(n)]

    apart, together = first(4), first(4, paired=True)
    for some, pairs in zip(apart, together, strict=True):
        assert np.array_equal(some.images, pairs.images)
        assert not np.array_equal(some.index_maps, pairs.index_maps)
    for some, again in zip(apart[2:], first(2, step=2), strict=True):
        assert np.array_equal(some.images, again.images) and np.array_equal(some.index_maps, again.index_maps)


def test_the_buffer_passes_on_new_and_old_pictures_alike():
    torch.manual_seed(0)
    buffer = cyclegan.Buffer(5, (1,))
    for i in range(5):
        assert buffer.exchange(torch.full((1, 1), float(i))).item() == i
    out = [buffer.exchange(torch.full((1, 1), float(i))).item() for i in range(5, 405)]
    fresh = sum(value == i for i, value in enumerate(out, 5))
    assert 160 < fresh < 240
    assert sorted([*out, *buffer.kept.flatten().tolist()]) == list(range(405))  # none lost, none twice


def test_what_the_host_looks_at_stays_on_the_cpu_whatever_the_device():
    buffer = cyclegan.Buffer(5, (1,))
    buffer.exchange(torch.zeros(3, 1))
    torch.nn.ModuleList([buffer]).to("meta")
    assert buffer.kept.is_meta and buffer.count == 3 and list(buffer.state_dict()) == ["kept", "count"]


def test_losses_by_hand():
    answer = torch.tensor([-2.0, 0.5]).view(1, 1, 1, 2)
    assert hinge(answer, True).item() == pytest.approx((3 + 0.5) / 2)
    assert hinge(answer, False).item() == pytest.approx((0 + 1.5) / 2)
    assert least_squares(answer, True).item() == pytest.approx((9 + 0.25) / 2)
    assert least_squares(answer, False).item() == pytest.approx((4 + 0.25) / 2)
    assert cross_entropy(answer, True).item() == pytest.approx(np.mean(np.log1p(np.exp([2.0, -0.5]))), rel=1e-5)
    a, b = [torch.zeros(2), torch.ones(3)], [torch.ones(2), torch.ones(3) * 3]
    assert feature_matching(a, b).item() == 3


@pytest.mark.parametrize(
    ("assignment", "says"),
    [("drop_map=0.2", "drop_map"), ("schedule.kind=linear", "schedule"), ("accumulate=2", "accumulate"),
     ("init=x", "--init"), ("adversary.betta=1,1", "adversary.betas"), ("network.depht=3", "network.depth"),
     ("model=spade", "--model")],
)  # fmt: skip
def test_what_a_baseline_does_not_heed_is_refused(data, assignment, says):
    with pytest.raises(UsageError, match=says):
        check(settings(data, Path("x"), "pix2pix", assignment))


def gflop(model: str, *settings: str) -> float:
    """Of one training step of preset tiny on a single frame of 64x64 with two classes."""
    config = from_command_line("tiny", {"data": "d", "model": model, "batch": 1}, None, settings)
    net = families.get(model).build(config.network, 2)
    method = methods.get(model).Method(config, net, 2, torch.device("cpu"), None, ProcessGroup())
    method.set_rate(0, 0.9)  # pix2pixHD is grown by then
    with FlopCounterMode(display=False) as counter:
        frames = FrameBatch(np.zeros((1, 64, 64, 3), np.uint8), np.zeros((1, 64, 64), np.uint8))
        method.update(frames, 0, slice(0, 1))
    return counter.get_total_flops() / 1e9


def test_tiny_costs_about_as_much_as_ours():
    """The figures of docs/baselines.md: of a frame, and of Muon's step, which is the same for any batch."""
    ours = gflop("diffusion", "muon_lr=none")
    found = {"diffusion": ours, **{model: gflop(model) for model in families.names() if model not in families.STAGES}}
    assert gflop("diffusion") - ours == pytest.approx(7.8, rel=0.05)
    expected = {"diffusion": 1.9, "pix2pix": 1.7, "pix2pixhd": 1.7, "spade": 3.4, "clade": 1.2, "cyclegan": 6.0}
    assert found == pytest.approx(expected, rel=0.15)


def test_presets_are_those_of_the_model():
    with pytest.raises(UsageError, match="pix2pix has no such preset"):
        from_command_line("thesis", {"data": "d", "model": "pix2pix"}, None, [])
    with pytest.raises(UsageError, match="diffusion, clade, cyclegan, pix2pix, pix2pixhd, spade"):
        from_command_line("tiny", {"data": "d", "model": "gan"}, None, [])
    assert from_command_line("tiny", {"data": "d", "model": "spade"}, None, []).out.endswith("d-spade-tiny-64x64")
