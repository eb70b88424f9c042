"""The perceptual loss (Johnson 2016), as pix2pixHD and SPADE use it: distances between features of VGG-19."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from surgaug.errors import ModelError

# VGG-19 (Simonyan and Zisserman 2014, configuration E) up to the first convolution of its fifth stage.
LAYOUT = (64, 64, "pool", 128, 128, "pool", 256, 256, 256, 256, "pool", 512, 512, 512, 512, "pool", 512)
# Of the first convolution of each stage, after ReLU, finest first.
WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class PerceptualLoss(nn.Module):
    """Weighted sum over five layers of the mean absolute difference of features.

    `weights`: a file as torchvision's `vgg19` has it (read as data only). ModelError when it is something else.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, weights: Path):
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for entry in LAYOUT:
            if isinstance(entry, str):
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(before, entry, 3, padding=1), nn.ReLU()]
                before = entry
        self.features = nn.Sequential(*layers)
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(STD)[:, None, None], persistent=False)
        self.load_state_dict(_read(weights, self.state_dict().keys()))
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Images [B, 3, H, W] in [-1, 1]; a gradient for `x` only."""
        with torch.no_grad():
            wanted = self._first_of_stages(y)
        pairs = zip(WEIGHTS, self._first_of_stages(x), wanted, strict=True)
        return sum((weight * F.l1_loss(a, b) for weight, a, b in pairs), x.new_zeros(()))

    def _first_of_stages(self, x: Tensor) -> list[Tensor]:
        h, out, first = ((x + 1) / 2 - self.mean) / self.std, [], True
        for layer in self.features:
            h = layer(h)
            if first and isinstance(layer, nn.ReLU):
                out.append(h)
            first = isinstance(layer, nn.MaxPool2d) or (first and not isinstance(layer, nn.ReLU))
        return out


def _read(path: Path, names: Iterable[str]) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        return {name: state[name] for name in names}
    except (OSError, RuntimeError, ValueError, EOFError, TypeError, pickle.UnpicklingError) as error:
        raise ModelError(f"{path}: not a readable file of VGG-19's weights ({str(error).splitlines()[0]})") from None
    except KeyError as error:
        raise ModelError(f"{path}: no {error} in it; expected the weights of torchvision's vgg19") from None
