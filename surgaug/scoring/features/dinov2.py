"""DINOv2's class token (Oquab et al. 2023), on which Stein et al. 2023 found the Fréchet distance to agree with people.

Published with ViT-L/14 (`facebook/dinov2-large`); another size of DINOv2 gives other figures.
"""

from __future__ import annotations

import torch

from surgaug.models.foreign_weights import IMAGENET_MEAN, IMAGENET_STD
from surgaug.scoring.compute.image_encoder import Encoder, TransformersNetwork
from surgaug.scoring.config import Weights
from surgaug.scoring.features import Feature, in_batches

DEEP, GENERAL, PREFERENCE = True, True, 3
PREPARATION = "224x224 by antialiased bicubic in float, ImageNet's mean and sd; class token after the last norm"


def available(weights: Weights) -> str | None:
    """Where its folder was given."""
    return None if weights.dinov2 is None else "dinov2"


def title(weights: Weights) -> str:
    """What stands behind the titles of measures."""
    return "DINOv2"


def convention(weights: Weights) -> str:
    """For the report."""
    return f"DINOv2: {PREPARATION}"


def load(weights: Weights, device: torch.device) -> Feature:
    """The encoder of the user's folder. ModelError where it is none, UsageError without the transformers library."""
    assert weights.dinov2 is not None  # or it is not available
    network = TransformersNetwork(weights.dinov2, "Dinov2Model", "pooler_output")
    encoder = Encoder(network, 224, IMAGENET_MEAN, IMAGENET_STD, device)
    facts = {"weights": str(weights.dinov2), "sha256": network.sha256}
    return in_batches(encoder, f"dinov2 {PREPARATION} {network.sha256}", device, facts)
