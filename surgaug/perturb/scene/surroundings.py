"""What surrounds the eye, measured so that it can be continued beyond the frame."""

from __future__ import annotations

import cv2
import numpy as np

from surgaug.perturb.rejection import Rejected

CELL = 6  # pixels of the grid on which distances are measured


def surroundings(label_map: np.ndarray, usable: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """The ids at the border of a map [H, W], and of each the signed distance from its edge, float32 on a grid of `CELL`
    pixels, in cells, positive inside.

    usable: bool by id, which classes count; where none of them is at the border, all that the map has. Raises Rejected
    where it has none.
    """
    h, w = label_map.shape
    small = cv2.resize(label_map, (max(1, w // CELL), max(1, h // CELL)), interpolation=cv2.INTER_NEAREST)
    rim = np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]])
    ids = np.unique(rim[usable[rim]]) if usable[rim].any() else np.unique(small[usable[small]])
    if not len(ids):
        raise Rejected("nothing around the eye to continue it with")
    own = [(small == class_id).view(np.uint8) for class_id in ids]
    return ids, [cv2.distanceTransform(o, cv2.DIST_L2, 5) - cv2.distanceTransform(1 - o, cv2.DIST_L2, 5) for o in own]
