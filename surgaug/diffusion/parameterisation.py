"""What the network predicts: the noise "eps", the velocity "v" (Salimans & Ho 2022, appendix D) or the image "x0".

In every function `x_0`, `x_t`, `eps` and `out` are [B, ...] and of one dtype; `alpha_bar` is a float or a tensor [B]. A
tensor is best float64 and on the CPU, as `Schedule.sample_levels` gives it: 1 - alpha_bar is small, and some devices
have no float64. Coefficients are computed in its dtype and then moved to the images' dtype and device, without waiting
for the device: those of a float are kernel arguments, and a tensor's go there from pinned memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from surgaug.diffusion.schedules import Schedule
from surgaug.errors import UsageError
from surgaug.runtime.device import to_device

KINDS = ("eps", "v", "x0")

Level = float | Tensor


def check(kind: str, schedule: Schedule) -> None:
    """Raise UsageError if `kind` is unknown, or if a network trained so cannot be sampled. Call it before training."""
    if kind not in KINDS:
        raise UsageError(f"prediction: {kind!r} is not one of {', '.join(KINDS)}")
    schedule.check()
    if kind == "eps" and schedule.zero_terminal_snr:
        raise UsageError(
            "prediction: 'eps' cannot go with zero_terminal_snr: at the last noise level x_t is the noise itself, so "
            "predicting it says nothing about the image; use 'v' or 'x0', or turn zero_terminal_snr off"
        )


def add_noise(x_0: Tensor, eps: Tensor, alpha_bar: Level) -> Tensor:
    """x_t, the forward process at noise level `alpha_bar` (Ho et al. 2020, equation 4)."""
    signal, noise = _coefficients(alpha_bar, x_0)
    return signal * x_0 + noise * eps


def target(kind: str, x_0: Tensor, eps: Tensor, alpha_bar: Level) -> Tensor:
    """What the network should put out for `add_noise(x_0, eps, alpha_bar)`."""
    if kind == "eps":
        return eps
    if kind == "x0":
        return x_0
    signal, noise = _coefficients(alpha_bar, x_0)
    return signal * eps - noise * x_0


def to_x0(kind: str, out: Tensor, x_t: Tensor, alpha_bar: Level) -> Tensor:
    """The estimate of x_0 from the network's output. For "eps", alpha_bar must not be 0."""
    if kind == "x0":
        return out
    signal, noise = _coefficients(alpha_bar, x_t)
    if kind == "eps":
        return (x_t - noise * out) / signal
    return signal * x_t - noise * out


def from_x0(kind: str, x_0: Tensor, x_t: Tensor, alpha_bar: Level) -> Tensor:
    """The network's output whose estimate (`to_x0`) is x_0. For "eps" and "v", alpha_bar must not be 1."""
    if kind == "x0":
        return x_0
    return target(kind, x_0, to_eps("x0", x_0, x_t, alpha_bar), alpha_bar)


def to_eps(kind: str, out: Tensor, x_t: Tensor, alpha_bar: Level) -> Tensor:
    """The estimate of the noise from the network's output. For "x0", alpha_bar must not be 1."""
    if kind == "eps":
        return out
    signal, noise = _coefficients(alpha_bar, x_t)
    if kind == "x0":
        return (x_t - signal * out) / noise
    return noise * x_t + signal * out


def denoiser(kind: str, network: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Level], Tensor]:
    """The `denoise(x_t, alpha_bar) -> x_0` that samplers take, from `network(x_t, noise_level) -> out`.

    The network is given noise_level = sqrt(alpha_bar), float32 [B] on the device of x_t. Its output is taken back to
    the dtype of x_t, so that it may run at a lower precision than the sampler.
    """

    def denoise(x_t: Tensor, alpha_bar: Level) -> Tensor:
        if isinstance(alpha_bar, Tensor):
            level = to_device(alpha_bar.sqrt().to(torch.float32), x_t.device).expand(x_t.shape[0])
        else:
            level = torch.full((x_t.shape[0],), math.sqrt(alpha_bar), dtype=torch.float32, device=x_t.device)
        out = network(x_t, level).to(x_t.dtype)
        return to_x0(kind, out, x_t, alpha_bar)

    return denoise


def clip_x0(denoise: Callable[[Tensor, float], Tensor]) -> Callable[[Tensor, float], Tensor]:
    """The same denoiser with its estimate clipped to [-1, 1], the range of images."""
    return lambda x_t, alpha_bar: denoise(x_t, alpha_bar).clamp(-1, 1)


def _coefficients(alpha_bar: Level, like: Tensor) -> tuple[Level, Level]:
    """sqrt(alpha_bar) and sqrt(1 - alpha_bar), to multiply `like` with."""
    if not isinstance(alpha_bar, Tensor):
        return math.sqrt(alpha_bar), math.sqrt(1 - alpha_bar)
    level = alpha_bar.reshape(-1, *[1] * (like.dim() - 1))
    signal, noise = level.sqrt().to(like.dtype), (1 - level).sqrt().to(like.dtype)
    return to_device(signal, like.device), to_device(noise, like.device)
