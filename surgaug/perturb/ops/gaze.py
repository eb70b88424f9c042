"""The eye looks elsewhere: pupil, iris and cornea glide together below the lids."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from surgaug.labels.class_roles import Roles
from surgaug.perturb import Rejected
from surgaug.perturb.geometry.eye import move_eye, require_eye
from surgaug.perturb.operation import Context
from surgaug.perturb.scene.eye_discs import Disc
from surgaug.perturb.scene.scene import Scene
from surgaug.perturb.scene.sprites import shift_matrix


@dataclass(frozen=True)
class Params:
    """displacement: greatest displacement, in radii of the eye's outermost disc."""

    displacement: float = 0.2


def discs_after(discs: tuple[Disc, ...], record: dict[str, Any], roles: Roles) -> tuple[Disc, ...]:
    """Moved along."""
    return tuple(replace(d, centre=(d.centre[0] + record["dy"], d.centre[1] + record["dx"])) for d in discs)


def perturb(
    scene: Scene, rng: np.random.Generator, params: Params, context: Context
) -> tuple[np.ndarray, dict[str, Any]]:
    """The eye moved by (dy, dx) pixels."""
    require_eye(scene)
    angle, length = (
        rng.uniform(0, 2 * np.pi),
        params.displacement * np.sqrt(rng.uniform()) * scene.discs[-1].mean_radius,
    )
    dy, dx = round(length * np.sin(angle)), round(length * np.cos(angle))
    if (dy, dx) == (0, 0):
        raise Rejected("moved by less than a pixel")
    return move_eye(scene, shift_matrix(dy, dx)), {"dy": dy, "dx": dx}
