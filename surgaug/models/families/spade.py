"""SPADE (Park, Liu, Wang, Zhu 2019, "Semantic Image Synthesis with Spatially-Adaptive Normalization").

The generator of section 3 and appendix A: a random vector z from N(0, I) of 256 numbers, a linear layer to 4x4
positions, then SPADE residual blocks of 1024, 1024, 1024, 512, 256, 128 and 64 channels with nearest-neighbour
upsampling between them, a 3x3 convolution and tanh. In each SPADE layer the label map, resized by nearest neighbour,
goes through a 3x3 convolution to 128 channels and ReLU to scale and shift; batch normalisation before them (running
statistics when sampling); spectral normalisation of the blocks' convolutions. Weights start by Glorot's rule, with a
gain of 0.02 as in the authors' program.

The label map enters one-hot. In other sizes and proportions the 4x4 positions are stretched to the coarsest level's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from surgaug.models.gan import glorot_init, pad_to
from surgaug.models.spade import class_shares

GRID = 4


@dataclass(frozen=True)
class Config:
    """`channels` by block, coarsest first, with an upsampling between each two. `hidden`: of a SPADE layer. `z`: length
    of the random vector. `norm`: batch or instance, before scale and shift.
    """

    channels: tuple[int, ...] = (1024, 1024, 1024, 512, 256, 128, 64)
    hidden: int = 128
    z: int = 256
    norm: str = "batch"

    @property
    def multiple(self) -> int:
        """Heights and widths are padded inside to a multiple of this."""
        return 2 ** (len(self.channels) - 1)


PRESETS = {
    "tiny": Config(channels=(192, 128, 64, 32, 16), hidden=32, z=64),
    "small": Config(channels=(512, 512, 256, 128, 64, 32), hidden=64),
    "base": Config(),
}


class Generator(nn.Module):
    """Label map and random vector in, image out; see `models.families`."""

    def __init__(self, config: Config, num_classes: int):
        super().__init__()
        self.config, self.num_classes = config, num_classes
        first, last = config.channels[0], config.channels[-1]
        self.entry = nn.Linear(config.z, first * GRID**2)
        self.blocks = nn.ModuleList(
            Block(before, after, num_classes, config)
            for before, after in zip([first, *config.channels], config.channels, strict=False)
        )
        self.out = nn.Conv2d(last, 3, 3, padding=1)
        glorot_init(self)

    def noise_shapes(self, size: tuple[int, int]) -> list[tuple[int, ...]]:
        """Of the random vector."""
        return [(self.config.z,)]

    def forward(self, index_map: Tensor, noise: list[Tensor]) -> Tensor:
        height, width = index_map.shape[-2:]
        index_map = pad_to(index_map, self.config.multiple)
        shares = class_shares(index_map, self.num_classes, self.out.weight.dtype)
        coarsest = [n // self.config.multiple for n in index_map.shape[-2:]]
        h = self.entry(noise[0]).view(len(index_map), -1, GRID, GRID)
        h = F.interpolate(h, coarsest, mode="nearest")
        for i, block in enumerate(self.blocks):
            if i:
                h = F.interpolate(h, scale_factor=2, mode="nearest")
            h = block(h, F.interpolate(shares, h.shape[-2:], mode="nearest"))
        return torch.tanh(self.out(F.leaky_relu(h, 0.2)))[:, :, :height, :width]


class Block(nn.Module):
    """SPADE residual block (figure 4, left); x [B, C_in, h, w] and the one-hot map [B, K, h, w] to [B, C_out, h, w]."""

    def __init__(self, before: int, after: int, num_classes: int, config: Config):
        super().__init__()
        middle = min(before, after)
        self.norm1 = Spade(before, num_classes, config)
        self.conv1 = spectral_norm(nn.Conv2d(before, middle, 3, padding=1))
        self.norm2 = Spade(middle, num_classes, config)
        self.conv2 = spectral_norm(nn.Conv2d(middle, after, 3, padding=1))
        self.widened = before != after
        if self.widened:
            self.norm_skip = Spade(before, num_classes, config)
            self.skip = spectral_norm(nn.Conv2d(before, after, 1, bias=False))

    def forward(self, x: Tensor, shares: Tensor) -> Tensor:
        h = self.conv1(F.leaky_relu(self.norm1(x, shares), 0.2))
        h = self.conv2(F.leaky_relu(self.norm2(h, shares), 0.2))
        return h + (self.skip(self.norm_skip(x, shares)) if self.widened else x)


class Spade(nn.Module):
    """Normalise x [B, C, h, w]; scale and shift it by what the map [B, K, h, w] says of each place (equation 1)."""

    def __init__(self, channels: int, num_classes: int, config: Config):
        super().__init__()
        norm = {"batch": nn.BatchNorm2d, "instance": nn.InstanceNorm2d}[config.norm]
        self.norm = norm(channels, affine=False)
        self.shared = nn.Conv2d(num_classes, config.hidden, 3, padding=1)
        self.scale_shift = nn.Conv2d(config.hidden, 2 * channels, 3, padding=1)

    def forward(self, x: Tensor, shares: Tensor) -> Tensor:
        scale, shift = self.scale_shift(F.relu(self.shared(shares))).chunk(2, dim=1)
        return torch.addcmul(shift, self.norm(x), 1 + scale)


def build(config: Config, num_classes: int) -> Generator:
    """The generator, with fresh weights from torch's random state."""
    return Generator(config, num_classes)
