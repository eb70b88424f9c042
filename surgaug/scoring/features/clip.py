"""CLIP's image embedding (Radford et al. 2021), of which CMMD is made (Jayasumana et al. 2024).

Published with ViT-L/14 at 336 pixels (`openai/clip-vit-large-patch14-336`); another CLIP gives other figures.
"""

from __future__ import annotations

import torch

from surgaug.scoring.compute.image_encoder import Encoder, TransformersNetwork
from surgaug.scoring.config import Weights
from surgaug.scoring.features import Feature, in_batches

DEEP, GENERAL, PREFERENCE = True, False, 2
PREPARATION = "336x336 by antialiased bicubic in float, CLIP's mean and sd; projected embedding, scaled to length 1"
_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def available(weights: Weights) -> str | None:
    """Where its folder was given."""
    return None if weights.clip is None else "clip"


def title(weights: Weights) -> str:
    """What stands behind the titles of measures."""
    return "CLIP"


def convention(weights: Weights) -> str:
    """For the report."""
    return f"CLIP: {PREPARATION}"


def load(weights: Weights, device: torch.device) -> Feature:
    """The encoder of the user's folder. ModelError where it is none, UsageError without the transformers library."""
    assert weights.clip is not None  # or it is not available
    network = TransformersNetwork(weights.clip, "CLIPVisionModelWithProjection", "image_embeds")
    encoder = Encoder(network, 336, _MEAN, _STD, device)
    facts = {"weights": str(weights.clip), "sha256": network.sha256}
    return in_batches(encoder, f"clip {PREPARATION} {network.sha256}", device, facts)
