"""pix2pix (Isola, Zhu, Zhou, Efros 2017, "Image-to-Image Translation with Conditional Adversarial Networks").

The generator of section 3.2.1 and appendix 6.1.1, a U-Net: encoder C64-C128-C256-C512-C512-C512-C512-C512 and its
mirror image, every convolution 4x4 with stride 2, leaky ReLU of slope 0.2 in the encoder and ReLU in the decoder, tanh
at the end. Dropout of one half in the first three layers of the decoder is the only noise there is (section 3.1), also
when sampling (section 3.3). Weights start from N(0, 0.02).

Normalisation is by image. The paper normalises by the statistics of the test batch, too, and with batches of one image,
which its label-to-photo experiments use, that is instance normalisation (section 3.3). The label map enters one-hot, so
that any number of classes fits, where the paper has it in colours.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from surgaug.models.gan import dropout, normal_init, pad_to
from surgaug.models.spade import class_shares

DROPOUT_LAYERS = 3


@dataclass(frozen=True)
class Config:
    """`channels` of the first level; they double at each of `depth` levels, up to 8 times. `dropout`: probability."""

    channels: int = 64
    depth: int = 8
    dropout: float = 0.5

    @property
    def multiple(self) -> int:
        """Heights and widths are padded inside to a multiple of this."""
        return 2**self.depth

    @property
    def widths(self) -> list[int]:
        """Channels by level, finest first."""
        return [self.channels * min(8, 2**level) for level in range(self.depth)]


PRESETS = {
    "tiny": Config(channels=32, depth=5),
    "small": Config(channels=48, depth=7),
    "base": Config(),
}


class Generator(nn.Module):
    """One-hot label map and dropout masks in, image out; see `models.families`."""

    def __init__(self, config: Config, num_classes: int):
        super().__init__()
        self.config, self.num_classes = config, num_classes
        widths = config.widths
        last = config.depth - 1
        self.down = nn.ModuleList(
            # The coarsest level may be a single position, which a norm would set to zero.
            _layer(nn.Conv2d(before, after, 4, stride=2, padding=1, bias=i in (0, last)), norm=0 < i < last)
            for i, (before, after) in enumerate(zip([num_classes, *widths], widths, strict=False))
        )
        self.up = nn.ModuleList(
            _layer(
                nn.ConvTranspose2d(widths[i] * (1 if i == last else 2), widths[i - 1], 4, 2, 1, bias=False), norm=True
            )
            for i in range(last, 0, -1)
        )
        self.out = nn.ConvTranspose2d(2 * widths[0], 3, 4, stride=2, padding=1)
        normal_init(self)

    def noise_shapes(self, size: tuple[int, int]) -> list[tuple[int, ...]]:
        """Of one dropout mask for each of the decoder's first three layers."""
        height, width = (-(-n // self.config.multiple) * self.config.multiple for n in size)
        levels = range(self.config.depth - 2, max(-1, self.config.depth - 2 - DROPOUT_LAYERS), -1)
        return [(self.config.widths[i], height >> (i + 1), width >> (i + 1)) for i in levels]

    def forward(self, index_map: Tensor, noise: list[Tensor]) -> Tensor:
        height, width = index_map.shape[-2:]
        h = class_shares(pad_to(index_map, self.config.multiple), self.num_classes, self.out.weight.dtype)
        skips = []
        for i, layer in enumerate(self.down):
            h = layer(F.leaky_relu(h, 0.2) if i else h)
            skips.append(h)
        h = skips.pop()
        for i, layer in enumerate(self.up):
            h = layer(F.relu(h))
            if i < len(noise):
                h = dropout(h, noise[i], self.config.dropout)
            h = torch.cat([h, skips.pop()], dim=1)
        return torch.tanh(self.out(F.relu(h)))[:, :, :height, :width]


def _layer(conv: nn.Conv2d | nn.ConvTranspose2d, norm: bool) -> nn.Module:
    return nn.Sequential(conv, nn.InstanceNorm2d(conv.out_channels, affine=True)) if norm else conv


def build(config: Config, num_classes: int) -> Generator:
    """The generator, with fresh weights from torch's random state."""
    return Generator(config, num_classes)
