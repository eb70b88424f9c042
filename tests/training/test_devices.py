"""What a GPU will meet, checked without one: on the meta device, which has shapes and no values, so that whatever looks
at a value, and would make the host wait, fails."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from test_loop import settings
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from surgaug.diffusion.parameterisation import add_noise, clip_x0, denoiser
from surgaug.diffusion.samplers import get, names
from surgaug.diffusion.schedules import Schedule
from surgaug.models import families
from surgaug.models.upsampler import Window
from surgaug.runtime.distributed import ProcessGroup
from surgaug.runtime.feedback import Silent
from surgaug.training import methods
from surgaug.training.config import TrainConfig
from surgaug.training.frames import FrameBatch
from surgaug.training.logs import StepFigures
from surgaug.training.presets import from_command_line
from surgaug.training.validation import LEVELS, Validation
from surgaug.training.windows import FrameWindow

META = torch.device("meta")


class NoDoubles(TorchDispatchMode):
    """Refuses float64 on the meta device, as MPS does, and notes what was asked of it."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        doubles = [
            t for t in tree_leaves(out) if isinstance(t, torch.Tensor) and t.is_meta and t.dtype == torch.float64
        ]
        assert not doubles, f"{func}: float64 on the device"
        return out


class Readable(NoDoubles):
    """The same; but what is brought to the CPU can be looked at, as zeros."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        moved = (kwargs or {}).get("device") == torch.device("cpu") and [t for t in args if isinstance(t, torch.Tensor)]
        if moved and moved[0].is_meta:
            return torch.zeros(moved[0].shape, dtype=kwargs.get("dtype") or moved[0].dtype)
        return super().__torch_dispatch__(func, types, args, kwargs)


def frames(model: str) -> FrameBatch:
    rng = np.random.default_rng(0)
    windows = ()
    if model == families.UPSAMPLER:
        window = Window((96, 96), 8, 16, (32, 32))
        small = rng.integers(0, 256, (24, 24, 3), np.uint8)
        windows = (FrameWindow(window, small, np.zeros(7, np.float32)),) * 4
    return FrameBatch(
        rng.integers(0, 256, (4, 32, 32, 3), np.uint8), rng.integers(0, 3, (4, 32, 32), np.uint8), windows
    )


def config_of(model: str, *more: str) -> TrainConfig:
    if model not in families.STAGES:
        return from_command_line("tiny", {"model": model, "size": "32x32", "batch": 4}, None, [*more])
    more, size = (*more, "init=none"), "32x32"
    if model == families.UPSAMPLER:
        more, size = ("cascade.base=24x24", "cascade.window=32x32", "network.channels=8,8", *more), "96x96"
    return settings(Path("x"), Path("y"), *more, model=model, size=size)


def method(model: str):
    config = config_of(model)
    net = families.get(model).build(config.network, 3).to(META)
    return methods.get(model).Method(config, net, 3, META, None, ProcessGroup())


@pytest.mark.parametrize("model", families.names())
def test_a_step_of_training_waits_for_nothing_and_needs_no_doubles(model):
    trained = method(model)
    figures = StepFigures()
    with NoDoubles():
        for step in range(2):
            trained.set_rate(step, float(step))  # of pix2pixHD the fine generator joins
            figures.add(step, trained.update(frames(model), step, slice(0, 4)))
    with pytest.raises(RuntimeError, match="meta"):
        figures.look()  # only this waits


def test_validation_needs_no_doubles():
    trained = method(families.DIFFUSION)
    given = frames(families.DIFFUSION)
    palette = np.zeros((256, 3), np.uint8)
    validation = Validation(given.images, given.index_maps, palette, Schedule(), "x0", META, None)
    with Readable():
        losses = validation.losses(trained.net, 2, Silent().task("", None))
        sheet = validation.sheet(trained.net, Silent().task("", None))
    assert len(losses) == LEVELS and sheet.shape == (96, 128, 3)


@pytest.mark.parametrize("sampler", names())
def test_sampling_waits_for_nothing_and_needs_no_doubles(sampler):
    levels = Schedule().sampling_levels(6, "karras")
    denoise = clip_x0(denoiser("v", lambda x, level: x * level[:, None, None, None]))
    with NoDoubles():
        out = get(sampler)(
            denoise, torch.empty(2, 3, 8, 8, device=META), levels, lambda step: torch.empty(2, 3, 8, 8, device=META)
        )
    assert out.shape == (2, 3, 8, 8) and out.is_meta


def test_a_number_and_a_tensor_of_it_add_the_same_noise():
    x_0, eps = torch.randn(2, 4, 3, 5, 5).unbind()
    for level in (0.0, 0.3, 1.0):
        levels = torch.full((4,), level, dtype=torch.float64)
        torch.testing.assert_close(add_noise(x_0, eps, level), add_noise(x_0, eps, levels), rtol=1e-6, atol=1e-6)
