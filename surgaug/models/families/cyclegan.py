"""CycleGAN (Zhu, Park, Isola, Efros 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial
Networks").

The generator of appendix 7.2: c7s1-64, d128, d256, nine residual blocks of 256 (six for small images), u128, u64,
c7s1-3, with instance normalisation, ReLU, reflection padding, and tanh at the end. Weights start from N(0, 0.02). Maps
are colours, as in the paper's label-to-photo experiments: the identity loss (section 5.2) asks a generator to leave
its own kind of output as it is, so both kinds must be three channels. The colours are of our choice (`class_colors`),
the same for any data set, and far apart for any number of classes.

It draws no noise: one map, one picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from surgaug.models.gan import Residual, conv_norm, normal_init, pad_to


@dataclass(frozen=True)
class Config:
    """`channels` of the first layer, four times as many in the residual `blocks`."""

    channels: int = 64
    blocks: int = 9


PRESETS = {
    "tiny": Config(channels=16, blocks=6),
    "small": Config(channels=32, blocks=6),
    "base": Config(),
}
MULTIPLE = 4
# Two layers of stride two and blocks with a border of one reflected position need this many rows and columns.
LEAST = 8


class Generator(nn.Module):
    """From colours to an image, or from an image to colours; see `models.families`."""

    def __init__(self, config: Config, num_classes: int):
        super().__init__()
        self.config, self.num_classes = config, num_classes
        c = config.channels
        self.padding = MULTIPLE, LEAST
        self.colors: Tensor
        self.register_buffer("colors", class_colors(num_classes), persistent=False)
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(3), *conv_norm(nn.Conv2d(3, c, 7)),
            *conv_norm(nn.Conv2d(c, 2 * c, 3, stride=2, padding=1)),
            *conv_norm(nn.Conv2d(2 * c, 4 * c, 3, stride=2, padding=1)),
            *(Residual(4 * c) for _ in range(config.blocks)),
            *conv_norm(nn.ConvTranspose2d(4 * c, 2 * c, 3, stride=2, padding=1, output_padding=1)),
            *conv_norm(nn.ConvTranspose2d(2 * c, c, 3, stride=2, padding=1, output_padding=1)),
            nn.ReflectionPad2d(3), nn.Conv2d(c, 3, 7), nn.Tanh(),
        )  # fmt: skip
        normal_init(self)

    def noise_shapes(self, size: tuple[int, int]) -> list[tuple[int, ...]]:
        """None: the picture depends on the map alone."""
        return []

    def forward(self, index_map: Tensor, noise: list[Tensor]) -> Tensor:
        height, width = index_map.shape[-2:]
        return self.translate(self.colored(pad_to(index_map, *self.padding)))[:, :, :height, :width]

    def colored(self, index_map: Tensor) -> Tensor:
        """Indices uint8 [B, H, W] to colours [B, 3, H, W] in [-1, 1]."""
        return self.colors[index_map.long().clamp(max=self.num_classes)].permute(0, 3, 1, 2)

    def translate(self, x: Tensor) -> Tensor:
        """Colours to image or back, [B, 3, H, W] in [-1, 1]; H and W multiples of 4 and at least 8."""
        return self.layers(x)


def class_colors(num_classes: int) -> Tensor:
    """[K + 1, 3] in [-1, 1]: a colour for each class, each as far as can be from those before it, and black, the last
    one, for no label.
    """
    steps = torch.linspace(-1, 1, 8)
    grid = torch.cartesian_prod(steps, steps, steps)
    chosen = [grid[0]]  # black
    distance = (grid - chosen[0]).square().sum(dim=1)
    for _ in range(num_classes):
        chosen.append(grid[distance.argmax()])
        distance = torch.minimum(distance, (grid - chosen[-1]).square().sum(dim=1))
    return torch.stack([*chosen[1:], chosen[0]])


def build(config: Config, num_classes: int) -> Generator:
    """The generator from maps to images, with fresh weights from torch's random state."""
    return Generator(config, num_classes)
