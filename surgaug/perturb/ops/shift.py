"""Move an instrument (or another object) along and across its axis; it still comes in from the frame's border."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from surgaug.perturb.place import move, pick_object
from surgaug.perturb.scene import Scene
from surgaug.perturb.sprites import shift_matrix

STAGE = 20
KEEPS_EYE = True


@dataclass(frozen=True)
class Params:
    """along, across: greatest way along the object's axis and across it, in shares of the frame's diagonal."""

    along: float = 0.10
    across: float = 0.08


def perturb(scene: Scene, rng: np.random.Generator, params: Params) -> tuple[np.ndarray, dict[str, Any]]:
    """One object moved; the record gives its classes and the way in pixels."""
    index = pick_object(scene, rng)
    thing = scene.objects[index]
    along = rng.uniform(-1, 1) * params.along * scene.diagonal
    across = rng.uniform(-1, 1) * params.across * scene.diagonal
    dy, dx = thing.axis
    way = (along * dy - across * dx, along * dx + across * dy)
    limit = 1.01 * np.hypot(params.along, params.across) * scene.diagonal
    label_map = move(scene, index, shift_matrix(*way), limit)
    return label_map, {"classes": list(thing.class_ids), "dy": round(way[0], 2), "dx": round(way[1], 2)}
