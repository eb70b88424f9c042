"""The operations, one file each. `perturb(scene, rng, params) -> (label_map, record)` does it once or raises Rejected.

Every file also defines `Params`, a frozen dataclass of what can be set; `STAGE`: the stages run in rising order, so
that the eye moves before what lies on it, and the camera last; and `KEEPS`: of "eye" and "objects" what stays as it is.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from types import ModuleType


def names() -> list[str]:
    """The names of all operations; nothing is imported for it."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def get(name: str) -> ModuleType:
    """The operation of that name, one of `names()`."""
    return import_module(f"{__name__}.{name}")
