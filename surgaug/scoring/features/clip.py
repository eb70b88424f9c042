"""CLIP's image embedding (Radford et al. 2021), of which CMMD is made (Jayasumana et al. 2024).

Published with ViT-L/14 at 336 pixels (`openai/clip-vit-large-patch14-336`); another CLIP gives other figures.
"""

from __future__ import annotations

from pathlib import Path

import torch

from surgaug.scoring.networks.transformer import Encoder

PREPARATION = "336x336 by antialiased bicubic in float, CLIP's mean and sd; projected embedding, scaled to length 1"
_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def load(folder: Path, device: torch.device) -> Encoder:
    """The encoder of a model folder. ModelError where it is none, UsageError without the transformers library."""
    return Encoder(folder, "CLIPVisionModelWithProjection", "image_embeds", 336, _MEAN, _STD, device)
