"""The semantic diffusion model: our own (`models/unet.py`) and, as preset `thesis`, the published one."""

from __future__ import annotations

from surgaug.models.presets import PRESETS
from surgaug.models.unet import SemanticUNet as build
from surgaug.models.unet import UNetConfig as Config

__all__ = ["PRESETS", "Config", "build"]
