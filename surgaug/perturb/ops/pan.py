"""The camera shifted over the scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from surgaug.perturb import Rejected
from surgaug.perturb.scene.sprites import shift_matrix


@dataclass(frozen=True)
class Params:
    """displacement: greatest displacement along each side, in shares of it."""

    displacement: float = 0.08


def motion(frame: tuple[int, int], rng: np.random.Generator, params: Params) -> tuple[np.ndarray, dict[str, Any]]:
    """Everything moved by (dy, dx) pixels."""
    dy, dx = (round(v) for v in rng.uniform(-params.displacement, params.displacement, 2) * frame)
    if (dy, dx) == (0, 0):
        raise Rejected("moved by less than a pixel")
    return shift_matrix(dy, dx), {"dy": dy, "dx": dx}
