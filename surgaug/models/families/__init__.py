"""Families of models, one file each: `families/NAME.py` defines `Config`, `PRESETS` and `build(config, num_classes)`.

`Config` is a frozen dataclass of the network's sizes, stored in every model file; `PRESETS` are some by name.
`build` returns that network, untrained. Those of "diffusion" and "upsampler" take part in sampling step by step
(`models/unet.py`, `models/upsampler.py`). The others synthesize an image in one pass:

    net.noise_shapes((H, W)) -> shapes, without the batch, of the Gaussian noise that an image is made from; may be []
    net(index_map uint8 [B, H, W], noise: list of float [B, *shape]) -> images float [B, 3, H, W] in [-1, 1]

A sample's image depends on its own map and noise alone, whatever else is in the batch. Indices that are no class
(255) mean "no label". Any height and width; maps are padded inside.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from types import ModuleType
from typing import Any

from surgaug.errors import ModelError, UsageError

DIFFUSION, UPSAMPLER = "diffusion", "upsampler"
CASCADE, STAGES = "cascade", (DIFFUSION, UPSAMPLER)  # a model file of two networks, first and second stage


def names() -> list[str]:
    """The families, without importing them; ours first."""
    return sorted(
        (module.name for module in pkgutil.iter_modules(__path__)), key=lambda name: (name != DIFFUSION, name)
    )


def check(name: str) -> None:
    """Raises UsageError if there is no family of that name."""
    if name not in names():
        raise UsageError(f"--model {name}: there is no such model; choose one of {', '.join(names())}")


def get(name: str) -> ModuleType:
    """The module of a family. Raises UsageError if there is none of that name."""
    check(name)
    return importlib.import_module(f"{__name__}.{name}")


def read_config(family: str, data: dict[str, Any]) -> Any:
    """The inverse of `dataclasses.asdict` after a trip through JSON. Unknown keys: ModelError."""
    kind = get(family).Config
    known = {f.name for f in dataclasses.fields(kind)}
    if unknown := set(data) - known:
        raise ModelError(f"unknown network settings {sorted(unknown)}: the file was written by another version")
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in data.items()})
