"""Betas that rise linearly, as in Ho et al. 2020 (1e-4 to 0.02, T = 1000) and in SR3 (1e-6 to 0.01, T = 2000)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from surgaug.diffusion.schedules import Schedule


def betas(schedule: Schedule) -> np.ndarray:
    """float64 [T], from `beta_start` to `beta_end` inclusive."""
    return np.linspace(schedule.beta_start, schedule.beta_end, schedule.timesteps, dtype=np.float64)
