"""CLADE (Tan et al. 2021, "Efficient Semantic Image Synthesis via Class-Adaptive Normalization").

SPADE's generator (`models/spade_generator.py`) whose norms look up a scale and a shift for each class, where SPADE
computes them from the label map by convolutions (section 3): as good in the paper, and far cheaper. The variant that
also tells a place's position within its object (CLADE-ICPE) is not built. Scales start at one and shifts
at zero, as those of any norm; so they stay where there is no label.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from surgaug.models.spade_generator import SpadeGenerator, plain_norm


@dataclass(frozen=True)
class Config:
    """As SPADE's: `channels` by block, coarsest first; `z`: length of the random vector; `norm`: batch or instance."""

    channels: tuple[int, ...] = (1024, 1024, 1024, 512, 256, 128, 64)
    z: int = 256
    norm: str = "batch"


PRESETS = {
    "tiny": Config(channels=(192, 128, 64, 32, 16), z=64),
    "small": Config(channels=(512, 512, 256, 128, 64, 32)),
    "base": Config(),
}


class Generator(SpadeGenerator):
    """Label map and random vector in, image out; see `models.families`."""

    def __init__(self, config: Config, num_classes: int):
        super().__init__(config.channels, config.z, lambda channels: Clade(channels, num_classes, config.norm))
        self.config, self.num_classes = config, num_classes

    def represented(self, index_map: Tensor) -> Tensor:
        return index_map.clamp(max=self.num_classes)[:, None].float()  # floats, since only they can be resized anywhere


class Clade(nn.Module):
    """Normalise x [B, C, h, w]; scale and shift it by its place's class, indices float [B, 1, h, w], K for no label."""

    def __init__(self, channels: int, num_classes: int, norm: str):
        super().__init__()
        self.norm = plain_norm(norm, channels)
        self.scale = nn.Parameter(torch.ones(num_classes, channels))
        self.shift = nn.Parameter(torch.zeros(num_classes, channels))

    def forward(self, x: Tensor, index_map: Tensor) -> Tensor:
        indices = index_map[:, 0].long()
        scale, shift = (
            F.embedding(indices, F.pad(table, (0, 0, 0, 1), value=none)).permute(0, 3, 1, 2)
            for table, none in ((self.scale, 1.0), (self.shift, 0.0))
        )
        return torch.addcmul(shift, self.norm(x), scale)


def build(config: Config, num_classes: int) -> Generator:
    """The generator, with fresh weights from torch's random state."""
    return Generator(config, num_classes)
