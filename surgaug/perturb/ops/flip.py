"""Mirror the whole map: left and right eye. Up and down only by choice, since a surgeon sits on one side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from surgaug.perturb.scene.scene import Scene
from surgaug.perturb.whole import keep_ignored

STAGE = 90
LAYER = "picture"


@dataclass(frozen=True)
class Params:
    """left_right, up_down: which mirrors may be drawn."""

    left_right: bool = True
    up_down: bool = False


def perturb(scene: Scene, rng: np.random.Generator, params: Params) -> tuple[np.ndarray, dict[str, Any]]:
    """The map mirrored along one axis; ignored pixels stay where they are."""
    axes = [name for name, wanted in (("left-right", params.left_right), ("up-down", params.up_down)) if wanted]
    axis = axes[rng.integers(len(axes))]
    mirrored = scene.label_map[:, ::-1] if axis == "left-right" else scene.label_map[::-1]
    return keep_ignored(scene, np.ascontiguousarray(mirrored)), {"axis": axis}
