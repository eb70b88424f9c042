"""Does each synthetic image show what its label map says? A segmenter trained on real frames is asked.

As the "mIoU" of the semantic image synthesis literature (Park et al. 2019), with a segmenter of the user's own frames.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b

import numpy as np
import torch
from torch import nn

from surgaug.labels.label_space import LabelSpace
from surgaug.scoring.segmenter.agreement import LABELLED, boundary_f, compare_maps, iou, resampled
from surgaug.scoring.segmenter.frames import LabelledFrames
from surgaug.scoring.segmenter.results import NOTHING, ClassReading, Faithfulness, Figure
from surgaug.scoring.segmenter.training import predict

UNTAUGHT = "no training frame shows it"
NOT_IN_REAL = "no held-out real frame shows it"
NOT_IN_SYNTH = "no synthetic image shows it"


class Reader:
    """A segmenter, and what it reaches on held-out real frames.

    network: of `classes` classes. taught: int [K], how many training frames show each class.
    """

    def __init__(
        self, network: nn.Module, taught: np.ndarray, real: LabelledFrames, device: torch.device, seed: int
    ) -> None:
        self._network, self._taught, self._device, self._seed = network, taught, device, seed
        self._real_counts = self._read(real)[0]
        self._real_groups = real.groups

    def judge(self, synth: LabelledFrames) -> Faithfulness:
        """The reading of a synthetic folder, beside that of the real frames."""
        counts, floor = self._read(synth)
        return judge(
            counts, synth.groups, floor, self._real_counts, self._real_groups, self._taught, synth.space, self._seed
        )

    def _read(self, frames: LabelledFrames) -> tuple[np.ndarray, np.ndarray | None]:
        """Counts of the frames; and of each held against another label map, drawn by the seed (None: there is one)."""
        predicted = predict(self._network, frames.images, self._device)
        classes = frames.space.num_classes
        counts = compare_maps(predicted, frames.maps, classes)
        other = deranged(frames.maps, np.random.default_rng([self._seed, 13]))
        return counts, None if other is None else compare_maps(predicted, frames.maps[other], classes)


def deranged(maps: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """A permutation int [N] that gives each of the maps [N, H, W] another one, different in content.

    Sets repeat their label maps, one for each sample of it. Where one fills more than half of the set, as many as can
    be get another. None where all are the same.
    """
    _, content = np.unique([blake2b(m.tobytes()).hexdigest() for m in maps], return_inverse=True)
    kinds = int(content.max()) + 1
    if kinds < 2:
        return None
    # Equal ones side by side, kinds in random order: as far on as the largest kind is long, all are of another kind.
    order = np.lexsort((rng.permutation(len(maps)), rng.permutation(kinds)[content]))
    other = np.empty(len(maps), np.int64)
    other[order] = np.roll(order, -int(np.bincount(content).max()))
    return other


def judge(
    counts: np.ndarray,
    groups: Sequence[str],
    floor: np.ndarray | None,
    real_counts: np.ndarray,
    real_groups: Sequence[str],
    taught: np.ndarray,
    space: LabelSpace,
    seed: int,
) -> Faithfulness:
    """Figures from counts [N, 7, K] (see `compare_maps`) of synthetic and of real images. Pure.

    taught: int [K], how many training frames show each class. The mean runs over the classes that training frames, real
    test frames and synthetic images all show; that of the rare ones over the quarter of these that fewest training
    frames show.
    """
    images, real_images = ((c[:, LABELLED] > 0).sum(0) for c in (counts, real_counts))
    counted = (taught > 0) & (images > 0) & (real_images > 0)
    rarest = rarest_quarter(taught, counted)
    rng = np.random.default_rng([seed, 11])
    sets = [_Resampled(counts, groups, rng), _Resampled(real_counts, real_groups, rng)]
    (ious, mean_iou), (real_ious, real_mean_iou) = (s.figures(iou, counted) for s in sets)
    rare_iou, real_rare_iou = (s.figures(iou, rarest)[1] for s in sets)
    (edges, mean_edge), (real_edges, real_mean_edge) = (s.figures(boundary_f, counted) for s in sets)
    classes = []
    for k, label in enumerate(space.classes):
        if not images[k] and not real_images[k]:
            continue
        known = bool(taught[k])
        reason = (
            UNTAUGHT if not known else NOT_IN_SYNTH if not images[k] else NOT_IN_REAL if not real_images[k] else None
        )
        a, b, c, d = (figures[k] if known else NOTHING for figures in (ious, real_ious, edges, real_edges))
        classes.append(ClassReading(label.id, label.name, int(images[k]), int(real_images[k]), a, b, c, d, reason))
    return Faithfulness(
        images=len(counts),
        real_images=len(real_counts),
        counted=tuple(c.id for c, yes in zip(space.classes, counted, strict=True) if yes),
        rarest=tuple(c.id for c, yes in zip(space.classes, rarest, strict=True) if yes),
        miou=mean_iou,
        real_miou=real_mean_iou,
        rare_miou=rare_iou,
        real_rare_miou=real_rare_iou,
        boundary_f=mean_edge,
        real_boundary_f=real_mean_edge,
        floor=None if floor is None or not counted.any() else float(np.nanmean(iou(floor.sum(0))[counted])),
        classes=tuple(classes),
    )


def rarest_quarter(frames: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Of the classes `counted` (bool [K]) the quarter with fewest `frames` (int [K]): bool [K]; none of three."""
    order = np.argsort(np.where(counted, frames, np.iinfo(np.int64).max), kind="stable")
    chosen = np.zeros(len(counted), bool)
    chosen[order[: counted.sum() // 4]] = True
    return chosen


class _Resampled:
    """Counts of a set of images with what chance would have made of them."""

    def __init__(self, counts: np.ndarray, groups: Sequence[str], rng: np.random.Generator) -> None:
        self._total = counts.sum(0)
        self._draws = resampled([counts], groups, rng)[0] if len(set(groups)) > 1 else None

    def figures(self, measure: Callable[[np.ndarray], np.ndarray], counted: np.ndarray) -> tuple[list[Figure], Figure]:
        """`measure` of each class, and its mean over the classes `counted`, with percentile intervals."""
        values = measure(self._total)
        draws = np.full((1, len(values)), np.nan) if self._draws is None else measure(self._draws)
        each = [_figure(value, draws[:, k]) for k, value in enumerate(values)]
        if not np.isfinite(values[counted]).any():
            return each, NOTHING
        return each, _figure(np.nanmean(values[counted]), _row_means(draws[:, counted]))


def _row_means(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    return np.where(known, values, 0).sum(1)[known.any(1)] / known.sum(1)[known.any(1)]


def _figure(value: float, draws: np.ndarray) -> Figure:
    draws = draws[np.isfinite(draws)]
    if not np.isfinite(value):
        return NOTHING
    if not len(draws):
        return Figure(float(value))
    low, high = np.quantile(draws, [0.025, 0.975])
    return Figure(float(value), float(low), float(high))
