"""DPM-Solver of first order (Lu et al. 2022, "DPM-Solver: A Fast ODE Solver for Diffusion Probabilistic Model Sampling
in Around 10 Steps").

DDIM in other clothes, as its paper says (section 4.1): the same images to rounding, from the exact solution of the
differential equation's linear part. It is here since others report it by this name; `dpmpp` is the one to use.
"""

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
) -> Tensor:
    """Equation 3.7: x_s = (alpha_s / alpha_t) x_t - sigma_s (e^h - 1) eps, with alpha = sqrt(alpha_bar), sigma =
    sqrt(1 - alpha_bar) and h the step's length in lambda = log(alpha / sigma).

    With eps = (x_t - alpha_t x_0) / sigma_t put in, x_t is left with sigma_s / sigma_t, which is finite at both ends,
    where h is not.

    Arguments as in `surgaug.diffusion.samplers`; `noise` is not called.
    """
    for here, there in pairwise(map(float, alpha_bars)):
        ratio = math.sqrt((1 - there) / (1 - here))
        x_t = ratio * x_t + (math.sqrt(there) - ratio * math.sqrt(here)) * denoise(x_t, here)
    return x_t
