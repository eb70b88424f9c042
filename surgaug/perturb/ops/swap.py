"""Give an instrument another class that could be in its place; a tip and its handle change together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from surgaug.labels.label_space import LabelSpace
from surgaug.perturb import NotApplicable
from surgaug.perturb.operation import Context
from surgaug.perturb.prior.instrument_bank import belong_together, tips_of
from surgaug.perturb.scene.objects import SceneObject
from surgaug.perturb.scene.scene import Scene


@dataclass(frozen=True)
class Params:
    """Nothing to set: what may stand for what is said by the label space's groups."""


def perturb(
    scene: Scene, rng: np.random.Generator, params: Params, context: Context
) -> tuple[np.ndarray, dict[str, Any]]:
    """One object's class ids changed within its group, to a class that the map does not hold yet."""
    options = {i: found for i, obj in enumerate(scene.objects) if (found := _options(scene, obj, context))}
    if not options:
        raise NotApplicable("no instrument with another class of its group to become")
    index = int(rng.choice(list(options)))
    obj = scene.objects[index]
    changes = options[index][int(rng.integers(len(options[index])))]
    y0, x0, y1, x1 = obj.box
    out = scene.label_map.copy()
    for old, new in changes.items():
        out[y0:y1, x0:x1][obj.mask & (obj.ids == old)] = new
    return out, {"from": list(changes), "to": list(changes.values())}


def _options(scene: Scene, obj: SceneObject, context: Context) -> list[dict[int, int]]:
    """Every possibility to change the object's classes, as {old id: new id}."""
    space, handles = scene.space, scene.roles.handles
    tips = [i for i in obj.class_ids if i not in handles]
    if len(tips) != 1 or space.by_id(tips[0]).group is None:
        return []
    tip = tips[0]
    worn = [i for i in obj.class_ids if i in handles]
    if _is_apart(scene, obj, tip):
        return []
    others = {i for other in scene.objects if other is not obj for i in tips_of(other, handles)}
    found = []
    for new in _group(space, space.by_id(tip).group):
        if new == tip or new in handles or new not in scene.roles.movable or scene.counts[new]:
            continue
        if not _shown(context, new) or not all(belong_together(space, context.bank, new, other) for other in others):
            continue
        own_handles = [handle for handle, owner in handles.items() if owner == new]
        if own_handles or not worn:
            found.append({tip: new, **{old: own_handles[0] for old in worn}})  # noqa: C420 (there may be none)
    request = context.request
    if request is None:
        return found
    return [o for o in found if request.add in o.values() and not request.protected & o.keys()]


def _is_apart(scene: Scene, obj: SceneObject, tip: int) -> bool:
    """Whether a handle of the tip is another object, behind a hand: it would keep the class that the tip gives up."""
    handles = scene.roles.handles
    return any(handles.get(i) == tip for other in scene.objects if other is not obj for i in other.class_ids)


def _shown(context: Context, class_id: int) -> bool:
    """Whether real maps show the class, or it is requested: what no map shows, no model has learnt to synthesize."""
    requested = context.request is not None and context.request.add == class_id
    return requested or context.bank is None or context.bank.most.get(class_id, 0) > 0


def _group(space: LabelSpace, group: str | None) -> list[int]:
    return [c.id for c in space.classes if c.group == group]
