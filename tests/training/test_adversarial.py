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
from surgaug.training.methods import cyclegan, pix2pix, spade
from surgaug.training.presets import from_command_line
from surgaug.training.run import train

SMALL = {
    "pix2pix": ["network.channels=8", "network.depth=3", "adversary.channels=8"],
    "cyclegan": ["network.channels=8", "network.blocks=1", "adversary.channels=8", "adversary.buffer=3"],
    "spade": ["network.channels=16,16,8", "network.hidden=8", "network.z=8", "adversary.channels=8"],
}
MODULES = {"pix2pix": pix2pix, "cyclegan": cyclegan, "spade": spade}


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
    real, calls = MODULES[model].Method.update, []

    def interrupting(self, *args):
        calls.append(1)
        if len(calls) == 5:
            os.kill(os.getpid(), signal.SIGINT)
        return real(self, *args)

    monkeypatch.setattr(MODULES[model].Method, "update", interrupting)
    with pytest.raises(Interrupted):
        train(settings(data, run, model))
    train(settings(data, run, model), resume=True)
    assert len(calls) == 8
    a, b = (torch.load(folder / "state.pt", weights_only=True) for folder in (whole, run))
    for state in (a, b):
        state.pop("minutes")
    assert equal(a, b)
    assert load_model(run / "last.safetensors").family == model


@pytest.mark.parametrize("model", ["pix2pix", "spade"])
def test_it_learns(data, tmp_path, model):
    """Two colours: synthetic and real images come much closer than they start."""
    start = train(settings(data, tmp_path / "a", model, steps=1, lr=1e-9)).val_loss
    end = train(settings(data, tmp_path / "b", model, steps=80, lr=2e-3)).val_loss
    assert end < 0.6 * start


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
    method.set_rate(0, 0.0)
    with FlopCounterMode(display=False) as counter:
        frames = FrameBatch(np.zeros((1, 64, 64, 3), np.uint8), np.zeros((1, 64, 64), np.uint8))
        method.update(frames, 0, slice(0, 1))
    return counter.get_total_flops() / 1e9


def test_tiny_costs_about_as_much_as_ours():
    """The figures of docs/baselines.md: of a frame, and of Muon's step, which is the same for any batch."""
    ours = gflop("diffusion", "muon_lr=none")
    found = {"diffusion": ours, **{model: gflop(model) for model in families.names() if model not in families.STAGES}}
    assert gflop("diffusion") - ours == pytest.approx(7.8, rel=0.05)
    assert found == pytest.approx({"diffusion": 1.9, "pix2pix": 1.7, "spade": 3.4, "cyclegan": 6.0}, rel=0.15)


def test_presets_are_those_of_the_model():
    with pytest.raises(UsageError, match="pix2pix has no such preset"):
        from_command_line("thesis", {"data": "d", "model": "pix2pix"}, None, [])
    with pytest.raises(UsageError, match="diffusion, cyclegan, pix2pix, spade"):
        from_command_line("tiny", {"data": "d", "model": "gan"}, None, [])
    assert from_command_line("tiny", {"data": "d", "model": "spade"}, None, []).out.endswith("d-spade-tiny-64x64")
