"""How much sharper than the frames a second stage must be asked to be, for pictures about as sharp as they are.

A few steps end near the mean of what is likely, which is softer than any frame. But the network is told how sharp a
picture is asked for (`models/style.py`) and heeds it. How much it takes depends on how well the network is trained, so
it is measured when a training ends: on windows of training frames, made from the first stage's own pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from surgaug.diffusion import samplers
from surgaug.diffusion.parameterisation import add_noise, clip_x0, denoiser
from surgaug.diffusion.schedules import Schedule
from surgaug.models.unet import conditioned
from surgaug.models.upsampler import Upsampler
from surgaug.runtime.device import to_tensor
from surgaug.runtime.feedback import Feedback
from surgaug.runtime.spread import spread
from surgaug.training.windows import FrameWindow, WindowedFrames, condition_of, even, finest_octave

# What is added to the style's last number, half the logarithm of detail; and the share of the frames' detail asked for.
# No more than 0.8 is: asked for what it cannot do, a network loses by deep features what it gains in texture.
OFFSETS = (0.0, 0.2, 0.4, 0.6, 0.8)
AS_SHARP = 0.8
WINDOWS, BATCH = 64, 8


def detail(x: Tensor) -> float:
    """The finest octave of images [B, 3, H, W]: rms of what grey lacks in the means of 2x2 pixels, mean of images."""
    grey = even(x.float().mean(1, keepdim=True))
    return float(finest_octave(grey).square().mean((1, 2, 3)).sqrt().mean())


def offset_for(details: Sequence[float], wanted: float) -> float:
    """The offset at which detail is `wanted`, between the two of `OFFSETS` where it comes to that; the first where that
    is enough, the last where none is. details: at the first of `OFFSETS`."""
    return round(float(np.interp(wanted, np.maximum.accumulate(details), OFFSETS[: len(details)])), 3)


@torch.inference_mode()
def sharper(
    net: Upsampler,
    frames: WindowedFrames,
    schedule: Schedule,
    prediction: str,
    sampling: dict[str, Any],
    dtype: torch.dtype | None,
    feedback: Feedback,
) -> float:
    """What must be added to the style's last number; 0 for a network without styles. sampling: the model's defaults."""
    if net.style is None:
        return 0.0
    own = sorted(frames.own_pictures) or list(range(len(frames)))
    chosen = [own[k] for k in spread(len(own), WINDOWS)]
    drawn = [frames.draw(i, np.random.default_rng([8, i]), "", 0.0) for i in chosen]
    windows = [
        replace(window, small=frames.own_pictures.get(i, window.small))
        for i, (_, _, window) in zip(chosen, drawn, strict=True)
    ]
    images, index_maps = np.stack([image for image, _, _ in drawn]), np.stack([index_map for _, index_map, _ in drawn])
    wanted = AS_SHARP * detail(to_tensor(images, "cpu"))
    found = []
    with feedback.task("measuring sharpness", len(OFFSETS) * len(chosen), "windows") as bar:
        for offset in OFFSETS:
            made = []
            for start in range(0, len(chosen), BATCH):
                part = slice(start, start + BATCH)
                made.append(_made(net, windows[part], index_maps[part], offset, schedule, prediction, sampling, dtype))
                bar.advance(len(made[-1]))
            found.append(detail(torch.cat(made)))
            if found[-1] >= wanted:
                bar.advance((len(OFFSETS) - len(found)) * len(chosen))
                break
    return offset_for(found, wanted)


def _made(
    net: Upsampler,
    windows: list[FrameWindow],
    index_maps: np.ndarray,
    offset: float,
    schedule: Schedule,
    prediction: str,
    sampling: dict[str, Any],
    dtype: torch.dtype | None,
) -> Tensor:
    """Images [b, 3, h, w] of windows, on the CPU, as `synthesize` makes them of whole frames."""
    device = net.detail.device
    generator = torch.Generator().manual_seed(0)
    cond = condition_of(net, index_maps, windows, sampling["picture_noise"], generator, dtype, offset)
    assert cond.picture is not None
    levels = schedule.sampling_levels(sampling["steps"], sampling["options"]["spacing"])
    eps, grain = (torch.randn(cond.picture.shape, generator=generator) for _ in range(2))
    denoise = clip_x0(denoiser(prediction, conditioned(net, cond, device, dtype)))
    start = add_noise(cond.picture, eps.to(device), float(levels[0]))
    x_0 = samplers.get(sampling["sampler"])(denoise, start, levels, lambda step: eps.to(device))
    return x_0.cpu() + sampling.get("grain", 0.0) * grain
