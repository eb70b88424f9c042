"""What the adversarial methods share: networks with optimizers of their own, losses, learning rate, and validation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from surgaug.models.spade import class_shares
from surgaug.runtime.device import FUSED, autocast, to_device, to_images, to_tensor
from surgaug.runtime.distributed import ProcessGroup
from surgaug.runtime.feedback import Feedback, Task
from surgaug.training.config import TrainConfig
from surgaug.training.diffusion_step import apply
from surgaug.training.frames import FrameBatch, Frames
from surgaug.training.validation import SHEET, fixed_frames, sheet_of

JITTER = 0.1
"""`zoom` of the papers: frames of 286 pixels cut to 256 (pix2pix, appendix 6.2; the code of CycleGAN and SPADE)."""


class OptimizedNetwork:
    """A network (or several in one module) with an Adam optimizer of its own.

    rate: its learning rate, as a multiple of the run's.
    """

    def __init__(self, net: nn.Module, rate: float, betas: tuple[float, float], device: torch.device):
        self.net, self.rate = net, rate
        self.optimizer = torch.optim.Adam(net.parameters(), betas=betas, fused=device.type in FUSED)

    def step(self, loss: Tensor, scaler: torch.amp.GradScaler) -> Tensor:
        """One optimizer step that lowers `loss`, a scalar. Returns the norm of the gradient."""
        self.optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        return apply(self.net, [self.optimizer], scaler, math.inf)


class Adversarial:
    """The common part of the adversarial methods; see `training.methods`. A method adds generator and discriminator."""

    paired, compiled_module = True, None
    net: Any  # of one of `models/families`, each with methods of its own

    def __init__(
        self,
        config: TrainConfig,
        net: nn.Module,
        num_classes: int,
        device: torch.device,
        dtype: torch.dtype | None,
        group: ProcessGroup,
    ):
        self.config, self.net, self.num_classes, self.device, self.dtype = config, net, num_classes, device, dtype
        self.scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
        self.sampling = {"schedule": {}, "prediction": "image", "defaults": {}}
        self.parts: dict[str, Any] = {"scaler": self.scaler}
        self.optimized: list[OptimizedNetwork] = []

    def add(self, name: str, net: nn.Module, rate: float, betas: tuple[float, float]) -> OptimizedNetwork:
        """Give `net` an optimizer; both are kept in the run's state, as `name` and `name`_optimizer."""
        added = OptimizedNetwork(net, rate, betas, self.device)
        self.optimized.append(added)
        self.parts |= {name: net, f"{name}_optimizer": added.optimizer}
        return added

    def set_rate(self, step: int, progress: float) -> float:
        """The full rate in the first half, then linearly to zero, as CycleGAN (appendix 7.1), pix2pixHD (appendix A)
        and SPADE (appendix A) have it. pix2pix's paper says nothing of it; its authors' later program does the same.
        """
        lr = self.config.lr * min(1.0, 2 * (1 - min(1.0, progress)))
        for network in self.optimized:
            for group in network.optimizer.param_groups:
                group["lr"] = lr * network.rate
        return lr

    def to_device(self, frames: FrameBatch) -> tuple[Tensor, Tensor]:
        """Images float [b, 3, H, W] in [-1, 1] and index maps uint8 [b, H, W]."""
        return to_tensor(frames.images, self.device), to_device(frames.index_maps, self.device)

    def one_hot(self, index_map: Tensor) -> Tensor:
        """[b, H, W] to float [b, K, H, W]."""
        return class_shares(index_map, self.num_classes, torch.float32)

    def generate(self, index_map: Tensor) -> Tensor:
        """Images [b, 3, H, W] of the maps, with noise from torch's generator."""
        shapes = self.net.noise_shapes(tuple(index_map.shape[-2:]))
        # Drawn on the CPU: the same numbers on any device.
        noise = [to_device(torch.randn(len(index_map), *shape), self.device) for shape in shapes]
        return self.net(index_map, noise).float()

    def autocast(self) -> Any:
        """The context of the run's precision."""
        return autocast(self.device, self.dtype)

    def prepare(self, frames: Frames, feedback: Feedback) -> None:
        """Nothing: the frames are all it needs."""

    def conclude(self, average: nn.Module, frames: Frames, held_out: Frames, seen: int, feedback: Feedback) -> None:
        """Nothing is left to be measured."""

    def halve(self) -> bool:
        """False: a batch cannot be computed in smaller pieces, since its normalisation layers need the whole of it."""
        return False

    def validation(self, frames: Frames) -> ImageValidation:
        """Validation on the frames that are held out."""
        return ImageValidation(frames, self.config.validate_frames, self.device, self.dtype)


@contextmanager
def frozen(*nets: nn.Module) -> Iterator[None]:
    """Without gradients of the nets' weights; they still flow through to what the nets were given."""
    for net in nets:
        net.requires_grad_(False)
    try:
        yield
    finally:
        for net in nets:
            net.requires_grad_(True)


def cross_entropy(answer: Tensor, real: bool) -> Tensor:
    """The original loss: answers [B, 1, h, w] as logits of "real" (Goodfellow 2014, with the non-saturating form)."""
    return F.binary_cross_entropy_with_logits(answer.float(), torch.full_like(answer, float(real), dtype=torch.float32))


def least_squares(answer: Tensor, real: bool) -> Tensor:
    """LSGAN (Mao 2017): answers should be 1 for what is real and 0 for what is not."""
    return (answer.float() - float(real)).square().mean()


def hinge(answer: Tensor, real: bool) -> Tensor:
    """The discriminator's hinge loss (Lim and Ye 2017; Miyato 2018). The generator's is the mean answer, negated."""
    return F.relu(1 - answer.float() if real else 1 + answer.float()).mean()


def feature_matching(real: Iterable[Tensor], fake: Iterable[Tensor]) -> Tensor:
    """Sum over a discriminator's layers of the mean absolute difference (pix2pixHD, Wang 2018, equation 4)."""
    losses = [F.l1_loss(b.float(), a.detach().float()) for a, b in zip(real, fake, strict=True)]
    return torch.stack(losses).sum()


class ImageValidation:
    """On fixed frames, with fixed noise: how far synthetic images are from the real ones, and a sheet of both."""

    def __init__(self, frames: Frames, count: int, device: torch.device, dtype: torch.dtype | None):
        self.device, self.dtype = device, dtype
        self.images, self.index_maps = fixed_frames(frames, count)
        self.palette = frames.paired.space.palette
        self.work = len(self.images) + min(SHEET, len(self.images))

    def losses(self, net: nn.Module, batch: int, bar: Task) -> list[float]:
        """A single value: mean |synthetic - real|, of images in [-1, 1]."""
        total = 0.0
        for i in range(0, len(self.images), batch):
            difference = self._sample(net, i, i + batch) - to_tensor(self.images[i : i + batch], self.device)
            total += difference.abs().mean(dim=(1, 2, 3)).sum().item()
            bar.advance(len(difference))
        return [total / len(self.images)]

    def sheet(self, net: nn.Module, bar: Task) -> np.ndarray:
        """Rows of label map, real frame and synthetic image; uint8 [3H, nW, 3]."""
        sheet = sheet_of(self.palette[self.index_maps], self.images, lambda n: to_images(self._sample(net, 0, n)))
        bar.advance(min(SHEET, len(self.images)))
        return sheet

    @torch.inference_mode()
    def _sample(self, net: Any, start: int, stop: int) -> Tensor:
        index_map = to_device(self.index_maps[start:stop], self.device)
        noise = []
        for shape in net.noise_shapes(self.index_maps.shape[-2:]):
            drawn = [torch.randn(shape, generator=torch.Generator().manual_seed(i)) for i in range(start, stop)]
            noise.append(torch.stack(drawn[: len(index_map)]).to(self.device))
        with autocast(self.device, self.dtype):
            return net(index_map, noise).float()
