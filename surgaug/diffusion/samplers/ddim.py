"""DDIM (Song et al. 2021)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor

STEPS, SPACING = 40, "trailing"


def sample(
    denoise: Callable[[Tensor, float], Tensor],
    x_t: Tensor,
    alpha_bars: Sequence[float] | Tensor,
    noise: Callable[[int], Tensor],
    *,
    eta: float = 0.0,
) -> Tensor:
    """Equation 12, with sigma from equation 16. eta = 0 is deterministic, eta = 1 is DDPM with the small variance.

    Arguments as in `surgaug.diffusion.samplers`. Raises ValueError unless eta is a number from 0 to 1.
    """
    if isinstance(eta, bool) or not isinstance(eta, (int, float)) or not 0 <= eta <= 1:
        raise ValueError(f"eta: {eta!r} is not a number from 0 to 1")
    for step, (here, there) in enumerate(pairwise(map(float, alpha_bars))):
        x_0 = denoise(x_t, here)
        eps = (x_t - math.sqrt(here) * x_0) / math.sqrt(1 - here)
        sigma = eta * math.sqrt((1 - there) / (1 - here) * (1 - here / there))
        # At eta = 1 and here = 0 the difference is 0 up to rounding, either side.
        x_t = math.sqrt(there) * x_0 + math.sqrt(max(1 - there - sigma**2, 0)) * eps
        if sigma > 0:
            x_t = x_t + sigma * noise(step)
    return x_t
