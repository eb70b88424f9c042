"""Classifier-free guidance (Ho & Salimans 2022)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Denoise = Callable[[Tensor, float], Tensor]


def guided(conditional: Denoise, both: Denoise, scale: float, rescale: float = 0.0) -> Denoise:
    """A denoiser whose estimate is `uncond + scale * (cond - uncond)`.

    Since x_0, eps and v are affine in each other at a given x_t, this is the same rule as for eps in the paper, whose
    weight w is scale - 1.

    conditional: the denoiser with the condition; x_t [B, ...] to x_0 [B, ...].
    both: a denoiser of [2B, ...], whose first B samples have the condition and whose last B have none. It is given x_t
        twice, so that both branches go through the network in one batch.
    scale: 1 gives `conditional` itself, at no extra cost; 0 the unconditional estimate; more than 1 strengthens.
    rescale: phi of Lin et al. 2023, equation 16, here on x_0: how far the standard deviation of the guided estimate
        is brought back to that of the conditional one, from 0 (not at all) to 1. Strong guidance over-exposes.
    """
    if scale == 1:
        return conditional

    def denoise(x_t: Tensor, alpha_bar: float) -> Tensor:
        cond, uncond = both(torch.cat([x_t, x_t]), alpha_bar).chunk(2)
        x_0 = torch.lerp(uncond, cond, scale)
        if rescale == 0:
            return x_0
        return x_0 * torch.lerp(torch.ones_like(_std(x_0)), _std(cond) / _std(x_0), rescale)

    return denoise


def _std(x: Tensor) -> Tensor:
    """Standard deviation of each sample, [B, 1, 1, ...]."""
    return x.std(dim=tuple(range(1, x.dim())), keepdim=True)
