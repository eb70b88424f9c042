"""Put in an instrument that was cut from another of the user's maps, where it was with respect to the eye."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from surgaug.perturb import NotApplicable, Rejected
from surgaug.perturb.geometry.place import check_tip, insert
from surgaug.perturb.operation import Context
from surgaug.perturb.prior.instrument_bank import BankItem, InstrumentBank, belong_together, tips_of
from surgaug.perturb.scene.scene import BEYOND, Scene
from surgaug.perturb.scene.sprites import apply, cut, similarity_matrix

_LARGER = 1.4  # times; more, and eye and instrument come from pictures that do not compare


@dataclass(frozen=True)
class Params:
    """degrees: greatest turn about the eye. shift: greatest displacement, in shares of the diagonal. most: objects
    in a map."""

    degrees: float = 15.0
    shift: float = 0.05
    most: int = 4


def perturb(
    scene: Scene, rng: np.random.Generator, params: Params, context: Context
) -> tuple[np.ndarray, dict[str, Any]]:
    """One instrument more, of a class that the map does not hold and that goes with those that it holds."""
    bank = context.bank
    if bank is None or not bank.items:
        raise NotApplicable("no bank of instruments")
    if len(scene.objects) >= min(params.most, bank.most_objects):
        raise NotApplicable("as many instruments as real maps show")
    present = {tip for obj in scene.objects for tip in tips_of(obj, scene.roles.handles)}
    kinds = [kind for kind in bank.kinds if _requested(context, kind) and _fits(scene, bank, kind, present)]
    if not kinds:
        raise NotApplicable("no instrument of the bank goes with those that are there")
    kind = kinds[int(rng.integers(len(kinds)))]
    item = bank.items[kind][rng.integers(len(bank.items[kind]))]
    degrees = rng.uniform(-params.degrees, params.degrees)
    dy, dx = rng.uniform(-1, 1, 2) * params.shift * scene.diagonal
    matrix = _there(scene, item, degrees, (dy, dx))
    if item.obj.kind == "instrument":
        check_tip(scene, item.class_ids, apply(matrix, item.tip), bank)
    obj = item.unpacked()
    sprite = cut(obj, BEYOND * float(np.hypot(*obj.frame)))
    label_map = insert(scene, obj, sprite, matrix, bank)
    record: dict[str, Any] = {"classes": list(kind), "from": item.source, "degrees": round(degrees, 2)}
    record["donors"] = [donor.to_row() for donor in item.donors]
    return label_map, {**record, "dy": round(dy, 1), "dx": round(dx, 1)}


def _requested(context: Context, kind: tuple[int, ...]) -> bool:
    return context.request is None or context.request.add in kind


def _fits(scene: Scene, bank: InstrumentBank, kind: tuple[int, ...], present: set[int]) -> bool:
    """`present`: the tips in the scene."""
    handles = scene.roles.handles
    tips = {handles.get(i, i) for i in kind}
    if any(scene.counts[i] for i in kind) and not _several(bank, tips):
        return False
    return all(belong_together(scene.space, bank, a, b) for a in tips for b in present if a != b)


def _several(bank: InstrumentBank, tips: set[int]) -> bool:
    return all(bank.most.get(tip, 0) > 1 for tip in tips)


def _there(scene: Scene, item: BankItem, degrees: float, displacement: tuple[float, float]) -> np.ndarray:
    """The matrix that puts the item's eye upon the scene's (or frame upon frame), turned and moved a little."""
    eye, frame = scene.eye, item.obj.frame
    if eye is None or item.eye is None:
        scale = scene.diagonal / float(np.hypot(*frame))
        old, new = (frame[0] / 2, frame[1] / 2), (scene.frame[0] / 2, scene.frame[1] / 2)
    else:
        scale = eye.radius / item.eye.radius
        old, new = item.eye.centre, eye.centre
        if not 1 / _LARGER <= scale * float(np.hypot(*frame)) / scene.diagonal <= _LARGER:
            raise Rejected("from a picture of another magnification")
    return similarity_matrix(degrees, scale, old, (new[0] + displacement[0], new[1] + displacement[1]))
