"""CLADE (Tan 2021): trained as SPADE is, with its losses and its settings (section 4); see `training/multiscale.py`."""

from __future__ import annotations

from typing import Any

from surgaug.training.adversarial import JITTER
from surgaug.training.multiscale import MultiScale as Method
from surgaug.training.multiscale import MultiScaleAdversary as Adversary

__all__ = ["RECIPES", "Adversary", "Method"]

RECIPES: dict[str, dict[str, Any]] = {
    "tiny": {"steps": 30_000, "batch": 8, "adversary": Adversary(channels=16)},
    "small": {"size": (128, 128), "steps": 100_000, "batch": 16, "adversary": Adversary(channels=32)},
    "base": {"size": (256, 448), "steps": 200_000, "batch": 16, "adversary": Adversary()},
}
RECIPES = {name: {"lr": 1e-4, "ema_power": None, "zoom": JITTER, **recipe} for name, recipe in RECIPES.items()}
