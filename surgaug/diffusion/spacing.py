"""Which of a schedule's noise levels a sampler visits.

Each takes the table alpha_bars float64 [T + 1] (falling from 1) and the number of steps, and returns alpha_bar before
each step and after the last: float64 [steps + 1], rising to 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

Level = TypeVar("Level", float, Tensor)

RHO = 7.0
# In units of the image's range [-1, 1]: a hundredth is a grey level, and 80 leaves nothing of an image to be seen.
SIGMA_MIN, SIGMA_MAX = 0.01, 80.0
LEAP = 5.0
TEACHER_STEPS = 20


def alpha_bar_at(sigma: Level) -> Level:
    """alpha_bar where the noise level is sigma = sqrt(1 / alpha_bar - 1); a float or a tensor, as `sigma` is."""
    return 1 / (1 + sigma**2)


def trailing(alpha_bars: Tensor, steps: int) -> Tensor:
    """Evenly over the table, the noisiest level always among them ("trailing" in Lin et al. 2023, table 2)."""
    last = len(alpha_bars) - 1
    index = np.round(last - np.arange(steps) * (last / steps)).astype(np.int64)
    return alpha_bars[torch.from_numpy(np.append(index, 0))]


def karras(alpha_bars: Tensor, steps: int) -> Tensor:
    """Evenly in sigma ** (1 / rho), sigma = sqrt(1 / alpha_bar - 1) (Karras et al. 2022, equation 5, rho = 7).

    More steps lie where little noise is left and texture is made. Levels between the table's are continuous ones.
    """
    high, low = _ends(alpha_bars)
    return _with_one(_ramp(high, low, steps))


def leap(alpha_bars: Tensor, steps: int) -> Tensor:
    """In one step from the noisiest level to sigma 5, and on as in `karras`.

    Above sigma 5 a picture's pixels are hardly to be told from noise, and the estimate there is near the mean of what
    the label map allows. One look at that is enough: more cost calls and change no measure (docs/method.md).
    """
    high, low = _ends(alpha_bars)
    if high <= LEAP:
        return karras(alpha_bars, steps)
    below = _ramp(LEAP, low, steps - 1)
    below[:1] = LEAP  # exactly, since guidance begins there
    return _with_one(torch.cat([torch.tensor([high], dtype=torch.float64), below]))


def _ends(alpha_bars: Tensor) -> tuple[float, float]:
    """The highest and the lowest sigma that a sampler visits."""
    noisiest, cleanest = (((1 - a) / a).sqrt().item() for a in (alpha_bars[-1].clamp(min=1e-12), alpha_bars[1]))
    high = min(SIGMA_MAX, noisiest)
    return high, min(max(SIGMA_MIN, cleanest), high / 2)


def _ramp(high: float, low: float, steps: int) -> Tensor:
    """Sigmas float64 [steps], evenly in sigma ** (1 / rho)."""
    return torch.linspace(high ** (1 / RHO), low ** (1 / RHO), steps, dtype=torch.float64) ** RHO


def _with_one(sigmas: Tensor) -> Tensor:
    return torch.cat([alpha_bar_at(sigmas), torch.ones(1, dtype=torch.float64)])


def geometric(alpha_bars: Tensor, steps: int) -> Tensor:
    """Evenly in log sigma, from where `karras` begins down to where it ends, that end itself left out: for samplers of
    a call or two, of which the second mends the first's details (`samplers/consistency.py`)."""
    ends = ((1 / karras(alpha_bars, 2)[:2] - 1).sqrt()).log()
    return _with_one(torch.linspace(float(ends[0]), float(ends[1]), steps + 1, dtype=torch.float64)[:-1].exp())


def student(alpha_bars: Tensor, steps: int) -> Tensor:
    """Those levels of a teacher's on which a student of fewer steps lands (`diffusion/distillation.py`)."""
    teacher = teacher_levels(alpha_bars, steps)
    return teacher[:: (len(teacher) - 1) // steps]


def teacher_levels(alpha_bars: Tensor, steps: int) -> Tensor:
    """The levels of Karras et al. that a teacher visits: as many for each of a student's `steps` steps, and no fewer
    than `TEACHER_STEPS` together.
    """
    return karras(alpha_bars, steps * math.ceil(TEACHER_STEPS / steps))


SPACINGS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "trailing": trailing, "karras": karras, "leap": leap, "geometric": geometric, "student": student
}  # fmt: skip
