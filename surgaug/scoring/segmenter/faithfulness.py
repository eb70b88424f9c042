"""Does each synthetic image show what its label map says? A segmenter trained on real frames answers.

As the "mIoU" of the semantic image synthesis literature (Park et al. 2019), with a segmenter of the user's own frames.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import torch
from torch import nn

from surgaug.labels.label_space import LabelSpace
from surgaug.scoring.compute.bootstrap import chance_of_clusters, cluster_sums, clusters_showing, student_interval
from surgaug.scoring.report.model import NOTHING, ClassReading, Faithfulness, Figure
from surgaug.scoring.segmenter.agreement import LABELLED, boundary_f, compare_maps, iou
from surgaug.scoring.segmenter.arms import clusters_of
from surgaug.segmenter.frames import LabelledFrames
from surgaug.segmenter.training import predict

NOT_IN_TRAIN = "no training frame shows it"
NOT_IN_REAL = "no held-out real frame shows it"
NOT_IN_SYNTH = "no synthetic image shows it"


@dataclass(frozen=True, eq=False)
class Agreement:
    """A segmenter's predictions held against the label maps of a set of images.

    counts: int64 [N, 7, K], see `compare_maps`. groups: what each image comes from; images of one group are not
    independent. floor: the counts where each image is held against another label map of the set; None for no floor.
    """

    counts: np.ndarray
    groups: Sequence[str]
    floor: np.ndarray | None = None


def agreement(network: nn.Module, frames: LabelledFrames, device: torch.device) -> Agreement:
    """The agreement of a segmenter with labelled real frames; see `clusters_of` for what resampling draws together."""
    return Agreement(_counts(network, frames, device)[0], clusters_of(frames)[0])


def agreement_with_floor(network: nn.Module, frames: LabelledFrames, device: torch.device, seed: int) -> Agreement:
    """The same, with its floor: what other label maps of the set, drawn by the seed, would give by chance."""
    counts, predicted = _counts(network, frames, device)
    other = deranged(frames.maps, np.random.default_rng([seed, 13]))
    floor = None if other is None else compare_maps(predicted, frames.maps[other], frames.space.num_classes)
    return Agreement(counts, frames.groups, floor)


def deranged(maps: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """A permutation int [N] that gives each of the maps [N, H, W] another one, different in content.

    A set may hold several images of one label map. Where one map fills more than half of the set, as many images as
    can be get another. None where all maps are the same.
    """
    _, content = np.unique([blake2b(m.tobytes()).hexdigest() for m in maps], return_inverse=True)
    kinds = int(content.max()) + 1
    if kinds < 2:
        return None
    # Equal maps side by side, kinds in random order: a shift by the number of the most frequent ends at another kind.
    order = np.lexsort((rng.permutation(len(maps)), rng.permutation(kinds)[content]))
    other = np.empty(len(maps), np.int64)
    other[order] = np.roll(order, -int(np.bincount(content).max()))
    return other


def faithfulness(
    synth: Agreement, real: Agreement, train_frames: np.ndarray, space: LabelSpace, seed: int
) -> Faithfulness:
    """Figures of synthetic images beside those of held-out real frames. Pure.

    The mean runs over the classes that training frames, real test frames and synthetic images all show; that of the
    rare classes over the quarter of these that fewest training frames show.

    Args:
        train_frames: int [K], how many training frames show each class.
        seed: of the intervals' resamples.
    """
    images, real_images = ((side.counts[:, LABELLED] > 0).sum(0) for side in (synth, real))
    counted = (train_frames > 0) & (images > 0) & (real_images > 0)
    rarest = rarest_quarter(train_frames, counted)
    rng = np.random.default_rng([seed, 11])
    of_synth, of_real = (_Resampled.of(side, rng) for side in (synth, real))
    ious, mean_iou = _figures(iou, of_synth, counted)
    real_ious, real_mean_iou = _figures(iou, of_real, counted)
    edges, mean_edge = _figures(boundary_f, of_synth, counted)
    real_edges, real_mean_edge = _figures(boundary_f, of_real, counted)
    classes = []
    for k, label in enumerate(space.classes):
        if not images[k] and not real_images[k]:
            continue
        trained = bool(train_frames[k])
        reason = (
            NOT_IN_TRAIN
            if not trained
            else NOT_IN_SYNTH
            if not images[k]
            else NOT_IN_REAL
            if not real_images[k]
            else None
        )
        a, b, c, d = (figures[k] if trained else NOTHING for figures in (ious, real_ious, edges, real_edges))
        classes.append(ClassReading(label.id, label.name, int(images[k]), int(real_images[k]), a, b, c, d, reason))
    floor = None
    if synth.floor is not None and counted.any():
        floor = float(np.nanmean(iou(synth.floor.sum(0))[counted]))
    return Faithfulness(
        images=len(synth.counts),
        real_images=len(real.counts),
        counted=tuple(c.id for c, yes in zip(space.classes, counted, strict=True) if yes),
        rarest=tuple(c.id for c, yes in zip(space.classes, rarest, strict=True) if yes),
        miou=mean_iou,
        real_miou=real_mean_iou,
        rare_miou=_figures(iou, of_synth, rarest)[1],
        real_rare_miou=_figures(iou, of_real, rarest)[1],
        boundary_f=mean_edge,
        real_boundary_f=real_mean_edge,
        floor=floor,
        classes=tuple(classes),
    )


def rarest_quarter(frames: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Of the classes `counted` (bool [K]) the quarter with fewest `frames` (int [K]): bool [K]; none of three."""
    order = np.argsort(np.where(counted, frames, np.iinfo(np.int64).max), kind="stable")
    chosen = np.zeros(len(counted), bool)
    chosen[order[: counted.sum() // 4]] = True
    return chosen


def _counts(network: nn.Module, frames: LabelledFrames, device: torch.device) -> tuple[np.ndarray, np.ndarray]:
    predicted = predict(network, frames.images, device)
    return compare_maps(predicted, frames.maps, frames.space.num_classes), predicted


@dataclass(frozen=True, eq=False)
class _Resampled:
    """Summed counts float64 [1 + resamples, 7, K]: of the set itself first; and which groups show each class, bool
    [groups, K]."""

    sums: np.ndarray
    shown: np.ndarray

    @classmethod
    def of(cls, side: Agreement, rng: np.random.Generator) -> _Resampled:
        total = side.counts.sum(0, dtype=np.float64)[None]
        drawn = cluster_sums(side.counts, side.groups, rng)
        return cls(np.concatenate([total, drawn]), clusters_showing(side.counts[:, LABELLED] > 0, side.groups))


def _figures(
    measure: Callable[[np.ndarray], np.ndarray], of: _Resampled, counted: np.ndarray
) -> tuple[list[Figure], Figure]:
    """`measure` of each class, and its mean over the classes `counted` (bool [K]), with their intervals.

    Each by the groups that show it: what lies in one group alone is the same in every resample, whatever chance does.
    """
    values = measure(of.sums)
    each = [_figure(column, int(showing.sum())) for column, showing in zip(values.T, of.shown.T, strict=True)]
    if not np.isfinite(values[0, counted]).any():
        return each, NOTHING
    return each, _figure(_row_means(values[:, counted]), int(of.shown[:, counted].any(1).sum()))


def _row_means(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    return np.where(known, values, 0).sum(1)[known.any(1)] / known.sum(1)[known.any(1)]


def _figure(values: np.ndarray, groups: int) -> Figure:
    """Of values [1 + resamples], the set's own first; without an interval where fewer than two groups show it."""
    value = float(values[0])
    if not np.isfinite(value):
        return NOTHING
    if groups < 2:
        return Figure(value)
    return Figure(value, *student_interval(value, [chance_of_clusters(values[1:], groups)], within=(0.0, 1.0)))
