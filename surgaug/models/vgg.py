"""The perceptual loss (Johnson 2016), as pix2pixHD and SPADE use it: distances between features of VGG-19."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import vgg19

from surgaug.errors import ModelError
from surgaug.models.foreign_weights import IMAGENET_MEAN, IMAGENET_STD, first_line, read_state

# Torchvision's layers that are compared: the first ReLU of each of the five stages, finest first; and their weights.
COMPARED = (1, 6, 11, 20, 29)
WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)


class PerceptualLoss(nn.Module):
    """Weighted sum over five layers of the mean absolute difference of features.

    `weights`: a file of torchvision's `vgg19` (read as data only). ModelError when it is something else.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, weights: Path):
        super().__init__()
        with torch.device("meta"):  # no memory, no time for weights that the file replaces
            self.features = vgg19(weights=None).features[: COMPARED[-1] + 1]
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None], persistent=False)
        state = read_state(weights)
        if missing := self.state_dict().keys() - state.keys():
            raise ModelError(f"{weights}: no {min(missing)!r} in it; expected the weights of torchvision's vgg19")
        try:
            self.load_state_dict({name: state[name] for name in self.state_dict()}, assign=True)
        except RuntimeError as error:
            raise ModelError(f"{weights}: not the weights of torchvision's vgg19 ({first_line(error)})") from None
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Images [B, 3, H, W] in [-1, 1]; a gradient for `x` only."""
        with torch.no_grad():
            target = self._features(y)
        pairs = zip(WEIGHTS, self._features(x), target, strict=True)
        return sum((weight * F.l1_loss(a, b) for weight, a, b in pairs), x.new_zeros(()))

    def _features(self, x: Tensor) -> list[Tensor]:
        """Of the layers in `COMPARED`."""
        h, out = ((x + 1) / 2 - self.mean) / self.std, []
        for number, layer in enumerate(self.features):
            h = layer(h)
            if number in COMPARED:
                out.append(h)
        return out
