"""What the adversarial models share: padding, layers, dropout by given noise, first weights, the patch discriminators,
buffers that stay on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from surgaug.labels.label_space import IGNORE_INDEX


def pad_to(index_map: Tensor, multiple: int, least: int = 1) -> Tensor:
    """Index maps [B, H, W] with "no label" added below and to the right, to at least `least` and to multiples."""
    height, width = (-(-max(n, least) // multiple) * multiple for n in index_map.shape[-2:])
    return F.pad(index_map, (0, width - index_map.shape[-1], 0, height - index_map.shape[-2]), value=IGNORE_INDEX)


def dropout(x: Tensor, noise: Tensor, probability: float) -> Tensor:
    """Dropout whose mask is decided by Gaussian `noise`, like x: an element survives where it exceeds the quantile."""
    kept = noise > torch.special.ndtri(torch.tensor(probability)).item()
    return x * kept / (1 - probability)


def normal_init(net: nn.Module) -> None:
    """Convolutions from N(0, 0.02), norms' scales 1, every bias 0 (DCGAN, pix2pix, CycleGAN)."""
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def glorot_init(net: nn.Module, gain: float = 0.02) -> None:
    """Convolutions and linear layers by Glorot's rule, every bias 0 (SPADE)."""
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            name = "parametrizations.weight.original" if hasattr(module, "parametrizations") else "weight"
            nn.init.xavier_normal_(module.get_parameter(name), gain)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class HostBuffers(nn.Module):
    """A module whose buffers named in `on_host` stay where they are, on the CPU, whatever device it goes to: to look at
    one of them in a step makes nobody wait for the device."""

    on_host: ClassVar[tuple[str, ...]] = ()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        kept = {name: self._buffers[name] for name in self.on_host}
        super()._apply(fn, recurse)
        self._buffers.update(kept)
        return self


class Residual(nn.Module):
    """Two 3x3 convolutions with instance normalisation, the first with ReLU, added to their input; borders are
    reflected (CycleGAN, appendix 7.2; pix2pixHD, appendix A)."""

    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1), *conv_norm(nn.Conv2d(channels, channels, 3)),
            nn.ReflectionPad2d(1), *conv_norm(nn.Conv2d(channels, channels, 3))[:2],
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def conv_norm(conv: nn.Conv2d | nn.ConvTranspose2d) -> list[nn.Module]:
    """A convolution with instance normalisation and ReLU behind it."""
    return [conv, nn.InstanceNorm2d(conv.out_channels), nn.ReLU()]


def half(x: Tensor) -> Tensor:
    """[B, C, H, W] at half the size, averaged over 3x3 pixels (pix2pixHD, section 3.2)."""
    return F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)


class PatchDiscriminator(nn.Module):
    """Real or synthetic, patch by patch: 4x4 convolutions C64-C128-C256-C512 and one to a single channel; the last two
    have stride 1, the others 2. With four layers each answer sees 70x70 pixels (pix2pix, appendix 6.1.2). Two zeros of
    padding, a choice that the papers leave open, so that small images get answers too.

    x [B, C, H, W] to the features of every layer, the last of which [B, 1, h, w] is the answer. `spectral`: spectral
    normalisation of all layers but the last (SPADE, appendix A).
    """

    def __init__(self, in_channels: int, channels: int, layers: int, spectral: bool = False):
        super().__init__()
        stages = []
        for i in range(layers):
            after = channels * min(8, 2**i)
            conv = nn.Conv2d(in_channels, after, 4, stride=1 if i == layers - 1 else 2, padding=2, bias=i == 0)
            norm = [nn.InstanceNorm2d(after, affine=not spectral)] if i else []
            stages.append(nn.Sequential(spectral_norm(conv) if spectral else conv, *norm, nn.LeakyReLU(0.2)))
            in_channels = after
        self.stages = nn.ModuleList([*stages, nn.Conv2d(in_channels, 1, 4, stride=1, padding=2)])
        if spectral:
            glorot_init(self)
        else:
            normal_init(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


class MultiScaleDiscriminator(nn.Module):
    """Patch discriminators of the image and of it halved, and so on (pix2pixHD, Wang 2018, section 3.2; SPADE).

    x [B, C, H, W] to the features of each, finest first.
    """

    def __init__(self, in_channels: int, channels: int, layers: int, scales: int, spectral: bool = True):
        super().__init__()
        self.scales = nn.ModuleList(PatchDiscriminator(in_channels, channels, layers, spectral) for _ in range(scales))

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        out = []
        for i, discriminator in enumerate(self.scales):
            if i:
                x = half(x)
            out.append(discriminator(x))
        return out
