"""Any classification network of torchvision with a file of weights: what its last layer reads."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from surgaug.errors import ModelError, UsageError
from surgaug.models.checkpoint import file_hash
from surgaug.models.foreign_weights import IMAGENET_MEAN, IMAGENET_STD, first_line, read_state
from surgaug.runtime.options import did_you_mean
from surgaug.scoring.compute.image_encoder import Encoder
from surgaug.scoring.config import AUTO, NO_FEATURES, Weights
from surgaug.scoring.features import Feature, in_batches

DEEP, GENERAL, PREFERENCE = True, True, 2
PREPARATION = "224x224 by antialiased bicubic in float, ImageNet's mean and sd; what its last layer reads"
OTHERS = (AUTO, NO_FEATURES, "efficientnet-lite0")  # what `--features` names besides these networks


def available(weights: Weights) -> str | None:
    """The network's name, where one was named. UsageError for one unknown to torchvision, or without weights."""
    name = weights.features
    if name in OTHERS:
        if weights.feature_weights is not None:
            raise UsageError("--feature-weights needs --features NAME: the network of torchvision that they are of")
        return None
    known = networks()
    if name not in known:
        raise UsageError(
            f"--features {name}: neither one of {', '.join(OTHERS)} nor a classification network of "
            f"torchvision{did_you_mean(name, [*OTHERS, *known])}"
        )
    if weights.feature_weights is None:
        raise UsageError(f"--features {name} needs --feature-weights FILE: torchvision's own, or your own training's")
    return name


def title(weights: Weights) -> str:
    """What stands behind the titles of measures."""
    return weights.features


def convention(weights: Weights) -> str:
    """For the report."""
    return f"torchvision's {weights.features} with the user's weights: {PREPARATION}"


def load(weights: Weights, device: torch.device) -> Feature:
    """The network without its last layer. ModelError where the file holds something else than its weights."""
    assert weights.feature_weights is not None  # or it is not available
    name, path = weights.features, weights.feature_weights
    encoder = Encoder(read_network(name, path), 224, IMAGENET_MEAN, IMAGENET_STD, device)
    sha256 = file_hash(path)
    facts = {"weights": str(path), "sha256": sha256}
    return in_batches(encoder, f"torchvision {name} {PREPARATION} {sha256}", device, facts)


def networks() -> list[str]:
    """The classification networks that torchvision has."""
    import torchvision  # takes seconds to import

    return torchvision.models.list_models(module=torchvision.models)


def read_network(name: str, path: Path) -> nn.Module:
    """A network with a file's weights, [B, 3, 224, 224] to [B, d], ready for inference. ModelError as `load`.

    The file says how many classes it was trained on: a network that the user trained fits as well.
    """
    from torchvision.models import get_model

    state = read_state(path)
    with torch.device("meta"):  # its modules' names are all that is wanted
        modules = get_model(name, weights=None).named_modules()
    last = [n for n, m in modules if isinstance(m, nn.Linear | nn.Conv2d)][-1]
    if f"{last}.weight" not in state:
        raise ModelError(f"{path}: not the weights of torchvision's {name} (it has no {last}.weight)")
    network = get_model(name, weights=None, num_classes=len(state[f"{last}.weight"]))
    try:
        network.load_state_dict(state)
    except RuntimeError as reason:
        raise ModelError(f"{path}: not the weights of torchvision's {name} ({first_line(reason)})") from reason
    network.set_submodule(last, nn.Identity())
    return _Flat(network).eval().requires_grad_(False)


class _Flat(nn.Module):
    """A network of vectors, whatever shape stands before its last layer."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network(x).flatten(1)
