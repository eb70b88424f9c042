"""The generator of SPADE (Park et al. 2019) around any norm that is told the label map.

Section 3 and appendix A: a random vector z from N(0, I), a linear layer to 4x4 positions, then residual blocks with
nearest-neighbour upsampling between them, a 3x3 convolution and tanh; spectral normalisation of the blocks'
convolutions. Weights start by Glorot's rule, with a gain of 0.02 as in the authors' program. In each norm the label map
is resized by nearest neighbour. In other sizes and proportions the 4x4 positions are stretched to the coarsest level's.

CLADE (Tan et al. 2021) is the same generator with another norm.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from surgaug.models.gan import glorot_init, pad_to

GRID = 4


class SpadeGenerator(nn.Module):
    """Label map and random vector in, image out; see `models.families`.

    channels: by block, coarsest first, with an upsampling between each two. z: length of the random vector.
    make_norm(channels): a module that takes features [B, channels, h, w] and the label map at that size.
    """

    def __init__(self, channels: tuple[int, ...], z: int, make_norm: Callable[[int], nn.Module]):
        super().__init__()
        self.z, self.multiple = z, 2 ** (len(channels) - 1)
        self.entry = nn.Linear(z, channels[0] * GRID**2)
        self.blocks = nn.ModuleList(
            Block(before, after, make_norm) for before, after in zip([channels[0], *channels], channels, strict=False)
        )
        self.out = nn.Conv2d(channels[-1], 3, 3, padding=1)
        glorot_init(self)

    def noise_shapes(self, size: tuple[int, int]) -> list[tuple[int, ...]]:
        """Of the random vector."""
        return [(self.z,)]

    def represented(self, index_map: Tensor) -> Tensor:
        """What the norms are given of indices uint8 [B, H, W], before it is resized: [B, C, H, W]."""
        raise NotImplementedError

    def forward(self, index_map: Tensor, noise: list[Tensor]) -> Tensor:
        height, width = index_map.shape[-2:]
        labels = self.represented(pad_to(index_map, self.multiple))
        coarsest = [n // self.multiple for n in labels.shape[-2:]]
        h = self.entry(noise[0]).view(len(index_map), -1, GRID, GRID)
        h = F.interpolate(h, coarsest, mode="nearest")
        for i, block in enumerate(self.blocks):
            if i:
                h = F.interpolate(h, scale_factor=2, mode="nearest")
            h = block(h, F.interpolate(labels, h.shape[-2:], mode="nearest"))
        return torch.tanh(self.out(F.leaky_relu(h, 0.2)))[:, :, :height, :width]


class Block(nn.Module):
    """SPADE residual block (figure 4, left); x [B, C_in, h, w] and the label map at its size to [B, C_out, h, w]."""

    def __init__(self, before: int, after: int, make_norm: Callable[[int], nn.Module]):
        super().__init__()
        middle = min(before, after)
        self.norm1 = make_norm(before)
        self.conv1 = spectral_norm(nn.Conv2d(before, middle, 3, padding=1))
        self.norm2 = make_norm(middle)
        self.conv2 = spectral_norm(nn.Conv2d(middle, after, 3, padding=1))
        self.widened = before != after
        if self.widened:
            self.norm_skip = make_norm(before)
            self.skip = spectral_norm(nn.Conv2d(before, after, 1, bias=False))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        h = self.conv1(F.leaky_relu(self.norm1(x, labels), 0.2))
        h = self.conv2(F.leaky_relu(self.norm2(h, labels), 0.2))
        return h + (self.skip(self.norm_skip(x, labels)) if self.widened else x)


def plain_norm(kind: str, channels: int) -> nn.Module:
    """The norm without parameters, before scale and shift: "batch" (running statistics when sampling) or "instance"."""
    return {"batch": nn.BatchNorm2d, "instance": nn.InstanceNorm2d}[kind](channels, affine=False)
