"""Each class's regions in the synthetic images against those in real ones: colour and texture, class by class. Pure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from surgaug.labels.label_space import LabelSpace
from surgaug.scoring.compute.intervals import mean_measure, set_measures
from surgaug.scoring.metrics import frechet
from surgaug.scoring.report.model import ClassMeasure, Measure

FEWEST_REGIONS = 16  # of either set; each half then has 8 for means and covariances of 22 numbers


def compare(
    real: list[np.ndarray], synth: list[np.ndarray], spaces: tuple[LabelSpace, LabelSpace], draws: int, seed: int
) -> tuple[Measure, tuple[ClassMeasure, ...]]:
    """The mean over classes, and each class's Fréchet distance (None with a reason for those with too few regions).

    Args:
        real, synth: [regions, 1 + 22] of each image, see `features.regions`.
        spaces: of the labels of either.
    """
    names = {c.id: c.name for space in reversed(spaces) for c in space.classes}
    sides = [np.concatenate(side) if side else np.empty((0, 23), np.float32) for side in (real, synth)]
    classes = []
    for class_id in sorted(names):
        regions = [side[side[:, 0] == class_id, 1:] for side in sides]
        counts = (len(regions[0]), len(regions[1]))
        if max(counts) == 0:
            continue
        if min(counts) < FEWEST_REGIONS:
            reason = f"{counts[0]} real and {counts[1]} synthetic regions; needs {FEWEST_REGIONS} of each"
            measure = Measure(None, counts[1], reason=reason)
        else:
            measure = set_measures(frechet, regions[0], regions[1], draws, seed)["frechet"]
        classes.append(ClassMeasure(class_id, names[class_id], counts[0], counts[1], measure))
    measured = [c.measure for c in classes if c.measure.value is not None]
    if not measured:
        reason = f"no class has {FEWEST_REGIONS} regions in either set"
        return Measure(None, 0, reason=reason), tuple(classes)
    return replace(mean_measure(measured, len(measured)), n=len(measured)), tuple(classes)
