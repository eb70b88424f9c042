"""Mirror the whole map: left and right eye. Up and down only by choice, since a surgeon sits on one side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

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
    """The map mirrored along one axis; ignored pixels stay where they are."""
    axes = [name for name, allowed in (("left-right", params.left_right), ("up-down", params.up_down)) if allowed]
    axis = axes[rng.integers(len(axes))]
    mirrored = scene.label_map[:, ::-1] if axis == "left-right" else scene.label_map[::-1]
    return scene.keep_ignored(np.ascontiguousarray(mirrored)), {"axis": axis}
