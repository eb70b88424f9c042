"""Push an instrument in or draw it back along its own axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from surgaug.perturb import NotApplicable, Rejected
from surgaug.perturb.geometry.place import move
from surgaug.perturb.operation import Context
from surgaug.perturb.scene.scene import Scene
from surgaug.perturb.scene.sprites import shift_matrix


@dataclass(frozen=True)
class Params:
    """displacement: the greatest displacement in either direction, in shares of the frame's diagonal."""

    displacement: float = 0.15


def perturb(
    scene: Scene, rng: np.random.Generator, params: Params, context: Context
) -> tuple[np.ndarray, dict[str, Any]]:
    """One instrument that comes in from the border, moved; `displacement` in the record: in pixels, inward positive."""
    options = [i for i, obj in enumerate(scene.objects) if obj.kind == "instrument" and obj.entries]
    if not options:
        raise NotApplicable("no instrument that comes in from the border")
    index = int(rng.choice(options))
    obj = scene.objects[index]
    along = rng.uniform(-1, 1) * params.displacement * scene.diagonal
    dy, dx = round(along * obj.axis[0]), round(along * obj.axis[1])
    if (dy, dx) == (0, 0):
        raise Rejected("moved by less than a pixel")
    label_map = move(scene, index, shift_matrix(dy, dx), 2 + params.displacement * scene.diagonal, context.bank)
    return label_map, {"classes": list(obj.class_ids), "displacement": round(along, 1), "dy": dy, "dx": dx}
