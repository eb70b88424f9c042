"""Pictures of a network in training, sampled as its model file will say by default: to look at what it makes."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from surgaug.diffusion import samplers
from surgaug.diffusion.guidance import Denoise, conditional_denoiser
from surgaug.diffusion.parameterisation import add_noise, clip_x0
from surgaug.diffusion.schedules import Schedule
from surgaug.diffusion.spacing import alpha_bar_at
from surgaug.labels.label_space import IGNORE_INDEX
from surgaug.models.unet import Conditioning, SemanticUNet, conditioned
from surgaug.runtime.device import autocast, to_device, to_images


def guided(
    net: SemanticUNet,
    prediction: str,
    index_maps: np.ndarray,
    style: Tensor | None,
    scale: float,
    below: float,
    device: torch.device,
    dtype: torch.dtype | None,
) -> Denoise:
    """The denoiser that a sampler takes, of images of these index maps uint8 [b, d H, d W] and style codes [b, 7]."""

    def condition(maps: np.ndarray) -> Conditioning:
        with autocast(device, dtype):
            return net.condition(to_device(maps, device), style)

    network = partial(conditioned, net, device=device, dtype=dtype)
    without = partial(condition, np.full_like(index_maps, IGNORE_INDEX))
    return clip_x0(conditional_denoiser(prediction, network, condition(index_maps), without, scale, below))


def sampled(
    denoise: Denoise,
    shape: tuple[int, ...],
    schedule: Schedule,
    sampling: dict[str, Any],
    generator: torch.Generator,
    device: torch.device,
    begun: tuple[Tensor, float] | None = None,
) -> np.ndarray:
    """Images uint8 [b, H, W, 3] from noise of `shape` = (b, 3, H, W). sampling: a model's defaults. begun: images of
    that shape in [-1, 1], and the sigma of the noise on them that sampling begins from instead."""
    sampler = sampling["sampler"]
    spacing = sampling.get("options", {}).get("spacing", samplers.spacing(sampler))
    levels = schedule.sampling_levels(sampling.get("steps") or samplers.steps(sampler), spacing)

    def noise(step: int = 0) -> Tensor:
        return torch.randn(shape, generator=generator).to(device)

    start = noise()
    if begun is not None:
        x_0, sigma = begun
        levels = levels[levels >= alpha_bar_at(sigma)]
        start = add_noise(x_0, start, float(levels[0]))
    return to_images(samplers.get(sampler)(denoise, start, levels, noise))
