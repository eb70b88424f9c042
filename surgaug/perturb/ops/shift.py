"""Move an instrument (or another object) along and across its axis; it still comes in from the frame's border."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from surgaug.perturb import Rejected
from surgaug.perturb.geometry.place import move, pick_object
from surgaug.perturb.operation import Context
from surgaug.perturb.scene.scene import Scene
from surgaug.perturb.scene.sprites import shift_matrix


@dataclass(frozen=True)
class Params:
    """along, across: greatest displacement along the object's axis and across it, in shares of the frame's diagonal."""

    along: float = 0.10
    across: float = 0.08


def perturb(
    scene: Scene, rng: np.random.Generator, params: Params, context: Context
) -> tuple[np.ndarray, dict[str, Any]]:
    """One object moved; the record gives its classes and the displacement in pixels."""
    index = pick_object(scene, rng)
    obj = scene.objects[index]
    along = rng.uniform(-1, 1) * params.along * scene.diagonal
    across = rng.uniform(-1, 1) * params.across * scene.diagonal
    dy, dx = obj.axis
    # Whole pixels: the object's outline stays as it was drawn.
    displacement = (round(along * dy - across * dx), round(along * dx + across * dy))
    if displacement == (0, 0):
        raise Rejected("moved by less than a pixel")
    limit = 1 + np.hypot(params.along, params.across) * scene.diagonal
    label_map = move(scene, index, shift_matrix(*displacement), limit, context.bank)
    return label_map, {"classes": list(obj.class_ids), "dy": displacement[0], "dx": displacement[1]}
