"""The training loss, one value a sample, and its weights over noise levels."""

from __future__ import annotations

import torch
from torch import Tensor

from surgaug.errors import UsageError

NORMS = ("l1", "l2", "huber")
ROUNDED = 1e-3  # of images in [-1, 1]


def min_snr_weight(kind: str, alpha_bar: Tensor, gamma: float = 5.0, floor: float = 0.0) -> Tensor:
    """Min-SNR-gamma weight of the squared error in what the network predicts (Hang et al. 2023), with a floor.

    With SNR = alpha_bar / (1 - alpha_bar), the error in x_0 is weighed by min(SNR, gamma), but by `floor` at least; so
    that weight is divided by SNR for "eps" and by SNR + 1 for "v". Without a floor the noisiest levels, where colours
    are decided, weigh next to nothing. Written without SNR itself, which is infinite at alpha_bar = 1.

    alpha_bar: [B], in [0, 1]. Returns [B] of its dtype. Raises UsageError unless 0 <= floor <= gamma and gamma > 0.
    """
    if not gamma > 0:
        raise UsageError(f"min_snr_gamma: {gamma!r} is not positive")
    if not 0 <= floor <= gamma:
        raise UsageError(f"min_snr_floor: {floor!r} is not from 0 to min_snr_gamma, {gamma!r}")
    noise = 1 - alpha_bar
    weighed = torch.minimum(torch.maximum(alpha_bar, floor * noise), gamma * noise)  # all times 1 - alpha_bar
    if kind == "v":
        return weighed
    if kind == "eps":
        return torch.where(alpha_bar > 0, weighed / alpha_bar, 1.0)
    return torch.where(noise > 0, weighed / noise, gamma)


def loss(out: Tensor, target: Tensor, weight: Tensor | None = None, norm: str = "l2") -> Tensor:
    """The error of each sample, in float32 at least, so that it may be averaged or kept by noise level.

    out, target: [B, ...]. weight: [B], of each sample; None for 1. norm: "l2", the mean square, "l1", the mean
    absolute error (SR3 allows both), or "huber", the root of the mean square, rounded off at `ROUNDED` (Song & Dhariwal
    2024, section 3.3): all samples pull alike, however far off they are. Returns [B]. Raises UsageError for another.
    """
    error = out.to(torch.promote_types(out.dtype, torch.float32)) - target
    if norm not in NORMS:
        raise UsageError(f"loss: {norm!r} is not one of {', '.join(NORMS)}")
    values = (error.abs() if norm == "l1" else error.square()).flatten(1).mean(1)
    if norm == "huber":
        values = (values + ROUNDED**2).sqrt() - ROUNDED
    return values if weight is None else values * weight.to(values)
