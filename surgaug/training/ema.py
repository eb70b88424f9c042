"""Exponential moving average of the weights with a power-function profile.

The averaging window is a fixed share of the training so far (Karras et al. 2024, "Analyzing and improving the training
dynamics of diffusion models", section 3.1): it is short while the weights are still noise and grows by itself, so that
no length has to be chosen for a training bounded by minutes. The published models' average keeps a constant share.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def decay(step: int, power: float | None, constant: float | None = None) -> float:
    """The share of the old average kept at `step` (1, 2, ...): (1 - 1/step)^power. 0 at the first step.

    None: nothing is kept, ever; the "average" is the weights as they are. constant: this share in its place, less in
    the first steps, (1 + step) / (10 + step), so that the start is forgotten (TensorFlow's rule).
    """
    if constant is not None:
        return min(constant, (1 + step) / (10 + step))
    return 0.0 if power is None else (1 - 1 / step) ** power


@torch.no_grad()
def update(average: nn.Module, net: nn.Module, step: int, power: float | None, constant: float | None = None) -> None:
    """Move `average` towards `net` after optimizer step number `step` (see `decay`); buffers are copied."""
    own: list[Tensor] = list(average.parameters())
    new: list[Tensor] = list(net.parameters())
    torch._foreach_lerp_(own, new, 1 - decay(step, power, constant))
    for a, b in zip(average.buffers(), net.buffers(), strict=True):
        a.copy_(b)
