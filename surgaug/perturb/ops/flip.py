"""Mirror the whole map: left and right eye. Up and down only by choice, since a surgeon sits on one side.

Classes that name a side are exchanged: a mirror image of a left lung is one of a right lung.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from surgaug.labels.sides import exchanged, one_sided
from surgaug.perturb import NotApplicable
from surgaug.perturb.operation import Context
from surgaug.perturb.scene.scene import Scene


@dataclass(frozen=True)
class Params:
    """left_right, up_down: which mirrors may be drawn."""

    left_right: bool = True
    up_down: bool = False


def perturb(
    scene: Scene, rng: np.random.Generator, params: Params, context: Context
) -> tuple[np.ndarray, dict[str, Any]]:
    """The map mirrored along one axis; ignored pixels stay where they are. NotApplicable: a class names a side of which
    there is no other."""
    if missing := one_sided(scene.space):
        raise NotApplicable(f"{missing[0]} would be of the other side, and that has no class")
    axes = [name for name, allowed in (("left-right", params.left_right), ("up-down", params.up_down)) if allowed]
    axis = axes[rng.integers(len(axes))]
    mirrored = scene.label_map[:, ::-1] if axis == "left-right" else scene.label_map[::-1]
    return scene.keep_ignored(np.ascontiguousarray(exchanged(mirrored, scene.space))), {"axis": axis}
