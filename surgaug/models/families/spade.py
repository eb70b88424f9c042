"""SPADE (Park, Liu, Wang, Zhu 2019, "Semantic Image Synthesis with Spatially-Adaptive Normalization").

The generator of section 3 and appendix A (`models/spade_generator.py`): z of 256 numbers, blocks of 1024, 1024, 1024,
512, 256, 128 and 64 channels. In each SPADE layer the label map, one-hot, goes through a 3x3 convolution to 128
channels and ReLU to scale and shift; batch normalisation before them.

With `encoder` it is the paper's variational autoencoder (section 3, appendix A, figure 14): in training z comes from an
image encoder, which learns to tell the picture's style from its label map, so that a drawn z is a style.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from surgaug.models.gan import glorot_init
from surgaug.models.spade import class_shares
from surgaug.models.spade_generator import GRID, SpadeGenerator, plain_norm


@dataclass(frozen=True)
class Config:
    """`channels` by block, coarsest first, with an upsampling between each two. `hidden`: of a SPADE layer. `z`: length
    of the random vector. `norm`: batch or instance, before scale and shift. `encoder`: whether there is one.
    """

    channels: tuple[int, ...] = (1024, 1024, 1024, 512, 256, 128, 64)
    hidden: int = 128
    z: int = 256
    norm: str = "batch"
    encoder: bool = False

    @property
    def multiple(self) -> int:
        """Heights and widths are padded inside to a multiple of this."""
        return 2 ** (len(self.channels) - 1)


PRESETS = {
    "tiny": Config(channels=(192, 128, 64, 32, 16), hidden=32, z=64),
    "small": Config(channels=(512, 512, 256, 128, 64, 32), hidden=64),
    "base": Config(),
}


class Generator(SpadeGenerator):
    """Label map and random vector in, image out; see `models.families`."""

    def __init__(self, config: Config, num_classes: int):
        super().__init__(config.channels, config.z, lambda channels: Spade(channels, num_classes, config))
        self.config, self.num_classes = config, num_classes
        self.encoder = Encoder(config) if config.encoder else None

    def represented(self, index_map: Tensor) -> Tensor:
        return class_shares(index_map, self.num_classes, self.out.weight.dtype)


class Spade(nn.Module):
    """Normalise x [B, C, h, w]; scale and shift it by what the map [B, K, h, w] says of each place (equation 1)."""

    def __init__(self, channels: int, num_classes: int, config: Config):
        super().__init__()
        self.norm = plain_norm(config.norm, channels)
        self.shared = nn.Conv2d(num_classes, config.hidden, 3, padding=1)
        self.scale_shift = nn.Conv2d(config.hidden, 2 * channels, 3, padding=1)

    def forward(self, x: Tensor, shares: Tensor) -> Tensor:
        scale, shift = self.scale_shift(F.relu(self.shared(shares))).chunk(2, dim=1)
        return torch.addcmul(shift, self.norm(x), 1 + scale)


class Encoder(nn.Module):
    """Images [B, 3, H, W] to mean and logarithm of the variance of z, each [B, z] (figure 14).

    3x3 convolutions of stride 2, as many as the generator has upsamplings (six in the paper: 64, 128, 256 and three
    times 512 channels), each with instance normalisation and leaky ReLU, from the image resized to where 4x4 positions
    are left (256x256), then two linear layers.
    """

    def __init__(self, config: Config):
        super().__init__()
        self.side = GRID * config.multiple
        widths = [min(config.channels[-1] * 2**i, config.channels[0] // 2) for i in range(len(config.channels) - 1)]
        self.layers = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(before, after, 3, stride=2, padding=1), nn.InstanceNorm2d(after))
                for before, after in zip([3, *widths], widths, strict=False)
            )
        )
        self.mean = nn.Linear(widths[-1] * GRID**2, config.z)
        self.log_variance = nn.Linear(widths[-1] * GRID**2, config.z)
        glorot_init(self)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = F.interpolate(x, (self.side, self.side), mode="bilinear", antialias=True)
        for layer in self.layers:
            h = F.leaky_relu(layer(h), 0.2)
        return self.mean(h.flatten(1)), self.log_variance(h.flatten(1))


def build(config: Config, num_classes: int) -> Generator:
    """The generator, with fresh weights from torch's random state."""
    return Generator(config, num_classes)
