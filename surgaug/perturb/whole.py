"""What operations on the whole map share."""

from __future__ import annotations

import numpy as np

from surgaug.perturb.rejection import NotApplicable
from surgaug.perturb.scene.inpaint import fill
from surgaug.perturb.scene.scene import Scene


def keep_ignored(scene: Scene, changed: np.ndarray) -> np.ndarray:
    """`changed` [H, W] with the ignored pixels where `scene` has them.

    What is ignored belongs to the picture (a vignette, a caption), not to what it shows: it does not move with it.
    Where ignored pixels were moved away from, the map is filled from the surroundings.
    """
    ignore = scene.space.ignore
    if scene.ignored is None:
        return changed
    out = changed.copy()
    uncovered = (changed == ignore) & ~scene.ignored
    if uncovered.any():
        everything = np.ones(int(np.iinfo(changed.dtype).max) + 1, bool)
        everything[ignore] = False
        try:
            out = fill(changed, uncovered, (0, 0), everything, ())
        except NotApplicable:
            raise NotApplicable("nothing but ignored pixels") from None
    out[scene.ignored] = ignore
    return out
