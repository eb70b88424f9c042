"""Samplers, one file each: `samplers/NAME.py` defines `sample(denoise, x_t, alpha_bars, noise, *, ...) -> x_0`.

denoise(x_t, alpha_bar) -> estimate of x_0, like x_t; alpha_bar is a float, one for the whole batch.
x_t: [B, ...], the start; unit Gaussian noise if alpha_bars[0] is the noisiest level.
alpha_bars: [steps + 1], strictly increasing, in [0, 1], as `Schedule.sampling_levels` gives them.
noise(step) -> unit Gaussian noise like x_t, for step 0, 1, ...; called only where the sampler is stochastic.

Each has STEPS and a SPACING: how many levels it visits, and how they lie (`surgaug.diffusion.spacing`), by default.

Coefficients are Python floats (float64); tensors keep their dtype.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

from surgaug.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor


def names() -> list[str]:
    """The samplers, without importing them."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def get(name: str) -> Callable[..., Tensor]:
    """The `sample` function of a sampler. Raises UsageError if there is none of that name."""
    return _module(name).sample


def steps(name: str) -> int:
    """How many steps a sampler takes unless told otherwise. Raises UsageError if there is none of that name."""
    return _module(name).STEPS


def spacing(name: str) -> str:
    """How the levels of a sampler are spaced unless told otherwise. Raises UsageError if there is none of that name."""
    return _module(name).SPACING


def _module(name: str) -> ModuleType:
    if name not in names():
        raise UsageError(f"sampler: {name!r} is not one of {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{name}")
