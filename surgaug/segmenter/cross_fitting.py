"""How surprising each frame's labels are to a segmenter that never saw them: K-fold cross-fitting.

The frames are cut into K folds; each fold is read by a network that was trained on the others. So cross-entropy is no
training error, and a network cannot have learnt a wrong label by heart (Northcutt et al. 2021, "Confident Learning").
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from surgaug.labels.label_space import IGNORE_INDEX
from surgaug.runtime.feedback import Feedback
from surgaug.segmenter.config import SegmenterConfig
from surgaug.segmenter.frames import LabelledFrames
from surgaug.segmenter.training import PREDICT_BATCH, Trainer, Training, to_float

FOLDS = 3


def folds_of(groups: Sequence[str], folds: int = FOLDS) -> np.ndarray:
    """The fold of each frame, int64 [N]: one stretch of every video in each fold.

    Neighbours in a video are nearly copies, so they stay together; but every fold sees every video, since what is to be
    judged (images synthesized in these videos' styles, their own labels) is of these videos too. Frames of one video
    must stand in their order. groups: the video of each frame, or the frame's own name where no videos are known.
    """
    out = np.empty(len(groups), np.int64)
    positions: dict[str, list[int]] = {}
    for i, group in enumerate(groups):
        positions.setdefault(group, []).append(i)
    for number, of_video in enumerate(positions.values()):
        # Short videos begin at a fold each, so that folds are of about one size.
        out[of_video] = (np.arange(len(of_video)) * folds // len(of_video) + number) % folds
    return out


def cross_fit(
    trainer: Trainer,
    frames: LabelledFrames,
    folds: np.ndarray,
    classes: int,
    config: SegmenterConfig,
    feedback: Feedback,
) -> list[nn.Module]:
    """A network for each fold, trained on the other folds; networks that were trained before are taken from the cache.

    folds: see `folds_of`. classes: how many classes the frames' label space has.
    """
    others = (frames.take(np.flatnonzero(folds != fold)) for fold in range(int(folds.max()) + 1))
    parts = [Training((part,), config) for part in others]
    known = sum(trainer.has(part, classes) for part in parts)
    total = config.steps * len(parts)
    title = f"training the segmenter on real frames, {len(parts)} folds"
    with feedback.task(title, total, "steps", config.steps * known) as bar:
        return [trainer.get(part, classes, bar) for part in parts]


@torch.inference_mode()
def cross_entropy(
    networks: Sequence[nn.Module], images: np.ndarray, maps: np.ndarray, device: torch.device
) -> np.ndarray:
    """Cross-entropy of each label in nats, mean over the networks: float32 [N, H, W]; NaN where there is no label.

    images: uint8 [N, H, W, 3]. maps: uint8 [N, H, W] of indices, 255 where there is no label. The mean over several
    networks is on average that of one of them, so that it can be held against a mean over held-out folds.
    """
    out = np.empty(maps.shape, np.float32)
    for start in range(0, len(images), PREDICT_BATCH):
        part = slice(start, start + PREDICT_BATCH)
        batch = to_float(images[part]).to(device).contiguous(memory_format=torch.channels_last)
        labels = torch.from_numpy(maps[part]).long().to(device)
        found = torch.stack([_of_logits(network(batch), labels) for network in networks]).mean(0)
        out[part] = found.masked_fill(labels == IGNORE_INDEX, torch.nan).cpu().numpy()
    return out


def held_out_cross_entropy(
    networks: Sequence[nn.Module], frames: LabelledFrames, folds: np.ndarray, device: torch.device
) -> np.ndarray:
    """As `cross_entropy`, each frame read by the network that did not see it: float32 [N, H, W]."""
    out = np.empty(frames.maps.shape, np.float32)
    for fold, network in enumerate(networks):
        own = np.flatnonzero(folds == fold)
        out[own] = cross_entropy([network], frames.images[own], frames.maps[own], device)
    return out


def class_means(values: np.ndarray, maps: np.ndarray, classes: int) -> np.ndarray:
    """Mean of `values` [N, H, W] over the pixels of each class: float64 [classes]; NaN for a class without a pixel."""
    sums, counts = np.zeros(classes), np.zeros(classes, np.int64)
    for of_frame, index_map in zip(values, maps, strict=True):
        labelled = index_map != IGNORE_INDEX
        sums += np.bincount(index_map[labelled], of_frame[labelled], minlength=classes)[:classes]
        counts += np.bincount(index_map[labelled], minlength=classes)[:classes]
    with np.errstate(invalid="ignore"):
        return np.where(counts > 0, sums / counts, np.nan)


def _of_logits(logits: Tensor, labels: Tensor) -> Tensor:
    """float32 [B, H, W]; 0 where there is no label."""
    return F.cross_entropy(logits.float(), labels, ignore_index=IGNORE_INDEX, reduction="none")
