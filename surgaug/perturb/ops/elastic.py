"""The anatomy deformed smoothly (Simard, Steinkraus, Platt 2003); instruments are stiff and stay as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from surgaug.perturb.geometry.eye import deform
from surgaug.perturb.operation import Context
from surgaug.perturb.scene.scene import Scene


@dataclass(frozen=True)
class Params:
    """displacement: its standard deviation, in shares of the diagonal. cells: bumps along the longer side."""

    displacement: float = 0.005
    cells: int = 3


def perturb(
    scene: Scene, rng: np.random.Generator, params: Params, context: Context
) -> tuple[np.ndarray, dict[str, Any]]:
    """Every place of the anatomy moved by a smooth random field; the record has the largest `displacement`, pixels."""
    h, w = scene.frame
    step = max(h, w) / params.cells
    shape = (max(2, round(h / step)) + 2, max(2, round(w / step)) + 2, 2)
    field = (rng.standard_normal(shape) * params.displacement * scene.diagonal).astype(np.float32)
    smooth = cv2.resize(field, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    return deform(scene, smooth), {"displacement": round(float(np.hypot(smooth[..., 0], smooth[..., 1]).max()), 1)}
