"""DDPM's ancestral sampling (Ho et al. 2020), between any two noise levels, as in SR3 (Saharia et al. 2021)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor

STEPS, SPACING = 100, "trailing"


def sample(
    denoise: Callable[[Tensor, float], Tensor],
    x_t: Tensor,
    alpha_bars: Sequence[float] | Tensor,
    noise: Callable[[int], Tensor],
    *,
    variance: str = "small",
) -> Tensor:
    """Draws from q(x_s | x_t, x_0) with the estimate of x_0 in its place (Ho et al., equations 6 and 7).

    variance: "small", that of q(x_s | x_t, x_0), which is right for one known image; or "large", that of q(x_t | x_s),
    which is right for white noise and is SR3's choice. With few steps the large one leaves visible noise.

    Arguments as in `surgaug.diffusion.samplers`. Raises ValueError for another variance.
    """
    if variance not in ("small", "large"):
        raise ValueError(f"variance: {variance!r} is not one of small, large")
    for step, (here, there) in enumerate(pairwise(map(float, alpha_bars))):
        x_0 = denoise(x_t, here)
        alpha = here / there
        beta = 1 - alpha
        x_t = math.sqrt(there) * beta / (1 - here) * x_0 + math.sqrt(alpha) * (1 - there) / (1 - here) * x_t
        # The last step draws nothing: its result is the mean.
        if there < 1:
            x_t = x_t + math.sqrt(beta * (1 - there) / (1 - here) if variance == "small" else beta) * noise(step)
    return x_t
