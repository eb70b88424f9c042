"""The pupil dilates or constricts; the iris yields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from surgaug.labels.class_roles import Roles
from surgaug.perturb import Rejected
from surgaug.perturb.geometry.eye import require_eye, scale_pupil
from surgaug.perturb.operation import FACTOR, Context
from surgaug.perturb.scene.eye_discs import Disc
from surgaug.perturb.scene.scene import Scene


@dataclass(frozen=True)
class Params:
    """smallest, largest: factors of the pupil's width."""

    smallest: float = field(default=0.7, metadata=FACTOR)
    largest: float = field(default=1.35, metadata=FACTOR)


def discs_after(discs: tuple[Disc, ...], record: dict[str, Any], roles: Roles) -> tuple[Disc, ...]:
    """The discs of the pupil and of what lies in it, as much wider; the others as before."""
    which = next(i for i, disc in enumerate(discs) if set(disc.class_ids) & set(roles.pupil))
    return (*(disc.scaled(record["factor"], discs[which].centre) for disc in discs[: which + 1]), *discs[which + 1 :])


def perturb(
    scene: Scene, rng: np.random.Generator, params: Params, context: Context
) -> tuple[np.ndarray, dict[str, Any]]:
    """The pupil `factor` times as wide as it was."""
    require_eye(scene)
    factor = float(np.exp(rng.uniform(np.log(params.smallest), np.log(params.largest))))
    if abs(factor - 1) < 0.03:
        raise Rejected("hardly a change")
    return scale_pupil(scene, factor), {"factor": round(factor, 3)}
