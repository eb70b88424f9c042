"""The pupil dilates or constricts; the iris yields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from surgaug.perturb.eye import require_eye, scale_pupil
from surgaug.perturb.rejection import Rejected
from surgaug.perturb.scene import Scene
from surgaug.perturb.strength import FACTOR

STAGE = 4
KEEPS = frozenset({"objects"})


@dataclass(frozen=True)
class Params:
    """smallest, largest: factors of the pupil's width."""

    smallest: float = field(default=0.7, metadata=FACTOR)
    largest: float = field(default=1.35, metadata=FACTOR)


def perturb(scene: Scene, rng: np.random.Generator, params: Params) -> tuple[np.ndarray, dict[str, Any]]:
    """The pupil `factor` times as wide as it was."""
    require_eye(scene)
    factor = float(np.exp(rng.uniform(np.log(params.smallest), np.log(params.largest))))
    if abs(factor - 1) < 0.03:
        raise Rejected("hardly a change")
    return scale_pupil(scene, factor), {"factor": round(factor, 3)}
