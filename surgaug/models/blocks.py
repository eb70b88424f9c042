"""The pieces of the U-Net: noise-level embedding, BigGAN residual block with SPADE, self-attention."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)
INV_SQRT2 = 1 / math.sqrt(2)


def groups_for(channels: int) -> int:
    """At most 32 groups, of at least 8 channels each, that divide `channels`."""
    return next(g for g in range(min(32, max(1, channels // 8)), 0, -1) if channels % g == 0)


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of each place (Ba et al. 2016), as in ConvNeXt; x [B, C, h, w].

    Unlike GroupNorm it looks at no other place: an image made in tiles equals the image made whole.
    """

    def __init__(self, channels: int, affine: bool = True):
        super().__init__()
        self.num_channels = channels
        self.norm = nn.LayerNorm(channels, elementwise_affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def normalisation(kind: str, channels: int, affine: bool = True) -> nn.GroupNorm | ChannelNorm:
    """The norm that `UNetConfig.norm` names: "group" over groups of channels and all places, or "channel"."""
    if kind == "channel":
        return ChannelNorm(channels, affine)
    return nn.GroupNorm(groups_for(channels), channels, affine=affine)


def zero_init(module: Layer) -> Layer:
    """Start a residual branch (or the output) at zero, so that the untrained network is the identity (Goyal 2017)."""
    nn.init.zeros_(module.weight)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
    return module


class NoiseLevelEmbedding(nn.Module):
    """Sinusoids of the continuous noise level sqrt(alpha_bar), then an MLP (WaveGrad, Chen 2020; SR3, Saharia 2021).

    noise_level [B] in [0, 1] to [B, width].
    """

    # WaveGrad's factor: it makes neighbouring levels of a 1000-step schedule distinguishable near level 1.
    SCALE = 5000.0
    freqs: Tensor

    def __init__(self, dim: int, width: int):
        super().__init__()
        half = dim // 2
        self.register_buffer("freqs", torch.exp(-math.log(1e4) * torch.arange(half) / half), persistent=False)
        self.mlp = nn.Sequential(nn.Linear(2 * half, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())

    def forward(self, noise_level: Tensor) -> Tensor:
        angles = self.SCALE * noise_level.float()[:, None] * self.freqs
        return self.mlp(torch.cat([angles.sin(), angles.cos()], dim=1).to(next(self.mlp.parameters()).dtype))


class ResBlock(nn.Module):
    """BigGAN residual block of SR3: norm, SiLU, 3x3, norm, noise level's scale and shift, SiLU, 3x3; sum / sqrt(2).

    spade: of so many norms (the first, or both) scale and shift come with the call, from the label map, and not from
    parameters of their own. resample: halves or doubles height and width before the first convolution, on both paths
    (BigGAN, Brock 2018, figure 15). x [B, C_in, h, w] to [B, C_out, h, w].
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        embed_dim: int,
        dropout: float = 0.0,
        spade: int = 0,
        norm: str = "group",
        resample: Callable[[Tensor], Tensor] | None = None,
    ):
        super().__init__()
        self.spade, self.resample = spade, resample
        self.norm1 = normalisation(norm, in_channels, affine=spade < 1)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.noise = nn.Linear(embed_dim, 2 * channels)
        self.norm2 = normalisation(norm, channels, affine=spade < 2)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = zero_init(nn.Conv2d(channels, channels, 3, padding=1))
        self.skip = nn.Identity() if in_channels == channels else nn.Conv2d(in_channels, channels, 1)

    def forward(self, x: Tensor, embedding: Tensor, *modulation: tuple[Tensor, Tensor]) -> Tensor:
        h = F.silu(modulated(self.norm1(x), modulation[:1]))
        if self.resample is not None:
            x, h = self.resample(x), self.resample(h)
        h = modulated(self.norm2(self.conv1(h)), modulation[1:])
        scale, shift = self.noise(embedding)[:, :, None, None].chunk(2, dim=1)
        h = torch.addcmul(shift, h, 1 + scale)
        h = self.conv2(self.dropout(F.silu(h)))
        return (self.skip(x) + h) * INV_SQRT2


def modulated(h: Tensor, modulation: tuple[tuple[Tensor, Tensor], ...]) -> Tensor:
    """`h` with scale and shift, like h, where there is such a pair."""
    for scale, shift in modulation:
        h = torch.addcmul(shift, h, scale)
    return h


def halved(h: Tensor) -> Tensor:
    """[B, C, h, w] to [B, C, h / 2, w / 2], averaged."""
    return F.avg_pool2d(h, 2)


def doubled(h: Tensor) -> Tensor:
    """[B, C, h, w] to [B, C, 2h, 2w], repeated."""
    return F.interpolate(h, scale_factor=2, mode="nearest")


def heads_for(channels: int, head_dim: int) -> int:
    """How many heads of about `head_dim` channels attention has. They must divide `channels`."""
    return max(1, channels // head_dim)


class SelfAttention(nn.Module):
    """Multi-head self-attention over the positions of a feature map; x [B, C, h, w] to the same shape."""

    def __init__(self, channels: int, head_dim: int):
        super().__init__()
        self.heads = heads_for(channels, head_dim)
        self.norm = nn.GroupNorm(groups_for(channels), channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = zero_init(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        qkv = self.qkv(self.norm(x)).flatten(2).transpose(1, 2)  # [B, hw, 3C]
        q, k, v = qkv.reshape(b, h * w, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v)  # [B, heads, hw, C / heads]
        attended = attended.transpose(1, 2).reshape(b, h, w, c).permute(0, 3, 1, 2)
        return (x + self.out(attended)) * INV_SQRT2
