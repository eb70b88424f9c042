"""The operations, one file each. `perturb(scene, rng, params) -> (label_map, record)` does it once or raises Rejected.

Every file also defines `Params`, a frozen dataclass of what can be set; `STAGE`: the stages run in rising order, so
that the eye moves before what lies on it, and the camera last; and `LAYER`, on what it acts:

- "anatomy": what lies below the objects, which stay where they are (the scene that it gets has none). Where it
  leaves the eye's discs a file may say by `discs_after(discs, record, roles)`; else they are looked for;
- "objects": these alone;
- "camera": how all is seen. Such a file also has `motion(frame, rng, params) -> (matrix, record)`, old (x, y) to new
  [2, 3], and all motions drawn for a map become one;
- "picture": the map as it is.
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
