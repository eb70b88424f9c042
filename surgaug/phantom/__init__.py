"""Phantom scenes: a procedural renderer of cataract surgery under the microscope, with CaDIS's 36 classes.

Nothing here is real data, and nothing made with it may be counted as such. It serves the demo, the tests, and the small
model that ships with the package.
"""

from __future__ import annotations

import numpy as np

from surgaug.phantom.geometry import make_scene
from surgaug.phantom.rendering import render_scene
from surgaug.phantom.write import write_cadis

__all__ = ["render", "write_cadis"]


def render(seed: int, hw: tuple[int, int] = (64, 112), *, video: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """One frame: image uint8 RGB [H, W, 3] and label map uint8 [H, W] of CaDIS's ids 0..35.

    The same seed (any integer >= 0) gives the same scene at every size; frames that are not 16:9 show its middle.
    `video` (>= 1) fixes the look of eye, light and drapes; None draws one of 25, as often as CaDIS has frames of it.
    """
    return render_scene(make_scene(seed, video), hw)
