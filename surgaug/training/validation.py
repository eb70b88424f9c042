"""What is measured and shown during training: the validation loss by noise level, and a fixed sheet of samples."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from surgaug.diffusion.loss import loss
from surgaug.diffusion.parameterisation import add_noise, clip_x0, denoiser, target
from surgaug.diffusion.samplers import get
from surgaug.diffusion.schedules import Schedule
from surgaug.labels.resize import resize_image
from surgaug.models.style import style_code
from surgaug.models.unet import Conditioning, SemanticUNet, conditioned
from surgaug.models.upsampler import Upsampler
from surgaug.runtime.device import autocast, to_device, to_images, to_tensor
from surgaug.runtime.feedback import Task
from surgaug.runtime.spread import spread, spread_over
from surgaug.training.frames import Frames
from surgaug.training.windows import FrameWindow, WindowedFrames, condition_of

LEVELS = 8
SHEET = 8
SHEET_STEPS = 12
SHEET_PIXELS = 1 << 19  # of the whole frames of a second stage's sheet, together; of one frame at least


def fixed_frames(frames: Frames, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [N, H, W, 3] and index maps uint8 [N, d H, d W], d = `Frames.label_detail`, of at most `count`
    frames, evenly spread; and so are the first `SHEET` of them, which the sheet shows."""
    chosen = spread(len(frames), count)
    shown = spread_over(chosen, SHEET)
    views = [frames.view(i) for i in (*shown, *(i for i in chosen if i not in shown))]
    return np.stack([v[0] for v in views]), np.stack([v[1] for v in views])


def sheet_of(colors: np.ndarray, images: np.ndarray, sample: Callable[[int], np.ndarray]) -> np.ndarray:
    """Rows of label map, real frame and synthetic image, uint8 [3H, nW, 3]; all of uint8 [N, H, W, 3], but label maps
    may be finer.

    sample: makes the images of the first n label maps.
    """
    n, size = min(SHEET, len(images)), (images.shape[1], images.shape[2])
    rows = [np.stack([resize_image(color, size) for color in colors[:n]]), images[:n], sample(n)]
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
                out = network(x_t, to_device(level.sqrt().to(torch.float32), self.device))
                totals[k] += loss(out, target_at(k, x_t)).cpu().double().sum()  # MPS has no float64
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


class WindowValidation(Validation):
    """As `Validation`, of the second stage: the loss on fixed windows, and a sheet of whole frames, each made small and
    then large again.

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
        return condition_of(net, index_maps, windows, self.sampling["picture_noise"], generator, self.dtype)

    @torch.inference_mode()
    def sheet(self, net: SemanticUNet, bar: Task) -> np.ndarray:
        """Rows of label map, real frame and what becomes of it made small; uint8 [3H, nW, 3]."""
        assert isinstance(net, Upsampler)
        images, index_maps, windows = (list(column) for column in zip(*self.whole, strict=True))
        levels = self.schedule.sampling_levels(self.sampling["steps"], self.sampling["options"]["spacing"])
        sampler = get(self.sampling["sampler"])

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
