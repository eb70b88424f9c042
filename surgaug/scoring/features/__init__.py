"""Extractors of image features, one file each: what the distances between sets are made of. The file `NAME.py` defines

- `DEEP`: whether it is a trained network. Such features speak first; others diagnose drift.
- `GENERAL`: whether the metrics of sets that name no extractor are measured on it.
- `PREFERENCE`: an int; of several extractors the one with the highest comes first.
- `available(weights)`: what its features are called in the keys of measures, None where it cannot be had.
- `title(weights)`: what stands behind the titles of measures.
- `convention(weights)`: how images are prepared and what is taken from the network.
- `load(weights, device)`: a `Feature`. ModelError for weights that are not what they should be.

`weights` is `scoring.config.Weights`. Names are listed without importing anything. Extractors never import each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

    from surgaug.scoring.config import Weights

CPU_BATCH, GPU_BATCH = 16, 64


@dataclass(frozen=True)
class Feature:
    """A loaded extractor.

    extract: one image uint8 [H, W, 3] to float32 [d], called in threads; or, where `batch` is not 0, so many images
    [batch, H, W, 3] to [batch, d]. identity: names it with all that its numbers depend on. facts: what it was, for the
    report.
    """

    extract: Callable[[np.ndarray], np.ndarray]
    identity: str
    batch: int = 0
    facts: dict[str, Any] = field(default_factory=dict)


def in_batches(
    extract: Callable[[np.ndarray], np.ndarray], identity: str, device: torch.device, facts: dict[str, Any]
) -> Feature:
    """A `Feature` of batches as large as the device takes at once."""
    return Feature(extract, identity, CPU_BATCH if device.type == "cpu" else GPU_BATCH, facts)


def names() -> list[str]:
    """The extractors there are, by file name."""
    return sorted(m.name for m in iter_modules(__path__))


def available(weights: Weights) -> dict[str, ModuleType]:
    """The extractors that can be had, by what they are called in the keys of measures, the preferred first."""
    modules = [import_module(f"{__name__}.{name}") for name in names()]
    ordered = sorted(modules, key=lambda module: -module.PREFERENCE)
    return {key: module for module in ordered if (key := module.available(weights)) is not None}
