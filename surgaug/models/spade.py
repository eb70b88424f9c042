"""Spatially-adaptive normalisation (SPADE, Park 2019) over class shares, computed once a label map.

At a coarse level a label map is the share of each class in a cell (the area average of the one-hot map), so that an
instrument narrower than a cell is still there. Neither the shares nor the scale and shift made from them depend on the
noise level. So they are computed once a label map and reused over sampling steps and samples.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def cells(index_map: Tensor, num_classes: int, size: int) -> Tensor:
    """Indices uint8 [B, H, W] to int64 [B, H / size, W / size, size^2], those of each cell row by row; K where the
    index is not below K (no label). H and W are multiples of `size`.
    """
    b, height, width = index_map.shape
    grid = index_map.clamp(max=num_classes).reshape(b, height // size, size, width // size, size)
    return grid.transpose(2, 3).flatten(3).long()


def class_shares(index_map: Tensor, num_classes: int, dtype: torch.dtype, size: int = 1) -> Tensor:
    """Indices uint8 [B, H, W] to the share of each class in cells of size x size pixels, [B, K, H / size, W / size],
    channels last; nothing where the index is not below K (no label). With cells of one pixel: the one-hot map.

    Counted cell by cell: at full resolution the one-hot map would be the largest tensor of all.
    """
    inside = cells(index_map, num_classes, size)
    shares = torch.zeros(*inside.shape[:3], num_classes + 1, dtype=dtype, device=index_map.device)
    shares.scatter_add_(3, inside, torch.full_like(inside, 1 / size**2, dtype=dtype))
    return shares[..., :num_classes].permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def pyramid(shares: Tensor, levels: int) -> list[Tensor]:
    """Class shares [B, K, H, W] at the whole, half, quarter, ... of the size."""
    out = [shares]
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


class OwnModulation(nn.Module):
    """SPADE as published (Park 2019, figure 2; SDM's is the same): each norm has a hidden layer of its own, 3x3 and
    ReLU, before 3x3 to scale and shift; shares [B, K, h, w] to two of [B, C, h, w].
    """

    def __init__(self, num_classes: int, hidden: int, channels: int, kernel: int):
        super().__init__()
        self.shared = nn.Conv2d(num_classes, hidden, 3, padding=1)
        self.scale_shift = Modulation(hidden, channels, kernel)

    def forward(self, shares: Tensor) -> tuple[Tensor, Tensor]:
        return self.scale_shift(F.relu(self.shared(shares)))


class Modulation(nn.Module):
    """Scale (1 + gamma) and shift (beta) of one SPADE norm; [B, hidden, h, w] to two of [B, C, h, w].

    `kernel` 1 is the light projection; 3 is the published layer.
    """

    def __init__(self, hidden: int, channels: int, kernel: int):
        super().__init__()
        self.conv = nn.Conv2d(hidden, 2 * channels, kernel, padding=kernel // 2)
        nn.init.normal_(self.conv.weight, std=0.02)
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        gamma, beta = self.conv(features).chunk(2, dim=1)
        return 1 + gamma, beta
