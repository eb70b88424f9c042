"""A stand-in for Inception's published weights."""

from __future__ import annotations

import pytest
import torch

from surgaug.scoring.features import inception


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Nothing is kept from one test to the next, nor among the user's files."""
    monkeypatch.setenv("SURGAUG_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """A file of the published layout (legacy format, 566 tensors) with random weights that keep activations alive."""
    torch.manual_seed(0)
    network = inception.InceptionV3()
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
