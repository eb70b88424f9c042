"""The picture turned a little: the camera is never quite upright."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from surgaug.perturb.scene.sprites import turn_matrix


@dataclass(frozen=True)
class Params:
    """degrees: greatest turn either way."""

    degrees: float = 12.0


def motion(frame: tuple[int, int], rng: np.random.Generator, params: Params) -> tuple[np.ndarray, dict[str, Any]]:
    """The picture turned about its middle; positive is clockwise."""
    degrees = rng.uniform(-params.degrees, params.degrees)
    return turn_matrix(degrees, (frame[0] / 2, frame[1] / 2)), {"degrees": round(degrees, 2)}
