"""The camera shifted over the scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from surgaug.perturb.geometry.camera import view
from surgaug.perturb.rejection import Rejected
from surgaug.perturb.scene.scene import Scene
from surgaug.perturb.scene.sprites import shift_matrix

STAGE = 82
LAYER = "camera"


@dataclass(frozen=True)
class Params:
    """way: greatest along each side, in shares of it."""

    way: float = 0.08


def motion(frame: tuple[int, int], rng: np.random.Generator, params: Params) -> tuple[np.ndarray, dict[str, Any]]:
    """Everything moved by (dy, dx) pixels."""
    dy, dx = (round(v) for v in rng.uniform(-params.way, params.way, 2) * frame)
    if (dy, dx) == (0, 0):
        raise Rejected("a way of less than a pixel")
    return shift_matrix(dy, dx), {"dy": dy, "dx": dx}


def perturb(scene: Scene, rng: np.random.Generator, params: Params) -> tuple[np.ndarray, dict[str, Any]]:
    """The map seen after the camera's `motion`."""
    matrix, record = motion(scene.frame, rng, params)
    return view(scene, matrix), record
