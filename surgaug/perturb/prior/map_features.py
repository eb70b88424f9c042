"""A label map in figures: which classes it shows, where, how large, of what shape, and which touch each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from surgaug.labels.class_statistics import TOUCH, borders, reduced
from surgaug.labels.label_space import LabelSpace
from surgaug.perturb.scene.class_tables import looked_up

FEATURES = ("area", "height", "side", "spread", "upright", "slant", "outline")


@dataclass(frozen=True)
class Facts:
    """classes: int [P], indices (not ids) of the P classes that are there. touching: bool [P, P].

    features: float64 [P, 7], by `FEATURES`: log of the share of the frame; the centre's (y, x) from the frame's middle,
    and log of the standard extent, in frame diagonals; the second moments' (yy - xx) and 2 xy over (yy + xx), from -1
    to 1; log of the outline's length over the root of the area.
    """

    classes: np.ndarray
    features: np.ndarray
    touching: np.ndarray

    def mirrored(self, other_sides: np.ndarray) -> Facts:
        """Of the map mirrored left to right; other_sides: as in `labels.sides`."""
        classes = other_sides[self.classes].astype(self.classes.dtype)
        order = np.argsort(classes)
        features = self.features * np.array([1, 1, -1, 1, 1, -1, 1.0])
        return Facts(classes[order], features[order], self.touching[np.ix_(order, order)])


def describe(label_map: np.ndarray, space: LabelSpace) -> Facts:
    """The facts of a label map of ids [H, W]; pixels without a label are left out."""
    index = _indices(reduced(label_map), space)
    k = space.num_classes + 1  # the last one: no label
    h, w = index.shape
    by_row = np.bincount((index + k * np.arange(h)[:, None]).ravel(), minlength=h * k).reshape(h, k)[:, :-1]
    by_column = np.bincount((index + k * np.arange(w)).ravel(), minlength=w * k).reshape(w, k)[:, :-1]
    area = by_row.sum(0)
    classes = np.flatnonzero(area)
    n = area[classes].astype(np.float64)
    diagonal = float(np.hypot(h, w))
    y, x = (np.arange(h) - (h - 1) / 2) / diagonal, (np.arange(w) - (w - 1) / 2) / diagonal
    rows, columns = by_row[:, classes], by_column[:, classes]
    cy, cx = y @ rows / n, x @ columns / n
    xy = np.bincount(index.ravel(), weights=np.outer(y, x).ravel(), minlength=k)[classes] / n - cy * cx
    pixel = 1 / (12 * diagonal**2)  # the extent of a single pixel
    yy, xx = (y * y) @ rows / n - cy * cy + pixel, (x * x) @ columns / n - cx * cx + pixel
    between = borders(index, k)[np.ix_(classes, classes)]
    outline = np.maximum(between.sum(1), 1)
    features = np.stack(
        [
            np.log(n / (h * w)),
            cy,
            cx,
            0.5 * np.log(yy + xx),
            (yy - xx) / (yy + xx),
            2 * xy / (yy + xx),
            np.log(outline / np.sqrt(n)),
        ],
        axis=1,
    )
    return Facts(classes, features, between >= TOUCH)


def _indices(label_map: np.ndarray, space: LabelSpace) -> np.ndarray:
    """uint8 [H, W]: class indices, and the number of classes where there is none."""
    return looked_up(np.minimum(space.index_table, np.uint8(space.num_classes)), label_map)
