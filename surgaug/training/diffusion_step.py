"""The parts of one optimizer step of the diffusion model: draw, make the batch, gradient, apply."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from surgaug.diffusion.loss import loss, min_snr_weight
from surgaug.diffusion.parameterisation import add_noise, target
from surgaug.models.style import DIMENSION, style_code
from surgaug.models.unet import SemanticUNet
from surgaug.runtime.device import autocast, to_device, to_tensor
from surgaug.training.config import TrainConfig
from surgaug.training.frames import FrameBatch

FINAL_LR = 0.01


class NetWithLabels(nn.Module):
    """The network and its label encoding as one forward pass: DDP sums only the gradients of a single forward."""

    def __init__(self, net: SemanticUNet):
        super().__init__()
        self.net = net

    def forward(self, x_t: Tensor, noise_level: Tensor, *condition: Tensor) -> Tensor:
        return self.net(x_t, noise_level, self.net.condition(*condition))


@dataclass(frozen=True)
class Batch:
    """What the network is given, and the target of its output.

    x_t, target: [b, 3, H, W]. noise_level, weight (of each sample's loss): [b]. condition: the arguments of the
    network's `condition`: index maps uint8 [b, H, W]; styles [b, 7], NaN where the network is not told; and what else
    an upsampler takes.
    """

    x_t: Tensor
    noise_level: Tensor
    condition: tuple[Tensor, ...]
    target: Tensor
    weight: Tensor | None

    def pieces(self, n: int) -> list[Batch]:
        """The batch in `n` parts of (nearly) equal size."""
        x_t, noise_level, target = (t.chunk(n) for t in (self.x_t, self.noise_level, self.target))
        condition = zip(*(t.chunk(n) for t in self.condition), strict=True)
        weight = self.weight.chunk(n) if self.weight is not None else [None] * len(x_t)
        return [Batch(*parts) for parts in zip(x_t, noise_level, condition, target, weight, strict=True)]


@dataclass(frozen=True)
class Drawn:
    """What is drawn for a step, before noise and frames are mixed.

    x_0, eps: frames and noise [b, 3, H, W]. alpha_bar: noise levels float64 [b] on the CPU. condition: as in `Batch`.
    """

    x_0: Tensor
    eps: Tensor
    alpha_bar: Tensor
    condition: tuple[Tensor, ...]


def lr_factor(step: int, progress: float, warmup: int, decay: str = "cosine") -> float:
    """Linear warm-up over `warmup` steps, times 1 ("constant") or a cosine from 1 to `FINAL_LR` over `progress` in
    [0, 1]."""
    rising = min(1.0, (step + 1) / (warmup + 1))
    if decay == "constant":
        return rising
    return rising * (FINAL_LR + (1 - FINAL_LR) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))


def drop_labels(
    index_map: Tensor, drop_map: float, drop_class: float, num_classes: int, generator: torch.Generator
) -> Tensor:
    """Index maps uint8 [B, H, W] with whole maps, and single classes, set to "no label" (255).

    The first teaches the unconditional model that guidance needs; the second, that any class may be unknown.
    """
    return without(index_map, dropped(len(index_map), drop_map, drop_class, num_classes, generator))


def dropped(b: int, drop_map: float, drop_class: float, num_classes: int, generator: torch.Generator) -> Tensor:
    """Which indices of each of `b` maps become "no label": bool [b, 256] on the CPU."""
    whole = torch.rand(b, 1, generator=generator) < drop_map
    single = torch.rand(b, num_classes, generator=generator) < drop_class
    return torch.cat([whole | single, torch.ones(b, 256 - num_classes, dtype=torch.bool)], dim=1)


def without(index_map: Tensor, gone: Tensor) -> Tensor:
    """Index maps uint8 [B, H, W] without the indices of `dropped`; where the maps lie, on a device or not."""
    gone = to_device(gone, index_map.device).gather(1, index_map.flatten(1).long())
    return index_map.masked_fill(gone.view_as(index_map), 255)


def make_batch(config: TrainConfig, drawn: Drawn, device: torch.device) -> Batch:
    """The frames with their noise added, and the target that the run's parameterisation asks for."""
    weight = None
    if config.min_snr_gamma is not None:
        weight = min_snr_weight(config.prediction, drawn.alpha_bar, config.min_snr_gamma, config.min_snr_floor)
        weight = to_device(weight.to(torch.float32), device)
    return Batch(
        add_noise(drawn.x_0, drawn.eps, drawn.alpha_bar),
        to_device(drawn.alpha_bar.sqrt().to(torch.float32), device),
        drawn.condition,
        target(config.prediction, drawn.x_0, drawn.eps, drawn.alpha_bar),
        weight,
    )


def generator_of(config: TrainConfig, step: int) -> torch.Generator:
    """What all random numbers of a step are drawn with."""
    return torch.Generator().manual_seed(config.seed * 1_000_003 + step)


def strata(b: int, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Tensor:
    """Numbers uniform in [0, 1], [b], one in each of b equal parts: every batch covers all noise levels evenly, which
    steadies the gradient."""
    return (torch.randperm(b, generator=generator) + torch.rand(b, generator=generator, dtype=dtype)) / b


def draw(
    config: TrainConfig,
    frames: FrameBatch,
    num_classes: int,
    part: slice,
    device: torch.device,
    generator: torch.Generator,
    codes: Tensor | None = None,
) -> Drawn:
    """Draw noise, noise levels and label dropout for a step, and cut them to this process's `part` of the batch.

    They are drawn for the whole global batch from (seed, step): the same for any number of processes, and after a
    resume. frames: those of `part`. codes: their styles, [b, 7]; None to take them from the images.
    """
    b, size = config.batch, frames.images.shape[1:3]
    alpha_bar = config.schedule.sample_levels(strata(b, generator))[part]
    eps = unit_noise((3, *size), b, part, generator, device).contiguous(memory_format=torch.channels_last)
    gone = dropped(b, config.drop_map, config.drop_class, num_classes, generator)[part]
    index_map = without(to_device(frames.index_maps, device), gone)
    x_0 = to_tensor(frames.images, device)
    style = x_0.new_full((len(x_0), DIMENSION), torch.nan)
    if config.network.style:
        styleless = to_device((torch.rand(b, 1, generator=generator) < config.drop_style)[part], device)
        known = style_code(x_0) if codes is None else to_device(codes.to(x_0.dtype), device)
        style = known.masked_fill(styleless, torch.nan)
    return Drawn(x_0, eps, alpha_bar, (index_map, style))


def unit_noise(
    shape: tuple[int, ...], batch: int, part: slice, generator: torch.Generator, device: torch.device
) -> Tensor:
    """Unit Gaussian noise [b, *shape] for this process's `part` of a batch, on the device.

    A CPU's is cut from that of the whole batch. CUDA draws its own, each sample from a seed of its own: a CPU would be
    slower at it than the GPU is at the rest of the step.
    """
    if device.type != "cuda":
        return to_device(torch.randn((batch, *shape), generator=generator)[part], device)
    own, mine = torch.Generator(device), range(batch)[part]
    noise = torch.empty((len(mine), *shape), device=device)
    for row, k in zip(noise, mine, strict=True):
        row.normal_(generator=own.manual_seed((generator.initial_seed() * 65_536 + k) % 2**63))
    return noise


def gradient(
    model: nn.Module,
    batch: Batch,
    config: TrainConfig,
    pieces: int,
    scaler: torch.amp.GradScaler,
    dtype: torch.dtype | None,
) -> Tensor:
    """Accumulate the gradient of the mean loss over `batch`, cut into `pieces`; returns that loss, on the device."""
    total, size = batch.x_t.new_zeros(()), len(batch.x_t)
    parts = batch.pieces(pieces)
    for i, piece in enumerate(parts):
        last = i == len(parts) - 1
        with nullcontext() if last or not isinstance(model, DistributedDataParallel) else model.no_sync():
            with autocast(piece.x_t.device, dtype):
                out = model(piece.x_t, piece.noise_level, *piece.condition)
            value = loss(out, piece.target, piece.weight, config.loss).sum() / size
            scaler.scale(value).backward()
        total += value.detach()
    return total


def apply(
    net: nn.Module, optimizers: Sequence[torch.optim.Optimizer], scaler: torch.amp.GradScaler, clip: float
) -> Tensor:
    """Clip the gradient, step, and clear it. Returns its norm, on the device.

    Where the norm is not finite, no weight changes. To look at it means waiting for any device but the CPU. In fp16
    that is done, since overflows are usual there: the scaler would keep from its step only the optimizer whose gradient
    overflowed, though clipping has spoilt those of all. Otherwise the loop sees it later, and ends the run before
    anything is saved.
    """
    for optimizer in optimizers:
        scaler.unscale_(optimizer)
    norm = nn.utils.clip_grad_norm_(net.parameters(), clip)
    if not (norm.is_cpu or scaler.is_enabled()) or bool(norm.isfinite()):
        for optimizer in optimizers:
            scaler.step(optimizer)
    scaler.update()  # by what `unscale_` found, with a step or without
    net.zero_grad(set_to_none=True)
    return norm
