"""Lids, skin, tape and retractors open or close a little around the eye, not everywhere alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from surgaug.labels.class_roles import Roles
from surgaug.perturb import NotApplicable
from surgaug.perturb.geometry.eye import deform
from surgaug.perturb.operation import Context
from surgaug.perturb.scene.eye_discs import Disc
from surgaug.perturb.scene.scene import Scene

_CELLS = 24  # of the coarse field along the longer side
_NEAR, _FAR = 1.05, 1.6  # radii of the eye between which the movement sets in


@dataclass(frozen=True)
class Params:
    """displacement: its mean, at most; unrest: by how much it may differ by angle. In shares of the diagonal."""

    displacement: float = 0.03
    unrest: float = 0.02


def discs_after(discs: tuple[Disc, ...], record: dict[str, Any], roles: Roles) -> tuple[Disc, ...]:
    """As before."""
    return discs


def perturb(
    scene: Scene, rng: np.random.Generator, params: Params, context: Context
) -> tuple[np.ndarray, dict[str, Any]]:
    """What lies outside the eye moved toward it (positive `displacement`, pixels) or away from it."""
    eye = scene.eye
    if eye is None:
        raise NotApplicable("no eye of which enough is visible")
    toward = rng.uniform(-params.displacement, params.displacement) * scene.diagonal
    waves = rng.uniform(-1, 1, (3, 2)) * params.unrest * scene.diagonal / 3
    h, w = scene.frame
    step = max(h, w) / _CELLS
    y = (np.arange(max(2, round(h / step)), dtype=np.float32) + 0.5) * step - eye.centre[0]
    x = (np.arange(max(2, round(w / step)), dtype=np.float32) + 0.5) * step - eye.centre[1]
    y, x = np.meshgrid(y, x, indexing="ij")
    length, angle = np.maximum(np.hypot(y, x), 1e-3), np.arctan2(y, x)
    amount = toward + sum(a * np.sin((k + 1) * angle) + b * np.cos((k + 1) * angle) for k, (a, b) in enumerate(waves))
    amount = amount * np.clip((length / eye.radius - _NEAR) / (_FAR - _NEAR), 0, 1)
    field = np.stack([amount * y / length, amount * x / length], -1).astype(np.float32)
    return deform(scene, field, spare_eye=True), {
        "displacement": round(toward, 1),
        "unrest": round(float(np.abs(waves).sum()), 1),
    }
