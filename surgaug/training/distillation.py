"""Targets of distillation: what a student should predict for real frames with noise on them.

They are computed by the teacher, in every step of training (`diffusion/distillation.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from surgaug.diffusion import distillation
from surgaug.diffusion.guidance import Denoise, conditional_denoiser
from surgaug.diffusion.parameterisation import add_noise, clip_x0, from_x0
from surgaug.labels.label_space import IGNORE_INDEX
from surgaug.models.checkpoint import load_model
from surgaug.models.style import style_code
from surgaug.models.unet import Conditioning, conditioned
from surgaug.runtime.device import autocast, to_device
from surgaug.training.config import TrainConfig
from surgaug.training.diffusion_step import Batch, Drawn
from surgaug.training.frames import Frames
from surgaug.training.validation import Validation, fixed_frames


class Teacher:
    """The network that is distilled. `segments`: its noise levels within each step of the student."""

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
    def batch(self, drawn: Drawn, step: int, part: slice) -> Batch:
        """As `diffusion_step.make_batch`, with the teacher's targets.

        Sample k of the global batch is at level (step + k) mod steps, so that every batch has all levels.
        """
        turns = (step + torch.arange(self.config.batch)[part]) % len(self.segments)
        alpha_bar = torch.tensor([segment[0] for segment in self.segments], dtype=torch.float64)[turns]
        x_t = add_noise(drawn.x_0, drawn.eps, alpha_bar)
        target = torch.empty_like(x_t)
        for i in turns.unique().tolist():
            chosen = torch.nonzero(turns == i).flatten().to(self.device)
            denoise = self.denoise(*(t[chosen] for t in drawn.condition))
            target[chosen] = self.target(denoise, x_t[chosen], self.segments[i])
        noise_level = alpha_bar.sqrt().to(self.device, torch.float32)
        return Batch(x_t, noise_level, drawn.condition, target, None)


class StudentValidation(Validation):
    """As `Validation`, at the student's own noise levels and against its teacher; its sheet is sampled in few steps."""

    sampler, spacing = distillation.SAMPLER, distillation.SPACING

    def __init__(self, frames: Frames, teacher: Teacher):
        config = teacher.config
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
