"""Progressive distillation (Salimans & Ho 2022): one step of a student does what several of its teacher do.

The student's sampler is DDIM over few noise levels. Between two of them the teacher takes as many steps
of DPM-Solver++ as it needs; the student's target is the one estimate of x_0 with which DDIM lands where the teacher
does.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from surgaug.diffusion.samplers import dpmpp
from surgaug.diffusion.schedules import Schedule
from surgaug.diffusion.spacing import teacher_levels
from surgaug.errors import UsageError

# How a student is sampled: on the levels that it was trained on, by the sampler that its targets are for.
SAMPLER, SPACING = "ddim", "student"


def check(prediction: str) -> None:
    """UsageError for a teacher that predicts eps, which at the noisiest level says nothing of x_0 (section 4)."""
    if prediction == "eps":
        raise UsageError("--distill: a teacher that predicts 'eps' cannot be distilled; train one for x0 or v")


def segments(schedule: Schedule, steps: int) -> list[list[float]]:
    """The teacher's noise levels (alpha_bar) within each of the student's `steps` steps, noisiest first.

    The first and the last value of each are where the student's step begins and where it lands.
    """
    levels = teacher_levels(schedule.alpha_bars, steps).tolist()
    length = (len(levels) - 1) // steps
    return [levels[i * length : (i + 1) * length + 1] for i in range(steps)]


def x0_target(denoise: Callable[[Tensor, float], Tensor], x_t: Tensor, segment: list[float]) -> Tensor:
    """The estimate of x_0 [B, ...] that takes x_t [B, ...] in one step of DDIM to where the teacher's steps take it.

    denoise: the teacher's, as samplers take it. segment: one of `segments`; x_t is at its first level. It solves DDIM's
    step for x_0, with what the teacher arrives at in place of the step's end (algorithm 2).
    """
    here, there = segment[0], segment[-1]
    arrived = dpmpp.sample(denoise, x_t, segment, lambda step: x_t)
    ratio = math.sqrt((1 - there) / (1 - here))
    return (arrived - ratio * x_t) / (math.sqrt(there) - ratio * math.sqrt(here))
