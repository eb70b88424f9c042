"""LPIPS of a pair (Zhang et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from surgaug.scoring.networks.lpips import Lpips

KIND, NAMES, VERSION = "pair", ("lpips",), 1
TITLE, UNIT, BETTER = "LPIPS", "", "lower"
CONVENTION = "Zhang et al. 2018, version 0.1, at the images' own size; mean over pairs"


def load(files: Sequence[Path], device: torch.device) -> Lpips:
    """The distance as a function of two images; see `Lpips`. ModelError where `files` are not its weights."""
    return Lpips(files, device)
