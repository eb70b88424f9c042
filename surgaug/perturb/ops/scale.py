"""Make an object larger or smaller: the microscope's focus and the instrument's size differ between operations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from surgaug.perturb.geometry.place import move, pick_object
from surgaug.perturb.operation import FACTOR, Context
from surgaug.perturb.scene.scene import Scene
from surgaug.perturb.scene.sprites import turn_matrix


@dataclass(frozen=True)
class Params:
    """factor: the greatest enlargement; its inverse is the smallest."""

    factor: float = field(default=1.25, metadata=FACTOR)


def perturb(
    scene: Scene, rng: np.random.Generator, params: Params, context: Context
) -> tuple[np.ndarray, dict[str, Any]]:
    """One object scaled, an instrument about its tip, another object about its centre."""
    index = pick_object(scene, rng)
    obj = scene.objects[index]
    factor = float(np.exp(rng.uniform(-1, 1) * np.log(params.factor)))
    about = obj.tip if obj.kind == "instrument" and obj.entry else obj.centre
    label_map = move(scene, index, turn_matrix(0.0, about, factor), params.factor * scene.diagonal, context.bank)
    return label_map, {"classes": list(obj.class_ids), "factor": round(factor, 3)}
