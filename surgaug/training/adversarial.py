"""What the adversarial methods share: players that take turns, their losses, the learning rate, and validation."""

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
from surgaug.runtime.device import autocast, to_device, to_images, to_tensor
from surgaug.runtime.distributed import ProcessGroup
from surgaug.training.config import TrainConfig
from surgaug.training.diffusion_step import apply
from surgaug.training.frames import Frames
from surgaug.training.validation import fixed_frames, sheet_of

JITTER = 0.1
"""`zoom` of the papers: frames of 286 pixels cut to 256 (pix2pix, appendix 6.2; the code of CycleGAN and SPADE)."""


class Player:
    """A network, or several that move together, with Adam; `rate` is its learning rate over that of the run."""

    def __init__(self, net: nn.Module, rate: float, betas: tuple[float, float], device: torch.device):
        self.net, self.rate = net, rate
        self.optimizer = torch.optim.Adam(net.parameters(), betas=betas, fused=device.type != "mps")

    def step(self, loss: Tensor, scaler: torch.amp.GradScaler) -> float:
        """One step down `loss`; returns the norm of its gradient."""
        self.optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        return apply(self.net, [self.optimizer], scaler, math.inf)


class Adversarial:
    """The common part of an adversarial `Method`; see `training.methods`. `players` names the two that take turns."""

    paired, trained = True, None
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
        self.players: list[Player] = []

    def add_player(self, name: str, net: nn.Module, rate: float, betas: tuple[float, float]) -> Player:
        """A player whose weights and optimizer are kept for resuming."""
        player = Player(net, rate, betas, self.device)
        self.players.append(player)
        self.parts |= {name: net, f"{name}_optimizer": player.optimizer}
        return player

    def set_rate(self, step: int, progress: float) -> float:
        """The full rate in the first half, then linearly to zero, as all three papers have it."""
        lr = self.config.lr * min(1.0, 2 * (1 - min(1.0, progress)))
        for player in self.players:
            for group in player.optimizer.param_groups:
                group["lr"] = lr * player.rate
        return lr

    def to_device(self, images: np.ndarray, index_maps: np.ndarray) -> tuple[Tensor, Tensor]:
        """Images float [b, 3, H, W] in [-1, 1] and index maps uint8 [b, H, W]."""
        return to_tensor(images, self.device), to_device(index_maps, self.device)

    def one_hot(self, index_map: Tensor) -> Tensor:
        """[b, H, W] to float [b, K, H, W]."""
        return class_shares(index_map, self.num_classes, torch.float32)

    def paint(self, index_map: Tensor) -> Tensor:
        """Pictures [b, 3, H, W] of the maps with noise from torch's generator."""
        shapes = self.net.noise_shapes(tuple(index_map.shape[-2:]))
        # Drawn on the CPU: the same numbers on any device.
        noise = [torch.randn(len(index_map), *shape).to(self.device) for shape in shapes]
        return self.net(index_map, noise).float()

    def autocast(self) -> Any:
        """The context of the run's precision."""
        return autocast(self.device, self.dtype)

    def halve(self) -> bool:
        """These batches are small, and their norms see the whole of them: they are not cut."""
        return False

    def validation(self, frames: Frames) -> Validation:
        """Validation by frames that were held out."""
        return Validation(frames, self.config.validate_frames, self.device, self.dtype)


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
    """The discriminator's hinge loss (Lim and Ye 2017; Miyato 2018). The painter's is the mean answer, negated."""
    return F.relu(1 - answer.float() if real else 1 + answer.float()).mean()


def feature_matching(real: Iterable[Tensor], painted: Iterable[Tensor]) -> Tensor:
    """Sum over a discriminator's layers of the mean absolute difference (pix2pixHD, Wang 2018, equation 4)."""
    losses = [F.l1_loss(b.float(), a.detach().float()) for a, b in zip(real, painted, strict=True)]
    return torch.stack(losses).sum()


class Validation:
    """Fixed frames and fixed noise: the mean absolute difference of painted and real images, and a sheet of both."""

    def __init__(self, frames: Frames, count: int, device: torch.device, dtype: torch.dtype | None):
        self.device, self.dtype = device, dtype
        self.images, self.index_maps = fixed_frames(frames, count)
        self.palette = frames.paired.space.palette

    def losses(self, net: nn.Module, batch: int) -> list[float]:
        """A single value: mean |painted - real|, of images in [-1, 1]."""
        total = 0.0
        for i in range(0, len(self.images), batch):
            painted = self._paint(net, i, i + batch)
            total += (
                (painted - to_tensor(self.images[i : i + batch], self.device)).abs().mean(dim=(1, 2, 3)).sum().item()
            )
        return [total / len(self.images)]

    def sheet(self, net: nn.Module) -> np.ndarray:
        """Rows of label map, real frame and painted one; uint8 [3H, nW, 3]."""
        return sheet_of(self.palette[self.index_maps], self.images, lambda n: to_images(self._paint(net, 0, n)))

    @torch.inference_mode()
    def _paint(self, net: Any, start: int, stop: int) -> Tensor:
        index_map = to_device(self.index_maps[start:stop], self.device)
        noise = []
        for shape in net.noise_shapes(self.index_maps.shape[-2:]):
            drawn = [torch.randn(shape, generator=torch.Generator().manual_seed(i)) for i in range(start, stop)]
            noise.append(torch.stack(drawn[: len(index_map)]).to(self.device))
        with autocast(self.device, self.dtype):
            return net(index_map, noise).float()
