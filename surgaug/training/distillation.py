"""Targets of distillation: what a student should predict for real frames with noise on them.

They are computed in every step of training: by the teacher (`diffusion/distillation.py`), or by the student itself, a
little nearer to the image on the path that the teacher points out (`diffusion/consistency.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from surgaug.diffusion import consistency, distillation
from surgaug.diffusion.guidance import Denoise, conditional_denoiser
from surgaug.diffusion.parameterisation import add_noise, clip_x0, denoiser, from_x0
from surgaug.diffusion.spacing import alpha_bar_at, teacher_levels
from surgaug.labels.label_space import IGNORE_INDEX
from surgaug.models.checkpoint import load_model
from surgaug.models.style import style_code
from surgaug.models.unet import Conditioning, conditioned
from surgaug.runtime.device import autocast, to_device
from surgaug.training.config import TrainConfig
from surgaug.training.diffusion_step import Batch, Drawn, generator_of, strata
from surgaug.training.frames import Frames
from surgaug.training.validation import Validation, fixed_frames

# A student's own estimate of x_0 [B, 3, H, W], without gradient, from x_t, alpha_bar [B] and what the network is told.
Estimate = Callable[[Tensor, Tensor, Sequence[Tensor]], Tensor]


def teacher_of(config: TrainConfig, device: torch.device, dtype: torch.dtype | None) -> Teacher:
    """The teacher of a student of the configured kind."""
    kind = ConsistencyTeacher if config.student == "consistency" else Teacher
    return kind(config, device, dtype)


def draws_again(device: torch.device) -> AbstractContextManager[None]:
    """The context after which random numbers on the device, and on the CPU, are those that were drawn within."""
    if device.type not in ("cuda", "mps"):
        return torch.random.fork_rng([])
    return torch.random.fork_rng([device.index or 0], device_type=device.type)


class Teacher:
    """The network that is distilled. `segments`: its noise levels within each step of the student."""

    sampler, spacing = distillation.SAMPLER, distillation.SPACING

    def __init__(self, config: TrainConfig, device: torch.device, dtype: torch.dtype | None):
        self.net = load_model(Path(str(config.distill)), device).net
        self.config, self.device, self.dtype = config, device, dtype
        self.segments = distillation.segments(config.schedule, config.student_steps)

    def denoise(self, index_map: Tensor, style: Tensor | None) -> Denoise:
        """The teacher's guided denoiser for label maps uint8 [B, H, W] in styles [B, 7] (None: any)."""
        config, below = self.config, self.config.teacher_guidance_below
        denoise = conditional_denoiser(
            config.prediction,
            partial(conditioned, self.net, device=self.device, dtype=self.dtype),
            self._condition(index_map, style),
            lambda: self._condition(torch.full_like(index_map, IGNORE_INDEX), style),
            config.teacher_guidance,
            math.inf if below is None else below,
        )
        return clip_x0(denoise)

    def target(self, denoise: Denoise, x_t: Tensor, segment: list[float]) -> Tensor:
        """What a student should put out for x_t [B, 3, H, W] at the segment's first level."""
        return from_x0(self.config.prediction, distillation.x0_target(denoise, x_t, segment), x_t, segment[0])

    def _condition(self, index_map: Tensor, style: Tensor | None) -> Conditioning:
        with autocast(self.device, self.dtype):
            return self.net.condition(index_map, style)

    @torch.no_grad()
    def batch(self, drawn: Drawn, step: int, part: slice, progress: float, estimate: Estimate) -> Batch:
        """As `diffusion_step.make_batch`, with the teacher's targets. progress: of the training, from 0 to 1.

        Sample k of the global batch is at level (step + k) mod steps, so that every batch has all levels.
        """
        turns = (step + torch.arange(self.config.batch)[part]) % len(self.segments)
        alpha_bar = torch.tensor([segment[0] for segment in self.segments], dtype=torch.float64)[turns]
        x_t = add_noise(drawn.x_0, drawn.eps, alpha_bar)
        target = torch.empty_like(x_t)
        for i in turns.unique().tolist():
            chosen = to_device(torch.nonzero(turns == i).flatten(), self.device)
            denoise = self.denoise(*(t[chosen] for t in drawn.condition))
            target[chosen] = self.target(denoise, x_t[chosen], self.segments[i])
        noise_level = to_device(alpha_bar.sqrt().to(torch.float32), self.device)
        return Batch(x_t, noise_level, drawn.condition, target, None)


class ConsistencyTeacher(Teacher):
    """The teacher of a consistency function: each step of the student goes all the way to the image."""

    sampler, spacing = consistency.SAMPLER, consistency.SPACING

    def __init__(self, config: TrainConfig, device: torch.device, dtype: torch.dtype | None):
        super().__init__(config, device, dtype)
        levels = config.schedule.sampling_levels(config.student_steps, self.spacing).tolist()[:-1]
        finest = teacher_levels(config.schedule.alpha_bars, 1).tolist()
        self.segments = [[level, *(a for a in finest if a > level)] for level in levels]

    @torch.no_grad()
    def batch(self, drawn: Drawn, step: int, part: slice, progress: float, estimate: Estimate) -> Batch:
        """Frames with noise, and the student's own estimates at the nearer points of the same paths.

        A path's direction is the teacher's estimate at its noisier point, with guidance. The dropout of the student's
        estimates is that of its next pass, as section 3.2 asks for.
        """
        u = strata(self.config.batch, generator_of(self.config, step), torch.float64)
        sigma = consistency.draw_sigmas(u[part])
        there = consistency.nearer(sigma, progress)
        alpha_bar = alpha_bar_at(sigma)
        x_t = add_noise(drawn.x_0, drawn.eps, alpha_bar)
        x_r = consistency.along(x_t, self.estimate(x_t, alpha_bar, drawn.condition), sigma, there)
        with draws_again(x_t.device):
            x_0 = estimate(x_r, alpha_bar_at(there), drawn.condition).clamp(-1, 1)
        arrived = to_device(there == 0, self.device)[:, None, None, None]
        target = from_x0(self.config.prediction, torch.where(arrived, x_r, x_0), x_t, alpha_bar)
        noise_level = to_device(alpha_bar.sqrt().to(torch.float32), self.device)
        return Batch(x_t, noise_level, drawn.condition, target, None)

    def estimate(self, x_t: Tensor, alpha_bar: Tensor, condition: Sequence[Tensor]) -> Tensor:
        """The guided estimate of x_0 for x_t [B, ...], each at a level of its own, alpha_bar [B]."""
        index_map, style = condition[:2]

        def plain(index_map: Tensor, style: Tensor, x_t: Tensor, alpha_bar: Tensor) -> Tensor:
            network = conditioned(self.net, self._condition(index_map, style), self.device, self.dtype)
            return denoiser(self.config.prediction, network)(x_t, alpha_bar)

        x_0 = plain(index_map, style, x_t, alpha_bar)
        scale, below = self.config.teacher_guidance, self.config.teacher_guidance_below
        guided_at = alpha_bar >= alpha_bar_at(math.inf if below is None else below)
        chosen = torch.nonzero(guided_at).flatten()
        if scale != 1 and len(chosen):
            here = to_device(chosen, self.device)
            null = torch.full_like(index_map[here], IGNORE_INDEX)
            uncond = plain(null, style[here], x_t[here], alpha_bar[chosen])
            x_0[here] = torch.lerp(uncond, x_0[here], scale)
        return x_0.clamp(-1, 1)


class StudentValidation(Validation):
    """As `Validation`, at the student's own noise levels and against its teacher; its sheet is sampled in few steps."""

    def __init__(self, frames: Frames, teacher: Teacher):
        config = teacher.config
        self.sampler, self.spacing = teacher.sampler, teacher.spacing
        super().__init__(
            *fixed_frames(frames, config.validate_frames), frames.paired.space.palette, config.schedule,
            config.prediction, teacher.device, teacher.dtype,
        )  # fmt: skip
        self.teacher, self.steps = teacher, config.student_steps
        self.levels = torch.tensor([segment[0] for segment in reversed(teacher.segments)], dtype=torch.float64)

    def targets(self, part: slice, x_0: Tensor, eps: Tensor) -> Callable[[int, Tensor], Tensor]:
        """The teacher's predictions in place of those that the frames ask for."""
        index_map = to_device(self.index_maps[part], self.device)
        denoise = self.teacher.denoise(index_map, style_code(x_0) if self.teacher.net.config.style else None)
        return lambda k, x_t: self.teacher.target(denoise, x_t, self.teacher.segments[-1 - k])
