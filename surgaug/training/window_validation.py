"""Validation of the second stage: the loss on fixed windows, and a sheet of whole frames made from small ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from surgaug.diffusion import samplers
from surgaug.diffusion.parameterisation import add_noise, clip_x0, denoiser
from surgaug.diffusion.schedules import Schedule
from surgaug.models.unet import Conditioning, SemanticUNet, conditioned
from surgaug.models.upsampler import Upsampler
from surgaug.runtime.device import autocast, to_device, to_images
from surgaug.runtime.feedback import Task
from surgaug.runtime.spread import spread
from surgaug.training.validation import SHEET, Validation, sheet_of
from surgaug.training.windows import FrameWindow, WindowedFrames, picture_condition

SHEET_PIXELS = 1 << 19  # of the frames of a sheet, together; of one frame at least


class WindowValidation(Validation):
    """As `Validation`; the small pictures are frames made small.

    `sampling`: how the model is sampled by default, for the sheet; with as much noise on the small pictures.
    """

    def __init__(
        self,
        frames: WindowedFrames,
        count: int,
        schedule: Schedule,
        prediction: str,
        sampling: dict[str, Any],
        device: torch.device,
        dtype: torch.dtype | None,
    ):
        chosen = spread(len(frames), count)
        drawn = [frames.draw(i, np.random.default_rng([7, i]), "", 0.0) for i in chosen]
        images, index_maps, self.windows = (list(column) for column in zip(*drawn, strict=True))
        palette = frames.paired.space.palette
        super().__init__(np.stack(images), np.stack(index_maps), palette, schedule, prediction, device, dtype)
        self.sampling = sampling
        fit = max(1, min(SHEET, SHEET_PIXELS // (frames.size[0] * frames.size[1])))
        self.whole = [(*frames.view(i), frames.whole(i)) for i in chosen[:: max(1, len(chosen) // fit)][:fit]]
        self.work = len(self.images) + len(self.whole)

    def condition(self, net: SemanticUNet, part: slice) -> Conditioning:
        """What the label maps, the small pictures and the styles of the windows `part` contribute."""
        assert isinstance(net, Upsampler)
        return self._condition(net, self.index_maps[part], self.windows[part])

    def _condition(self, net: Upsampler, index_maps: np.ndarray, windows: list[FrameWindow]) -> Conditioning:
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn((len(windows), 3, *windows[0].small.shape[:2]), generator=generator).to(self.device)
        level = noise.new_full((len(windows),), self.sampling["picture_noise"])
        codes = to_device(np.stack([window.style for window in windows]), self.device)
        with autocast(self.device, self.dtype):
            return net.condition(
                to_device(index_maps, self.device), codes, *picture_condition(net, windows, level, noise)
            )

    @torch.inference_mode()
    def sheet(self, net: SemanticUNet, bar: Task) -> np.ndarray:
        """Rows of label map, real frame and what becomes of it made small; uint8 [3H, nW, 3]."""
        assert isinstance(net, Upsampler)
        images, index_maps, windows = (list(column) for column in zip(*self.whole, strict=True))
        levels = self.schedule.sampling_levels(self.sampling["steps"], self.sampling["options"]["spacing"])
        sampler = samplers.get(self.sampling["sampler"])

        def sample(n: int) -> np.ndarray:
            made = []
            for k in range(n):
                cond = self._condition(net, index_maps[k][None], [windows[k]])
                picture = torch.as_tensor(cond.picture)
                eps = torch.randn(picture.shape, generator=torch.Generator().manual_seed(k)).to(self.device)
                denoise = clip_x0(denoiser(self.prediction, conditioned(net, cond, self.device, self.dtype)))
                start = add_noise(picture, eps, float(levels[0]))
                made.append(to_images(sampler(denoise, start, levels, lambda step, eps=eps: eps)))
                bar.advance(1)
            return np.concatenate(made)

        return sheet_of(self.palette[np.stack(index_maps)], np.stack(images), sample)
