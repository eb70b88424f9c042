"""Turn an instrument about its tip, about where it enters the frame, or about where it enters the eye."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from surgaug.perturb.geometry.place import move, pick_object
from surgaug.perturb.operation import Context
from surgaug.perturb.scene.objects import SceneObject
from surgaug.perturb.scene.scene import Scene
from surgaug.perturb.scene.sprites import turn_matrix


@dataclass(frozen=True)
class Params:
    """degrees: greatest turn either way. reach: how far the tip may get, in shares of the frame's diagonal."""

    degrees: float = 20.0
    reach: float = 0.2


def perturb(
    scene: Scene, rng: np.random.Generator, params: Params, context: Context
) -> tuple[np.ndarray, dict[str, Any]]:
    """One object turned; the record gives its classes, the angle (positive is clockwise) and the pivot."""
    index = pick_object(scene, rng)
    obj = scene.objects[index]
    pivots = _pivots(scene, obj)
    name = str(rng.choice(list(pivots)))
    degrees = rng.uniform(-params.degrees, params.degrees)
    label_map = move(scene, index, turn_matrix(degrees, pivots[name]), params.reach * scene.diagonal, context.bank)
    y, x = pivots[name]
    record = {"classes": list(obj.class_ids), "degrees": round(degrees, 2), "pivot": name}
    return label_map, {**record, "y": round(y, 1), "x": round(x, 1)}


def _pivots(scene: Scene, obj: SceneObject) -> dict[str, tuple[float, float]]:
    if obj.entry is None or obj.kind != "instrument":
        return {"centre": obj.centre}
    pivots = {"entry": obj.entry.point, "tip": obj.tip}
    incision = _incision(scene, obj.entry.point, obj.tip)
    return pivots if incision is None else {**pivots, "incision": incision}


def _incision(scene: Scene, entry: tuple[float, float], tip: tuple[float, float]) -> tuple[float, float] | None:
    """Where the axis crosses the outermost disc of the eye: the cut through which the instrument got in."""
    if not scene.discs:
        return None
    steps = np.linspace(0, 1, 200)
    y = entry[0] + steps * (tip[0] - entry[0])
    x = entry[1] + steps * (tip[1] - entry[1])
    inside = scene.discs[-1].contains(y, x)
    crossing = np.flatnonzero(inside)
    if not len(crossing) or crossing[0] == 0:
        return None
    return float(y[crossing[0]]), float(x[crossing[0]])
