"""The eye turns about its own axis below the lids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from surgaug.perturb.geometry.eye import move_eye, require_eye
from surgaug.perturb.operation import Context
from surgaug.perturb.scene.scene import Scene
from surgaug.perturb.scene.sprites import turn_matrix


@dataclass(frozen=True)
class Params:
    """degrees: greatest turn either way."""

    degrees: float = 20.0


def perturb(
    scene: Scene, rng: np.random.Generator, params: Params, context: Context
) -> tuple[np.ndarray, dict[str, Any]]:
    """Pupil, iris and cornea turned about their middle; positive is clockwise."""
    require_eye(scene)
    degrees = rng.uniform(-params.degrees, params.degrees)
    return move_eye(scene, turn_matrix(degrees, scene.discs[-1].centre)), {"degrees": round(degrees, 2)}
