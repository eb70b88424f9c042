"""Where a segmenter's training starts from: the user's weights, as far as names and shapes fit."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from surgaug.errors import ModelError
from surgaug.scoring.segmenter.network import Torchvision, build
from surgaug.scoring.segmenter.weights import read

# Published classifiers name their layers otherwise than the segmentation networks that are built on them.
PREFIXES = (("", ""), ("", "backbone."), ("features.", "backbone."))
ENOUGH = 0.5  # of the network's weights; with fewer the file is of another network


def check(path: Path, name: str, classes: int = 2) -> None:
    """Read the file and lay it on network `name` (see `network.build`), whose last layer may tell other classes apart.

    Raises:
        ModelError: no such file, one that holds anything but tensors, or tensors of another network.
    """
    with torch.device("meta"):
        network = build(name, classes)
    _fitting(network, path, name)


def begin(network: nn.Module, path: Path, name: str) -> int:
    """Give `network` all tensors of the file that fit; how many of its own stay as they were. Errors as of `check`."""
    fitting = _fitting(network, path, name)
    _inner(network).load_state_dict(fitting, strict=False)
    return len(_inner(network).state_dict()) - len(fitting)


def _fitting(network: nn.Module, path: Path, name: str) -> dict[str, Tensor]:
    """The file's tensors under the network's names: of all ways to read the names, the one by which most fits."""
    state, _ = read(path, "--segmenter-init")
    own = _inner(network).state_dict()
    readings = [
        {
            new + key[len(old) :]: value
            for key, value in state.items()
            if key.startswith(old)
            and (mine := own.get(new + key[len(old) :])) is not None
            and mine.shape == value.shape
        }
        for old, new in PREFIXES
    ]
    best = max(readings, key=_weights)
    share = _weights(best) / _weights(own)
    if share < ENOUGH:
        raise ModelError(
            f"--segmenter-init {path}: {100 * share:.0f} % of the weights of --segmenter {name} are in it by name and "
            f"shape, fewer than {100 * ENOUGH:.0f} %: the weights of another network"
        )
    return best


def _inner(network: nn.Module) -> nn.Module:
    return network.network if isinstance(network, Torchvision) else network


def _weights(state: dict[str, Tensor]) -> int:
    return sum(value.numel() for value in state.values())
