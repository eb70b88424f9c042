"""Multistep consistency sampling (Song et al. 2023, "Consistency Models", algorithm 1), for networks that go all the
way in one call (`diffusion/consistency.py`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor

STEPS, SPACING = 2, "geometric"


def sample(
    denoise: Callable[[Tensor, float], Tensor],
    x_t: Tensor,
    alpha_bars: Sequence[float] | Tensor,
    noise: Callable[[int], Tensor],
) -> Tensor:
    """The estimate of x_0, with fresh noise for each further level, which the next estimate takes away.

    Arguments as in `surgaug.diffusion.samplers`.
    """
    for step, (here, there) in enumerate(pairwise(map(float, alpha_bars))):
        x_t = denoise(x_t, here)
        if there < 1:
            x_t = math.sqrt(there) * x_t + math.sqrt(1 - there) * noise(step)
    return x_t
