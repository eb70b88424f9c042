"""DINOv2's class token (Oquab et al. 2023), on which Stein et al. 2023 found the Fréchet distance to agree with people.

Published with ViT-L/14 (`facebook/dinov2-large`); another size of DINOv2 gives other figures.
"""

from __future__ import annotations

from pathlib import Path

import torch

from surgaug.scoring.networks.transformer import Encoder

PREPARATION = "224x224 by antialiased bicubic in float, ImageNet's mean and sd; class token after the last norm"
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def load(folder: Path, device: torch.device) -> Encoder:
    """The encoder of a model folder. ModelError where it is none, UsageError without the transformers library."""
    return Encoder(folder, "Dinov2Model", "pooler_output", 224, _MEAN, _STD, device)
