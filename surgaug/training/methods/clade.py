"""CLADE (Tan 2021): trained as SPADE is, with its losses and its settings (section 4); see `training/multiscale.py`."""

from __future__ import annotations

from surgaug.training.multiscale import MultiScale as Method
from surgaug.training.multiscale import MultiScaleAdversary as Adversary
from surgaug.training.multiscale import spade_recipes

__all__ = ["RECIPES", "Adversary", "Method"]

RECIPES = spade_recipes(Adversary)
