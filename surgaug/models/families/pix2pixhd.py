"""pix2pixHD (Wang, Liu, Zhu, Tao, Kautz, Catanzaro 2018, "High-Resolution Image Synthesis and Semantic Manipulation
with Conditional GANs").

The coarse-to-fine generator of section 3.2 and appendix A. The coarse one works at half the size: c7s1-64, d128, d256,
d512, d1024, nine residual blocks of 1024, u512, u256, u128, u64, c7s1-3. The fine one, c7s1-32, d64, three residual
blocks of 64, u32, c7s1-3, adds the coarse one's last features to its own before its residual blocks. Instance
normalisation, ReLU, reflection padding, tanh at the end; weights start from N(0, 0.02).

The label map enters one-hot, averaged where it is halved. What the paper makes of instances (section 3.3: boundary
maps, features of instances) is left out, since label maps do not tell them. It draws no noise: one map, one picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from surgaug.models.gan import HostBuffers, Residual, conv_norm, half, normal_init, pad_to
from surgaug.models.spade import class_shares


@dataclass(frozen=True)
class Config:
    """`channels` of the coarse generator's first layer (half of them of the fine one's), which double with each of its
    `downs`; residual `blocks` of the coarse and `fine_blocks` of the fine generator.
    """

    channels: int = 64
    downs: int = 4
    blocks: int = 9
    fine_blocks: int = 3

    @property
    def multiple(self) -> int:
        """Heights and widths are padded inside to a multiple of this."""
        return 2 ** (self.downs + 1)


PRESETS = {
    "tiny": Config(channels=24, downs=3, blocks=4, fine_blocks=2),
    "small": Config(channels=32, downs=3, blocks=6),
    "base": Config(),
}


class Generator(HostBuffers):
    """One-hot label map in, image out; see `models.families`.

    `grown`: whether the fine generator takes part; before, images are the coarse one's, enlarged.
    """

    on_host = ("grown",)
    grown: Tensor

    def __init__(self, config: Config, num_classes: int):
        super().__init__()
        self.config, self.num_classes = config, num_classes
        self.coarse = Coarse(config, num_classes)
        c = config.channels // 2
        self.down = nn.Sequential(
            nn.ReflectionPad2d(3), *conv_norm(nn.Conv2d(num_classes, c, 7)),
            *conv_norm(nn.Conv2d(c, 2 * c, 3, stride=2, padding=1)),
        )  # fmt: skip
        self.up = nn.Sequential(
            *(Residual(2 * c) for _ in range(config.fine_blocks)),
            *conv_norm(nn.ConvTranspose2d(2 * c, c, 3, stride=2, padding=1, output_padding=1)),
            nn.ReflectionPad2d(3), nn.Conv2d(c, 3, 7), nn.Tanh(),
        )  # fmt: skip
        self.register_buffer("grown", torch.tensor(False))
        normal_init(self)

    def noise_shapes(self, size: tuple[int, int]) -> list[tuple[int, ...]]:
        """None: the picture depends on the map alone."""
        return []

    def forward(self, index_map: Tensor, noise: list[Tensor]) -> Tensor:
        height, width = index_map.shape[-2:]
        # At the coarsest level two positions a side are the least that can be reflected.
        padded = pad_to(index_map, self.config.multiple, 2 * self.config.multiple)
        labels = class_shares(padded, self.num_classes, next(self.parameters()).dtype)
        if self.grown:
            x = self.up(self.down(labels) + self.coarse.features(half(labels)))
        else:
            x = F.interpolate(self.coarse(half(labels)), scale_factor=2, mode="bilinear")
        return x[:, :, :height, :width]


class Coarse(nn.Module):
    """The coarse generator ("global" in the paper), [B, K, h, w] to images [B, 3, h, w]."""

    def __init__(self, config: Config, num_classes: int):
        super().__init__()
        c, last = config.channels, config.channels * 2**config.downs
        widths = [c * 2**i for i in range(config.downs + 1)]
        down = [
            layer
            for before, after in pairwise(widths)
            for layer in conv_norm(nn.Conv2d(before, after, 3, stride=2, padding=1))
        ]
        up = [
            layer
            for before, after in pairwise(widths[::-1])
            for layer in conv_norm(nn.ConvTranspose2d(before, after, 3, stride=2, padding=1, output_padding=1))
        ]
        self.features = nn.Sequential(
            nn.ReflectionPad2d(3), *conv_norm(nn.Conv2d(num_classes, c, 7)), *down,
            *(Residual(last) for _ in range(config.blocks)), *up,
        )  # fmt: skip
        self.out = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(c, 3, 7), nn.Tanh())

    def forward(self, labels: Tensor) -> Tensor:
        return self.out(self.features(labels))


def build(config: Config, num_classes: int) -> Generator:
    """The generator, with fresh weights from torch's random state."""
    return Generator(config, num_classes)
