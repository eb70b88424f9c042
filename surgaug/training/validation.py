"""What is measured and shown during training: the validation loss by noise level, and a fixed sheet of samples."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from surgaug.diffusion.loss import loss
from surgaug.diffusion.parameterisation import add_noise, clip_x0, denoiser, target
from surgaug.diffusion.samplers import get
from surgaug.diffusion.schedules import Schedule
from surgaug.models.style import style_code
from surgaug.models.unet import Conditioning, SemanticUNet, conditioned
from surgaug.runtime.device import autocast, to_device, to_images, to_tensor
from surgaug.runtime.feedback import Task
from surgaug.runtime.spread import spread
from surgaug.training.frames import Frames

LEVELS = 8
SHEET = 8
SHEET_STEPS = 12


def fixed_frames(frames: Frames, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [N, H, W, 3] and index maps uint8 [N, H, W] of at most `count` frames, evenly spread."""
    views = [frames.view(i) for i in spread(len(frames), count)]
    return np.stack([v[0] for v in views]), np.stack([v[1] for v in views])


def sheet_of(colors: np.ndarray, images: np.ndarray, sample: Callable[[int], np.ndarray]) -> np.ndarray:
    """Rows of label map, real frame and synthetic image, uint8 [3H, nW, 3]; all of uint8 [N, H, W, 3].

    sample: makes the images of the first n label maps.
    """
    n = min(SHEET, len(images))
    rows = [colors[:n], images[:n], sample(n)]
    return np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0)


class Validation:
    """Fixed frames, fixed noise, fixed levels: values are comparable over a run.

    `levels`: alpha_bar, least noise first. `sampler`, `spacing`, `steps`: of the sheet.
    """

    sampler: str = "dpmpp"
    spacing: str = "karras"
    steps: int = SHEET_STEPS

    def __init__(
        self,
        images: np.ndarray,
        index_maps: np.ndarray,
        palette: np.ndarray,
        schedule: Schedule,
        prediction: str,
        device: torch.device,
        dtype: torch.dtype | None,
    ):
        """images, index_maps: of `fixed_frames`. palette: colours uint8 [256, 3] by index."""
        self.schedule, self.prediction, self.device, self.dtype = schedule, prediction, device, dtype
        self.images, self.index_maps, self.palette = images, index_maps, palette
        generator = torch.Generator().manual_seed(0)
        self.eps = torch.randn(len(images), 3, *images.shape[1:3], generator=generator)
        self.levels = schedule.sample_levels((torch.arange(LEVELS) + 0.5) / LEVELS)
        self.work = len(self.images) + min(SHEET, len(self.images))

    @torch.inference_mode()
    def losses(self, net: SemanticUNet, batch: int, bar: Task) -> list[float]:
        """Mean squared error of the prediction at each of `levels`, least noise first."""
        totals = torch.zeros(len(self.levels), dtype=torch.float64)
        for i in range(0, len(self.images), batch):
            part = slice(i, i + batch)
            x_0, eps = to_tensor(self.images[part], self.device), self.eps[part].to(self.device)
            network = conditioned(net, self.condition(net, part), self.device, self.dtype)
            target_at = self.targets(part, x_0, eps)
            for k, level in enumerate(self.levels):
                level = level.expand(len(x_0))
                x_t = add_noise(x_0, eps, level)
                out = network(x_t, level.sqrt().to(self.device, torch.float32))
                totals[k] += loss(out, target_at(k, x_t)).double().sum().cpu()
            bar.advance(len(x_0))
        return (totals / len(self.images)).tolist()

    def targets(self, part: slice, x_0: Tensor, eps: Tensor) -> Callable[[int, Tensor], Tensor]:
        """The target of the network's output, as a function of the level's number and x_t of the frames `part`."""
        return lambda k, x_t: target(self.prediction, x_0, eps, self.levels[k].expand(len(x_0)))

    def condition(self, net: SemanticUNet, part: slice) -> Conditioning:
        """What the label maps and the styles of the frames contribute."""
        style = style_code(to_tensor(self.images[part], self.device)) if net.config.style else None
        with autocast(self.device, self.dtype):
            return net.in_style(net.encode(to_device(self.index_maps[part], self.device)), style)

    @torch.inference_mode()
    def sheet(self, net: SemanticUNet, bar: Task) -> np.ndarray:
        """Rows of label map, real frame and sample (the same noise each time); uint8 [3H, nW, 3]."""

        def sample(n: int) -> np.ndarray:
            eps, cond = self.eps[:n].to(self.device), self.condition(net, slice(n))

            denoise = clip_x0(denoiser(self.prediction, conditioned(net, cond, self.device, self.dtype)))
            steps = min(self.steps, self.schedule.timesteps)
            levels = self.schedule.sampling_levels(steps, self.spacing)

            calls = itertools.count(1)

            def shown(x_t: Tensor, alpha_bar: float) -> Tensor:
                call = next(calls)
                bar.advance(n * call // steps - n * (call - 1) // steps)  # whole frames, n of them in all
                return denoise(x_t, alpha_bar)

            return to_images(get(self.sampler)(shown, eps, levels, lambda step: eps))

        return sheet_of(self.palette[self.index_maps], self.images, sample)
