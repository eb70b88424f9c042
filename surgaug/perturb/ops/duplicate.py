"""A second one of an object that is there, elsewhere; of instruments only where real maps show two of a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from surgaug.perturb import NotApplicable, Rejected
from surgaug.perturb.geometry.place import insert, pick_object
from surgaug.perturb.operation import Context
from surgaug.perturb.prior.instrument_bank import InstrumentBank, tips_of
from surgaug.perturb.scene.scene import Scene
from surgaug.perturb.scene.sprites import apply, similarity_matrix

_TURN = (40.0, 140.0)  # degrees about the eye that lie between two instruments


@dataclass(frozen=True)
class Params:
    """most: objects of one class in a map."""

    most: int = 2


def perturb(
    scene: Scene, rng: np.random.Generator, params: Params, context: Context
) -> tuple[np.ndarray, dict[str, Any]]:
    """An instrument's copy is turned about the eye; another object's is turned at random and put anywhere."""
    index = pick_object(scene, rng)
    obj = scene.objects[index]
    if sum(other.class_ids == obj.class_ids for other in scene.objects) >= params.most:
        raise Rejected("as many of the class as are allowed")
    if obj.kind == "instrument":
        _require_two_in_real_maps(scene, index, context.bank)
        about = scene.eye.centre if scene.eye else (scene.frame[0] / 2, scene.frame[1] / 2)
        degrees = float(rng.choice([-1, 1])) * rng.uniform(*_TURN)
        matrix = similarity_matrix(degrees, 1.0, about, about)
    else:
        degrees = rng.uniform(0, 360)
        new = rng.uniform(0, scene.frame[0]), rng.uniform(0, scene.frame[1])
        matrix = similarity_matrix(degrees, 1.0, obj.centre, new)
        _require_free(scene, index, matrix)
    y, x = apply(matrix, obj.centre)
    label_map = insert(scene, obj, scene.sprite(index), matrix, context.bank)
    return label_map, {
        "classes": list(obj.class_ids),
        "degrees": round(degrees, 2),
        "y": round(y, 1),
        "x": round(x, 1),
    }


def _require_two_in_real_maps(scene: Scene, index: int, bank: InstrumentBank | None) -> None:
    tips = tips_of(scene.objects[index], scene.roles.handles)
    if bank is None or any(bank.most.get(tip, 0) < 2 for tip in tips):
        known = scene.roles.known and len(scene.objects) == 1
        raise (NotApplicable if known else Rejected)("real maps never show two of it")


def _require_free(scene: Scene, index: int, matrix: np.ndarray) -> None:
    """The copy's middle lies on what surrounds the original, and clear of every object."""
    obj = scene.objects[index]
    y, x = (int(v) for v in apply(matrix, obj.centre))
    inside = 0 <= y < scene.frame[0] and 0 <= x < scene.frame[1]
    if not inside or not scene.tables.sources[scene.label_map[y, x]]:
        raise Rejected("no free place for it")
    radius = np.sqrt(obj.area / np.pi)
    if any(np.hypot(y - o.centre[0], x - o.centre[1]) < radius + np.sqrt(o.area / np.pi) for o in scene.objects):
        raise Rejected("no free place for it")
