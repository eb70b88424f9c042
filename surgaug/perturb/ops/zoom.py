"""The microscope nearer (the picture is cropped) or farther away (it goes on beyond its border)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from surgaug.perturb.operation import FACTOR
from surgaug.perturb.scene.sprites import turn_matrix


@dataclass(frozen=True)
class Params:
    """farthest, nearest: factors of the magnification. off: the middle's greatest distance from that of the frame."""

    farthest: float = field(default=0.85, metadata=FACTOR)
    nearest: float = field(default=1.18, metadata=FACTOR)
    off: float = 0.05


def motion(frame: tuple[int, int], rng: np.random.Generator, params: Params) -> tuple[np.ndarray, dict[str, Any]]:
    """The picture magnified by `factor` about (y, x)."""
    factor = float(np.exp(rng.uniform(np.log(params.farthest), np.log(params.nearest))))
    y, x = (np.array(frame) * (0.5 + rng.uniform(-params.off, params.off, 2))).tolist()
    return turn_matrix(0.0, (y, x), factor), {"factor": round(factor, 3), "y": round(y, 1), "x": round(x, 1)}
