"""The picture turned a little: the camera is never quite upright."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from surgaug.perturb.camera import view
from surgaug.perturb.scene import Scene
from surgaug.perturb.sprites import turn_matrix

STAGE = 81
KEEPS = frozenset()


@dataclass(frozen=True)
class Params:
    """degrees: greatest turn either way."""

    degrees: float = 6.0


def perturb(scene: Scene, rng: np.random.Generator, params: Params) -> tuple[np.ndarray, dict[str, Any]]:
    """The picture turned about its middle; positive is clockwise."""
    degrees = rng.uniform(-params.degrees, params.degrees)
    middle = (scene.frame[0] / 2, scene.frame[1] / 2)
    return view(scene, turn_matrix(degrees, middle)), {"degrees": round(degrees, 2)}
