"""The cosine schedule of Nichol & Dhariwal 2021, equation 17."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from surgaug.diffusion.schedules import Schedule

OFFSET = 0.008
MAX_BETA = 0.999


def betas(schedule: Schedule) -> np.ndarray:
    """float64 [T]: `1 - f(t) / f(t - 1)`, at most 0.999, of `f(t) = cos((t / T + s) / (1 + s) * pi / 2) ** 2`."""
    t = np.arange(schedule.timesteps + 1, dtype=np.float64) / schedule.timesteps
    f = np.cos((t + OFFSET) / (1 + OFFSET) * np.pi / 2) ** 2
    return np.minimum(1 - f[1:] / f[:-1], MAX_BETA)
