"""One phantom frame described: scene units (y from 0 to 1, x from 0 to 16/9, whatever the pixel size), class ids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from surgaug.phantom.centre_lines import Stroke
from surgaug.phantom.video_style import Style

ASPECT = 16 / 9
PUPIL, TAPE, HAND, RETRACTORS, IRIS, SKIN, CORNEA = range(7)
SUTURE_NEEDLE, NEEDLE_HOLDER, TROUTMAN_FORCEPS = 25, 26, 33
MENDEZ_RING, MARKER, IRIS_HOOKS = 30, 31, 35


@dataclass(frozen=True)
class Scene:
    """One frame's geometry. Outlines are [n, 2] (x, y)."""

    seed: int
    style: Style
    ids: tuple[int, ...]
    centre: tuple[float, float]
    radius: float
    roll: float
    pupil_centre: tuple[float, float]
    pupil_radius: float
    opening: np.ndarray
    iris: np.ndarray
    pupil: np.ndarray
    tapes: tuple[np.ndarray, ...]
    hands: tuple[Stroke, ...]
    retractors: tuple[Stroke, ...]
    instruments: tuple[Stroke, ...]
    phase: str
    exposure: float
