"""Spatially-adaptive normalisation (SPADE, Park 2019) over class shares, computed once a label map.

At a coarse level a label map is the share of each class in a cell (the area average of the one-hot map), so that an
instrument narrower than a cell is still there. Neither the shares nor the scale and shift made from them depend on
the noise level: they are computed once a label map and reused over sampling steps and samples.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def class_shares(index_map: Tensor, num_classes: int, dtype) -> Tensor:
    """Indices uint8 [B, H, W] to one-hot [B, K, H, W]; all zeros where the index is not below K (no label)."""
    one_hot = F.one_hot(index_map.long().clamp(max=num_classes), num_classes + 1)[..., :num_classes]
    return one_hot.permute(0, 3, 1, 2).to(dtype)


def pyramid(shares: Tensor, first: int, levels: int) -> list[Tensor]:
    """Class shares [B, K, H, W] at 1/first, 1/(2 first), ... of the size."""
    out = [F.avg_pool2d(shares, first) if first > 1 else shares]
    for _ in range(levels - 1):
        out.append(F.avg_pool2d(out[-1], 2))
    return out


class LevelFeatures(nn.Module):
    """Label features of one level, shared by its blocks: 3x3 and SiLU; shares [B, K, h, w] to [B, hidden, h, w]."""

    def __init__(self, num_classes: int, hidden: int):
        super().__init__()
        self.conv = nn.Conv2d(num_classes, hidden, 3, padding=1)

    def forward(self, shares: Tensor) -> Tensor:
        return F.silu(self.conv(shares))


class Modulation(nn.Module):
    """Scale (1 + gamma) and shift (beta) of one SPADE norm; [B, hidden, h, w] to two of [B, C, h, w].

    `kernel` 1 is the light projection; 3 is the published layer.
    """

    def __init__(self, hidden: int, channels: int, kernel: int):
        super().__init__()
        self.conv = nn.Conv2d(hidden, 2 * channels, kernel, padding=kernel // 2)
        nn.init.normal_(self.conv.weight, std=0.02)
        nn.init.zeros_(self.conv.bias)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        gamma, beta = self.conv(features).chunk(2, dim=1)
        return 1 + gamma, beta
