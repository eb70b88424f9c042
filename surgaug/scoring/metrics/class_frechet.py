"""Fréchet distance of the regions of each class: colour and texture, class by class."""

from __future__ import annotations

import numpy as np

from surgaug.scoring.compute.distances import frechet_distance
from surgaug.scoring.metrics import Metric


def compute(real: np.ndarray, synthetic: np.ndarray) -> float:
    """Distance >= 0 between the regions [n, 22] and [m, 22] of one class; see `compute.regions`."""
    return frechet_distance(real, synthetic)


METRIC = Metric(
    title="Fréchet in class regions",
    group="drift",
    better="lower",
    needs="regions",
    convention="squared Fréchet distance of 22 colour and texture features of each class's regions (32 pixels or more, "
    "at the synthetic size), mean over the classes with 16 or more regions in either set",
    compute=compute,
    default=True,
    biased=True,
)
