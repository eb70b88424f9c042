"""A stand-in for Inception's published weights."""

from __future__ import annotations

import pytest
import torch

from surgaug.scoring.compute.inception_network import InceptionV3
from surgaug.scoring.features import efficientnet_lite0, inception


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Nothing is kept from one test to the next, nor among the user's files."""
    monkeypatch.setenv("SURGAUG_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(autouse=True)
def no_default_network(monkeypatch):
    """Tests ask for features by name: what is installed here changes nothing, and no test waits for a network."""
    monkeypatch.setattr(efficientnet_lite0, "installed", lambda: False)


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """A file of the published layout (legacy format, 566 tensors) with random weights that keep activations alive."""
    torch.manual_seed(0)
    network = InceptionV3()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.bias, std=0.1)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    path = tmp_path_factory.mktemp("weights") / inception.FILE_NAME
    torch.save(network.state_dict(), path, _use_new_zipfile_serialization=False)
    return path
