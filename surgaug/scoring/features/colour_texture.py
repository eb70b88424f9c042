"""Colour and texture: 130 numbers without weights; see `compute.colour_texture`."""

from __future__ import annotations

import torch

from surgaug.scoring.compute.colour_texture import DIMENSION, VERSION, extract
from surgaug.scoring.config import Weights
from surgaug.scoring.features import Feature

DEEP, GENERAL, PREFERENCE = False, True, 0


def available(weights: Weights) -> str:
    """Always."""
    return "colour_texture"


def title(weights: Weights) -> str:
    """What stands behind the titles of measures."""
    return "colour+texture"


def convention(weights: Weights) -> str:
    """For the report."""
    return f"{DIMENSION} colour and texture features, no weights"


def load(weights: Weights, device: torch.device) -> Feature:
    """Image by image, in threads."""
    return Feature(extract, f"colour_texture {VERSION}", facts={"dimension": DIMENSION, "weights": None})
