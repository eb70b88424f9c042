"""EfficientNet-Lite0 of ImageNet (Tan and Le 2019): 1280 features, no download (see `surgaug.models.efficientnet`)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from surgaug.errors import UsageError
from surgaug.models.checkpoint import file_hash
from surgaug.models.efficientnet import MEAN, NAME, SD, installed, network, weights_file
from surgaug.scoring.compute.image_encoder import Encoder
from surgaug.scoring.config import AUTO, Weights
from surgaug.scoring.features import Feature, in_batches

DEEP, GENERAL, PREFERENCE = True, True, 1
PREPARATION = "224x224 by antialiased bicubic in float, (x - 127) / 128; mean over space of the last activations"


def available(weights: Weights) -> str | None:
    """Where it is installed, unless other features were asked for. UsageError where it was asked for and is missing."""
    if weights.features == NAME and not installed():
        raise UsageError(f"--features {NAME} needs its packages: pip install 'surgaug[features]'")
    return "efficientnet_lite0" if weights.features in (AUTO, NAME) and installed() else None


def title(weights: Weights) -> str:
    """What stands behind the titles of measures."""
    return "EfficientNet-Lite0"


def convention(weights: Weights) -> str:
    """For the report."""
    return f"1280 features of EfficientNet-Lite0 (ImageNet): {PREPARATION}"


def load(weights: Weights, device: torch.device) -> Feature:
    """The network with the weights of the installed package. ModelError where these are damaged."""
    path = weights_file()
    sha256 = file_hash(path)
    encoder = Encoder(_Pooled(path), 224, MEAN, SD, device)
    facts = {"dimension": 1280, "weights": path.name, "sha256": sha256}
    return in_batches(encoder, f"{NAME} {PREPARATION} {sha256}", device, facts)


class _Pooled(nn.Module):
    """[B, 3, 224, 224] to [B, 1280], before the classifier."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.network = network(path)

    def forward(self, x: Tensor) -> Tensor:
        return self.network.extract_features(x).mean((2, 3))
