"""The operations, one file each, and the order in which they act.

A file defines

- `Params`: a frozen dataclass of what can be set;
- `perturb(scene, rng, params, context) -> (label_map, record)`: does it once, or raises Rejected. The record holds
  plain JSON values and goes into the manifest. A camera operation has `motion(frame, rng, params) -> (matrix, record)`
  instead: the affine matrix [2, 3] from old (x, y) to new. All motions drawn for a map become one;
- `discs_after(discs, record, roles)`, if it likes: where an operation on the anatomy leaves the discs of the eye.
  Without it they are looked for.
"""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Literal

Layer = Literal["anatomy", "objects", "camera", "picture"]


@dataclass(frozen=True)
class Place:
    """layer: what the operation acts on. usual: its probability in the usual mix, 0 where it has no part in it."""

    layer: Layer
    usual: float = 0.0


# First to last: the eye changes before what lies on it, the camera moves after that, the finished picture comes last.
# "anatomy": what lies below the objects. The scene that such an operation gets has none; they are put back afterwards.
# "objects": instruments and other objects alone. "camera": how all is seen. "picture": the map as it is.
ORDER: dict[str, Place] = {
    "elastic": Place("anatomy", 0.2),
    "lids": Place("anatomy", 0.1),
    "pupil": Place("anatomy", 0.2),
    "eye_rotation": Place("anatomy", 0.05),
    "gaze": Place("anatomy", 0.2),
    "remove": Place("objects", 0.05),
    "approach": Place("objects", 0.1),
    "shift": Place("objects", 0.2),
    "rotate": Place("objects", 0.2),
    "scale": Place("objects", 0.05),
    "swap": Place("objects", 0.1),
    "insert": Place("objects", 0.1),
    "duplicate": Place("objects", 0.03),
    "zoom": Place("camera", 0.9),
    "tilt": Place("camera", 0.9),
    "pan": Place("camera", 0.9),
    "flip": Place("picture", 0.5),
}
USUAL = ",".join(f"{name}:{place.usual:g}" for name, place in ORDER.items() if place.usual)


def names() -> list[str]:
    """The names of all operations; nothing is imported for it."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def get(name: str) -> ModuleType:
    """The operation of that name, one of `names()`."""
    return import_module(f"{__name__}.{name}")


def layer(name: str) -> Layer:
    """What the operation of that name acts on."""
    return ORDER[name].layer


def position(name: str) -> int:
    """When the operation of that name acts, 0 first."""
    return list(ORDER).index(name)
