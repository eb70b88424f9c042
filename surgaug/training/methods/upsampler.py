"""How the second stage of a cascade is trained: as the first (`training/denoising.py`), on windows of frames, told the
small picture that each is made from.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from surgaug.models.model_files import model_file
from surgaug.models.upsampler import Upsampler
from surgaug.runtime.device import to_device
from surgaug.runtime.feedback import Feedback
from surgaug.training.config import cascade_of
from surgaug.training.denoising import Denoising
from surgaug.training.diffusion_step import Batch, Drawn, draw, generator_of
from surgaug.training.frames import FrameBatch, Frames
from surgaug.training.own_pictures import how_many, own_pictures
from surgaug.training.sharpness import sharper
from surgaug.training.validation import WindowValidation
from surgaug.training.windows import LEAST_DETAIL, WindowedFrames, picture_condition

SAMPLING: dict[str, Any] = {
    "sampler": "dpmpp",
    "steps": 3,
    "guidance": 1.0,
    "picture_noise": 0.0,
    "options": {"spacing": "trailing"},
}
MOST_GRAIN = 1 / 127.5  # a grey level
# It sees little noise, and the small picture at all times; the weights of the loss are its own.
RECIPE: dict[str, Any] = {
    "schedule": {"hand_over": 1.0},
    "min_snr_gamma": None,
    "min_snr_floor": 0.0,
    "muon_lr": 0.02,
    "validate_frames": 16,
}
RECIPES: dict[str, dict[str, Any]] = {
    "tiny": {**RECIPE, "steps": 20_000},
    "small": {**RECIPE, "steps": 100_000, "lr": 6e-4, "batch": 16},
    "base": {**RECIPE, "steps": 300_000, "lr": 1e-4, "batch": 16},
}


class Method(Denoising):
    """See `training.methods`."""

    net: Upsampler

    def sampling_defaults(self) -> dict[str, Any]:
        """As measured (docs/method.md)."""
        return dict(SAMPLING)

    def draw(self, frames: FrameBatch, step: int, part: slice) -> Drawn:
        """Noise and levels, then what the network is told of each window."""
        (cascade, base), generator = cascade_of(self.config), generator_of(self.config, step)
        codes = torch.from_numpy(np.stack([window.style for window in frames.windows]))
        drawn = draw(self.config, frames, self.num_classes, part, self.device, generator, codes)
        level = (torch.rand(self.config.batch, generator=generator) * cascade.picture_noise)[part]
        noise = torch.randn((self.config.batch, 3, *base), generator=generator)[part]
        level, noise = to_device(level, self.device), to_device(noise, self.device)
        more = picture_condition(self.net, frames.windows, level, noise)
        return Drawn(drawn.x_0, drawn.eps, drawn.alpha_bar, (*drawn.condition, *more))

    def batch(self, drawn: Drawn) -> Batch:
        """With the weights of the upsampler's own preconditioning."""
        batch = super().batch(drawn)
        return replace(batch, weight=self.net.weight(batch.noise_level))

    def prepare(self, frames: Frames, feedback: Feedback) -> None:
        """With the first stage's own pictures, where there is a first stage; the network learns how much detail there
        is, and how much noise. `synthesize` adds as much at last, since a few steps end in an estimate without any; but
        `MOST_GRAIN` at most, for what is above is texture of frames that are smooth nowhere."""
        assert isinstance(frames, WindowedFrames)
        cascade, _ = cascade_of(self.config)
        if cascade.first and cascade.own:
            file = model_file(Path(cascade.first))
            most = how_many(self.config.minutes)
            made = own_pictures(file, frames, self.config.seed, self.device, self.dtype, feedback, most)
            frames.own_pictures, frames.own = made, cascade.own
        self.net.detail.fill_(frames.detail())
        floor = frames.noise_floor()
        self.net.noise_floor.fill_(min(max(floor, LEAST_DETAIL), float(self.net.detail)))
        self.sampling["defaults"]["grain"] = round(min(floor, MOST_GRAIN), 5)

    def conclude(self, average: nn.Module, frames: Frames, held_out: Frames, seen: int, feedback: Feedback) -> None:
        """Measures how much sharper than the frames it must be asked to be; `synthesize` asks for that."""
        assert isinstance(frames, WindowedFrames) and isinstance(average, Upsampler)
        config, defaults = self.config, self.sampling["defaults"]
        defaults["sharper"] = sharper(
            average, frames, config.schedule, config.prediction, defaults, self.dtype, feedback
        )

    def validation(self, frames: Frames) -> WindowValidation:
        """By noise level, on windows."""
        assert isinstance(frames, WindowedFrames)
        config = self.config
        return WindowValidation(
            frames, config.validate_frames, config.schedule, config.prediction, SAMPLING, self.device, self.dtype
        )
