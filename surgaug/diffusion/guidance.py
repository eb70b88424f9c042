"""Classifier-free guidance (Ho & Salimans 2022), at high noise levels left out (Kynkäänniemi et al. 2024)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from surgaug.diffusion.parameterisation import denoiser
from surgaug.diffusion.spacing import alpha_bar_at

Denoise = Callable[[Tensor, float], Tensor]
Network = Callable[[Tensor, Tensor], Tensor]


class Batched(Protocol):
    """What a network is told for a batch (`models.unet.Conditioning`); `cat` puts one batch behind another."""

    @staticmethod
    def cat(parts: list[Any]) -> Any: ...


Condition = TypeVar("Condition", bound=Batched)


def conditional_denoiser(
    kind: str,
    network: Callable[[Condition], Network],
    cond: Condition,
    null: Callable[[], Condition],
    scale: float = 1.0,
    below: float = math.inf,
) -> Denoise:
    """The denoiser that samplers take, of a network that predicts `kind`, with or without guidance.

    network: from what it is told for a batch to `network(x_t, noise_level)`. null: the batch's condition without label
    maps; asked for only where there is guidance. scale, below: as of `guided`.
    """
    plain = denoiser(kind, network(cond))
    if scale == 1:
        return plain
    return guided(plain, denoiser(kind, network(cond.cat([cond, null()]))), scale, below)


def guided(conditional: Denoise, both: Denoise, scale: float, below: float = math.inf) -> Denoise:
    """A denoiser whose estimate is `uncond + scale * (cond - uncond)`.

    Since x_0, eps and v are affine in each other at a given x_t, this is the same rule as for eps in the paper, whose
    weight w is scale - 1.

    conditional: the denoiser with the condition; x_t [B, ...] to x_0 [B, ...].
    both: a denoiser of [2B, ...], whose first B samples have the condition and whose last B have none. It is given x_t
        twice, so that both branches go through the network in one batch.
    scale: 1 gives `conditional` itself, at no extra cost; 0 the unconditional estimate; more than 1 strengthens.
    below: the highest noise level, sigma = sqrt(1 / alpha_bar - 1), at which there is guidance. Above it the estimate
        is the conditional one, at no extra cost: there a picture's colours are decided, which guidance makes too
        strong (Kynkäänniemi et al. 2024, Applying Guidance in a Limited Interval).
    """
    if scale == 1:
        return conditional
    least = alpha_bar_at(below)

    def denoise(x_t: Tensor, alpha_bar: float) -> Tensor:
        if alpha_bar < least:
            return conditional(x_t, alpha_bar)
        cond, uncond = both(torch.cat([x_t, x_t]), alpha_bar).chunk(2)
        return torch.lerp(uncond, cond, scale)

    return denoise
