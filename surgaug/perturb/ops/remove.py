"""Take an instrument (or another object) out of the scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from surgaug.perturb import NotApplicable
from surgaug.perturb.geometry.place import pick_object
from surgaug.perturb.operation import Context
from surgaug.perturb.scene.scene import Scene


@dataclass(frozen=True)
class Params:
    """keep: at least so many objects stay; one at least where the label space tells of no instruments (polyps, say)."""

    keep: int = 0


def perturb(
    scene: Scene, rng: np.random.Generator, params: Params, context: Context
) -> tuple[np.ndarray, dict[str, Any]]:
    """One object gone, its place filled."""
    if context.request is None:
        index = pick_object(scene, rng)
    else:
        holders = [i for i, obj in enumerate(scene.objects) if context.request.drop in obj.class_ids]
        if not holders:
            raise NotApplicable("no object of the class to take away")
        index = holders[int(rng.integers(len(holders)))]
    if len(scene.objects) <= max(params.keep, 0 if scene.roles.known else 1):
        raise NotApplicable("too few objects to take one away")
    return scene.without(index).copy(), {"classes": list(scene.objects[index].class_ids)}
