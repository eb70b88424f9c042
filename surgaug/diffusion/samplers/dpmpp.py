"""DPM-Solver++ (2M) (Lu et al. 2022): second order, one network evaluation a step, deterministic."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor

STEPS, SPACING = 20, "karras"


def sample(
    denoise: Callable[[Tensor, float], Tensor],
    x_t: Tensor,
    alpha_bars: Sequence[float] | Tensor,
    noise: Callable[[int], Tensor],
) -> Tensor:
    """Algorithm 2. With lambda = log(sqrt(alpha_bar / (1 - alpha_bar))), each step extrapolates the estimate of x_0
    from the last two to the middle of the step in lambda.

    The first step is of first order, having no predecessor. So is a step to alpha_bar = 1, which is infinitely long in
    lambda, and one after a step from alpha_bar = 0, which was: no slope can be had from these. A first-order step is
    DDIM's.

    Arguments as in `surgaug.diffusion.samplers`; `noise` is not called.
    """
    previous, previous_length = None, math.inf
    for here, there in pairwise(map(float, alpha_bars)):
        x_0 = denoise(x_t, here)
        length = _half_log_snr(there) - _half_log_snr(here)
        estimate = x_0
        if previous is not None and math.isfinite(previous_length) and math.isfinite(length):
            estimate = x_0 + length / (2 * previous_length) * (x_0 - previous)
        ratio = math.sqrt((1 - there) / (1 - here))
        # sqrt(there) * (1 - exp(-length)) in the paper; this form is finite at both ends.
        x_t = ratio * x_t + (math.sqrt(there) - math.sqrt(here) * ratio) * estimate
        previous, previous_length = x_0, length
    return x_t


def _half_log_snr(alpha_bar: float) -> float:
    """lambda of the paper."""
    if alpha_bar == 0:
        return -math.inf
    if alpha_bar == 1:
        return math.inf
    return 0.5 * math.log(alpha_bar / (1 - alpha_bar))
