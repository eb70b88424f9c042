"""The networks: a compact U-Net of our own, or a segmentation network of torchvision's, from scratch either way."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from surgaug.errors import UsageError

UNET = "unet"
WIDTH, LEVELS, GROUPS = 16, 4, 8
IMAGENET_MEAN, IMAGENET_SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LARGEST = 128 * 128  # pixels; more detail than that costs time and changes no verdict
MULTIPLE = 2**LEVELS  # of height and width: the entry halves once, the levels below the first three times more


def build(name: str, classes: int) -> nn.Module:
    """A network with random weights: RGB float [B, 3, H, W] in 0..1 to logits [B, classes, H, W].

    `name`: "unet", or one of torchvision's segmentation networks. Raises UsageError for another name.
    """
    check_name(name)
    if name == UNET:
        return UNet(classes)
    from torchvision.models import get_model

    return Torchvision(get_model(name, weights=None, weights_backbone=None, num_classes=classes))


def check_name(name: str) -> None:
    """UsageError where `build` knows no such network."""
    if name != UNET and name not in known():
        raise UsageError(f"--segmenter {name}: there are: {', '.join(known())}; or a file (.safetensors, .pth, .pt)")


def known() -> list[str]:
    """Names for `build`."""
    from torchvision.models import list_models, segmentation

    return [UNET, *list_models(module=segmentation)]


def working_size(size: tuple[int, int]) -> tuple[int, int]:
    """The size to work at for images of `size`: theirs, or their aspect at no more than `LARGEST` pixels."""
    height, width = size
    scale = min(1.0, (LARGEST / (height * width)) ** 0.5)
    if scale == 1.0:
        return size
    return tuple(max(MULTIPLE, round(edge * scale / MULTIPLE) * MULTIPLE) for edge in size)


class UNet(nn.Module):
    """U-Net (Ronneberger et al. 2015) that works at half resolution and less, with GroupNorm (Wu and He 2018).

    Entry and exit are rearrangements of 2x2 pixels into channels and back (Shi et al. 2016): nothing is lost, and the
    convolutions cost a quarter. GroupNorm keeps the statistics of one image to itself: the reading of an image
    depends neither on its batch nor on what other images look like. 0.5 M parameters.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        widths = [WIDTH * 2**level for level in range(LEVELS)]
        self.enter = nn.PixelUnshuffle(2)
        self.down = nn.ModuleList([_block(a, b) for a, b in pairwise([12, *widths])])
        self.up = nn.ModuleList([_block(a + b, a) for a, b in pairwise(widths)])
        self.head = nn.Conv2d(WIDTH, 4 * classes, 1)
        self.leave = nn.PixelShuffle(2)

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] in 0..1 to [B, classes, H, W]; any H and W (padded inside)."""
        height, width = images.shape[-2:]
        x = F.pad(images - 0.5, (0, -width % MULTIPLE, 0, -height % MULTIPLE), mode="replicate")
        x = self.enter(x * 4)
        skips = []
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)
            skips.append(x)
        for skip, block in zip(skips[-2::-1], reversed(self.up), strict=True):
            x = block(torch.cat([skip, F.interpolate(x, scale_factor=2.0)], dim=1))
        return self.leave(self.head(x))[..., :height, :width]


class Torchvision(nn.Module):
    """A torchvision network with inputs and outputs as `build` says; colours normalised as for its weights."""

    mean: Tensor
    sd: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("sd", torch.tensor(IMAGENET_SD).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.network((images - self.mean) / self.sd)["out"]


def _block(channels: int, out: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs in (channels, out):
        layers += [nn.Conv2d(inputs, out, 3, padding=1, bias=False), nn.GroupNorm(GROUPS, out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
