"""Colour and texture inside each class's region: 22 numbers a region, no weights; and regions of two sets compared.

- 0-8: mean, standard deviation and cube root of the third central moment of L*, a*, b*, over 100;
- 9-18: square root of the histogram of rotation-invariant uniform patterns of 8 neighbours (Ojala et al. 2002), centred
  inside the region;
- 19-21: log(1 + rms) / log(256) of the differences to the right, below and diagonally, of luminance.

The same descriptions as `colour_texture`'s, but for what needs a rectangle.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from surgaug.labels.label_space import LabelSpace
from surgaug.scoring.compute.colour_texture import BINS, pattern_bins
from surgaug.scoring.compute.energy import Groups
from surgaug.scoring.compute.intervals import mean_measure, set_measures
from surgaug.scoring.metrics import Metric
from surgaug.scoring.report.model import ClassMeasure, Measure

DIMENSION = 22
VERSION = 1
MIN_PIXELS = 32  # a smaller region has no texture to speak of
FEWEST_REGIONS = 16  # of either set; each half then has 8 for means and covariances of 22 numbers


def extract(image: np.ndarray, label_map: np.ndarray) -> np.ndarray:
    """A row for each id that has enough pixels: its id, and its description.

    Args:
        image: uint8 [H, W, 3], RGB; H, W >= 3.
        label_map: ids [H, W].

    Returns:
        float32 [regions, 1 + 22].
    """
    ids, index, counts = np.unique(label_map, return_inverse=True, return_counts=True)
    index = index.reshape(label_map.shape)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    parts = [_moments(image, index, counts), _patterns(grey, index, len(ids)), _differences(grey, index, len(ids))]
    rows = np.column_stack([ids, *parts])
    return rows[counts >= MIN_PIXELS].astype(np.float32)


def compare(
    metric: Metric,
    real: list[np.ndarray],
    synth: list[np.ndarray],
    spaces: tuple[LabelSpace, LabelSpace],
    draws: int,
    seed: int,
    groups: Groups | None = None,
) -> tuple[Measure, tuple[ClassMeasure, ...]]:
    """The mean of a metric over classes, and each class's (None with a reason for those with too few regions).

    Args:
        real, synth: [regions, 1 + 22] of each image, see `extract`.
        spaces: of the labels of either.
        groups: what each synthetic image comes from; None where each is independent.
    """
    names = {c.id: c.name for space in reversed(spaces) for c in space.classes}
    sides = [np.concatenate(side) if side else np.empty((0, 23), np.float32) for side in (real, synth)]
    of_image = np.arange(len(synth)) if groups is None else np.asarray(groups)
    of_region = np.repeat(of_image, np.array([len(rows) for rows in synth], int))
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
            of_class = of_region[sides[1][:, 0] == class_id]
            measure = set_measures(metric, regions[0], regions[1], draws, seed, groups=of_class)[0]
        classes.append(ClassMeasure(class_id, names[class_id], counts[0], counts[1], measure))
    measured = [c.measure for c in classes if c.measure.value is not None]
    if not measured:
        reason = f"no class has {FEWEST_REGIONS} regions in either set"
        return Measure(None, 0, reason=reason), tuple(classes)
    return replace(mean_measure(measured, len(measured)), n=len(measured)), tuple(classes)


def _moments(image: np.ndarray, index: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """[K, 9]"""
    lab = cv2.cvtColor(np.float32(image) / 255, cv2.COLOR_RGB2Lab).reshape(-1, 3) / 100
    flat = index.ravel()
    columns: list[np.ndarray] = []
    for power in (1, 2, 3):
        values = lab if power == 1 else (lab - columns[0][flat]) ** power
        columns.append(np.stack([np.bincount(flat, values[:, c], len(counts)) / counts for c in range(3)], 1))
    return np.concatenate([columns[0], np.sqrt(columns[1]), np.cbrt(columns[2])], 1)


def _patterns(grey: np.ndarray, index: np.ndarray, classes: int) -> np.ndarray:
    """[K, 10]"""
    joint = index[1:-1, 1:-1] * BINS + pattern_bins(grey)
    counts = np.bincount(joint.ravel(), minlength=classes * BINS).reshape(classes, BINS)
    return np.sqrt(counts / counts.sum(1, keepdims=True).clip(1))


def _differences(grey: np.ndarray, index: np.ndarray, classes: int) -> np.ndarray:
    """[K, 3]: pairs of pixels that lie in one region."""
    grey = grey.astype(np.float64)
    columns = []
    for rows, cols in ((0, 1), (1, 0), (1, 1)):
        a = slice(0, grey.shape[0] - rows), slice(0, grey.shape[1] - cols)
        b = slice(rows, None), slice(cols, None)
        same = index[a] == index[b]
        square = np.bincount(index[a][same], np.square(grey[b] - grey[a])[same], classes)
        rms = np.sqrt(square / np.bincount(index[a][same], minlength=classes).clip(1))
        columns.append(np.log1p(rms) / np.log(256))
    return np.stack(columns, 1)
