"""What is looked at during training: the validation loss by noise level, and a fixed sheet of samples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from surgaug.device import autocast
from surgaug.diffusion.loss import loss
from surgaug.diffusion.parameterisation import add_noise, clip_x0, denoiser, target
from surgaug.diffusion.samplers import get
from surgaug.diffusion.schedules import Schedule
from surgaug.models.pixels import to_images, to_tensor
from surgaug.models.style import style_code
from surgaug.models.unet import Conditioning, SemanticUNet
from surgaug.training.frames import Frames

LEVELS = 8
SHEET = 8
SHEET_STEPS = 12


def fixed_frames(frames: Frames, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [N, H, W, 3] and index maps uint8 [N, H, W] of at most `count` frames, evenly spread."""
    chosen = np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)
    views = [frames.view(i) for i in chosen]
    return np.stack([v[0] for v in views]), np.stack([v[1] for v in views])


def sheet_of(colors: np.ndarray, images: np.ndarray, paint: Callable[[int], np.ndarray]) -> np.ndarray:
    """Rows of label map, real frame and painted frame; `paint(n)` paints the first n. All uint8 [N, H, W, 3]."""
    n = min(SHEET, len(images))
    rows = [colors[:n], images[:n], paint(n)]
    return np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0)


class Validation:
    """Fixed frames, fixed noise, fixed levels: values are comparable over a run."""

    def __init__(self, frames: Frames, count: int, schedule: Schedule, prediction: str, device: torch.device, dtype):
        self.schedule, self.prediction, self.device, self.dtype = schedule, prediction, device, dtype
        self.images, self.index_maps = fixed_frames(frames, count)
        generator = torch.Generator().manual_seed(0)
        height, width = frames.size
        self.eps = torch.randn(len(self.images), 3, height, width, generator=generator)
        self.levels = schedule.sample_levels((torch.arange(LEVELS) + 0.5) / LEVELS)
        self.palette = frames.paired.space.palette

    @torch.inference_mode()
    def losses(self, net: SemanticUNet, batch: int) -> list[float]:
        """Mean squared error of the prediction at each of `LEVELS` noise levels, least noise first."""
        totals = torch.zeros(LEVELS, dtype=torch.float64)
        for i in range(0, len(self.images), batch):
            x_0 = to_tensor(self.images[i : i + batch], self.device)
            eps = self.eps[i : i + batch].to(self.device)
            cond = self._condition(net, slice(i, i + batch))
            for k, level in enumerate(self.levels):
                level = level.expand(len(x_0))
                x_t = add_noise(x_0, eps, level)
                with autocast(self.device, self.dtype):
                    out = net(x_t, level.sqrt().to(self.device, torch.float32), cond)
                totals[k] += loss(out, target(self.prediction, x_0, eps, level)).double().sum().cpu()
        return (totals / len(self.images)).tolist()

    def _condition(self, net: SemanticUNet, part: slice) -> Conditioning:
        """What the label maps and the styles of the frames contribute."""
        style = style_code(to_tensor(self.images[part], self.device))
        with autocast(self.device, self.dtype):
            return net.in_style(net.encode(torch.from_numpy(self.index_maps[part]).to(self.device)), style)

    @torch.inference_mode()
    def sheet(self, net: SemanticUNet) -> np.ndarray:
        """Rows of label map, real frame and sample (the same noise each time); uint8 [3H, nW, 3]."""

        def paint(n: int) -> np.ndarray:
            eps, cond = self.eps[:n].to(self.device), self._condition(net, slice(n))

            def network(x_t: Tensor, noise_level: Tensor) -> Tensor:
                with autocast(self.device, self.dtype):
                    return net(x_t, noise_level, cond)

            denoise = clip_x0(denoiser(self.prediction, network))
            steps = min(SHEET_STEPS, self.schedule.timesteps)
            return to_images(
                get("dpmpp")(denoise, eps, self.schedule.sampling_levels(steps, "karras"), lambda step: eps)
            )

        return sheet_of(self.palette[self.index_maps], self.images, paint)
