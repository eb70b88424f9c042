"""Turn an instrument about its tip, about where it enters the frame, or about where it enters the eye."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from surgaug.perturb.geometry.place import move, pick_object
from surgaug.perturb.scene.objects import SceneObject
from surgaug.perturb.scene.scene import Scene
from surgaug.perturb.scene.sprites import turn_matrix

STAGE = 30
LAYER = "objects"


@dataclass(frozen=True)
class Params:
    """degrees: greatest turn either way. reach: how far the tip may get, in shares of the frame's diagonal."""

    degrees: float = 20.0
    reach: float = 0.2


def perturb(scene: Scene, rng: np.random.Generator, params: Params) -> tuple[np.ndarray, dict[str, Any]]:
    """One object turned; the record gives its classes, the angle (positive is clockwise) and the pivot."""
    index = pick_object(scene, rng)
    thing = scene.objects[index]
    pivots = _pivots(scene, thing)
    name = str(rng.choice(list(pivots)))
    degrees = rng.uniform(-params.degrees, params.degrees)
    label_map = move(scene, index, turn_matrix(degrees, pivots[name]), params.reach * scene.diagonal)
    y, x = pivots[name]
    record = {"classes": list(thing.class_ids), "degrees": round(degrees, 2), "pivot": name}
    return label_map, {**record, "y": round(y, 1), "x": round(x, 1)}


def _pivots(scene: Scene, thing: SceneObject) -> dict[str, tuple[float, float]]:
    if thing.entry is None or thing.kind != "instrument":
        return {"centre": thing.centre}
    pivots = {"entry": thing.entry.point, "tip": thing.tip}
    incision = _incision(scene, thing.entry.point, thing.tip)
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
