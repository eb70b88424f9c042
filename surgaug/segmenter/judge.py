"""The judge: how far a segmenter of the real frames believes the label of each pixel of a synthetic image.

After FreeMask (Yang et al. 2023): a pixel whose cross-entropy exceeds `trust` times the mean of its class
is not trusted. The means are of real frames, each read by a network that did not see it (`cross_fitting.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import save as to_bytes
from torch import nn

from surgaug.datasets.dataset import PairedFrames
from surgaug.datasets.survey import survey, without_faults
from surgaug.errors import DataError, ModelError
from surgaug.io.atomic import write_bytes
from surgaug.labels.label_space import IGNORE_INDEX, LabelSpace
from surgaug.labels.resize import resize_image, resize_label_map
from surgaug.models.foreign_weights import first_line, read_metadata, read_state
from surgaug.runtime.feedback import Feedback
from surgaug.runtime.parallel import cores
from surgaug.runtime.paths import cache_folder
from surgaug.segmenter.config import TRUST, SegmenterConfig
from surgaug.segmenter.cross_fitting import class_means, cross_entropy, cross_fit, folds_of, held_out_cross_entropy
from surgaug.segmenter.frames import LabelledFrames, read_frames
from surgaug.segmenter.network import build
from surgaug.segmenter.training import Trainer, Training, content_key

FORMAT = "surgaug-judge-1"
FEWEST = 6  # real frames that it can be trained on
NARROW = 3  # pixels, at the size that the judge reads at


@dataclass(frozen=True, eq=False)
class Judge:
    """Segmenters of the real frames, one a fold, with what they find surprising in real frames.

    networks: in eval mode, see `network.build`; their outputs are the classes of `space`, in its order. size: (H, W)
    that they read at. class_means: float64 [K], the mean cross-entropy of each class on held-out real frames, in nats;
    NaN for a class that no real frame shows, of which nothing is known and every pixel trusted. key: of the frames and
    settings that it was trained with; equal keys mean equal judges.
    """

    networks: tuple[nn.Module, ...] = field(repr=False)
    space: LabelSpace
    size: tuple[int, int]
    class_means: np.ndarray
    key: str
    device: torch.device

    def reading(self, image: np.ndarray, label_map: np.ndarray, trust: float = TRUST) -> Reading:
        """What it says of an image uint8 [H, W, 3] with its label map of ids [H, W], of any size.

        It reads at its own size; each pixel of the label map is then decided as the one that lies there. One image at a
        time, so that its neighbours in a batch change nothing.
        """
        small = resize_label_map(label_map, self.size, self.space)
        index_map = self._indices[small]
        surprise = cross_entropy(self.networks, resize_image(image, self.size)[None], index_map[None], self.device)[0]
        here = doubted(surprise, index_map, self.class_means, trust).astype(np.uint8)
        everywhere = cv2.resize(here, label_map.shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT).astype(bool)
        labelled = label_map != self.space.ignore if self.space.ignore is not None else np.ones(label_map.shape, bool)
        return Reading(label_map, everywhere & (self._indices[label_map] != IGNORE_INDEX), labelled)

    def hardness(self, pixels: np.ndarray, space: LabelSpace) -> np.ndarray:
        """How hard label maps are, float64 [N], from their pixels by class of `space`, int [N, K]: the class means,
        averaged over the pixels (Yang et al. 2023). A class that no real frame shows counts as the hardest
        that is known.
        """
        means = dict(zip(self.space.ids, self.class_means.tolist(), strict=True))
        of_space = np.array([means.get(i, np.nan) for i in space.ids])
        return pixels @ np.nan_to_num(of_space, nan=np.nanmax(self.class_means)) / np.maximum(1, pixels.sum(1))

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of the classes that no real frame shows."""
        known = np.isfinite(self.class_means)
        return tuple(name for name, yes in zip(self.space.names, known, strict=True) if not yes)

    @cached_property
    def _indices(self) -> np.ndarray:
        """uint8 [65536]: index by id; `IGNORE_INDEX` for ids that it does not know."""
        table = np.full(1 << 16, IGNORE_INDEX, np.uint8)
        table[list(self.space.ids)] = np.arange(self.space.num_classes)
        return table


@dataclass(frozen=True, eq=False)
class Reading:
    """What a judge says of one image: label_map of ids [H, W], where it is `doubted`, and where it is `labelled` at all
    (both bool [H, W])."""

    label_map: np.ndarray
    doubted: np.ndarray
    labelled: np.ndarray

    @cached_property
    def agreement(self) -> float:
        """The share of the labelled pixels that is trusted; 1 where nothing is labelled."""
        return 1 - float(self.doubted.sum()) / max(1, int(self.labelled.sum()))

    @cached_property
    def pixels(self) -> dict[int, tuple[int, int]]:
        """(labelled, doubted) pixels by class id."""
        ids, counts = np.unique(self.label_map[self.labelled], return_counts=True)
        doubted = dict(zip(*np.unique(self.label_map[self.doubted], return_counts=True), strict=True))
        return {int(i): (int(n), int(doubted.get(i, 0))) for i, n in zip(ids, counts, strict=True)}

    def agreement_by_class(self) -> dict[int, float]:
        """As `agreement`, by class id."""
        return {i: 1 - doubted / n for i, (n, doubted) in self.pixels.items()}

    def trusted_map(self, ignore: int) -> np.ndarray:
        """The label map with `ignore` where it is doubted, [H, W]."""
        dtype = np.promote_types(self.label_map.dtype, np.min_scalar_type(ignore))
        return np.where(self.doubted, np.array(ignore, dtype), self.label_map.astype(dtype))


def doubted(surprise: np.ndarray, index_map: np.ndarray, means: np.ndarray, trust: float) -> np.ndarray:
    """Where a label map's labels are not trusted, bool [H, W].

    surprise: the cross-entropy of each pixel's label, float [H, W]. index_map: uint8 [H, W], 255 where there is no
    label. means: float64 [K], the mean cross-entropy of each class; NaN: trust all its pixels. Doubts that are narrower
    than `NARROW` pixels are those of any border between two regions, and are dropped (a morphological opening).
    """
    limits = np.append(trust * means, np.full(IGNORE_INDEX + 1 - len(means), np.nan))
    with np.errstate(invalid="ignore"):
        above = (surprise > limits[index_map]).astype(np.uint8)
    return np.asarray(cv2.morphologyEx(above, cv2.MORPH_OPEN, np.ones((NARROW, NARROW), np.uint8)), bool)


def training_frames(frames: PairedFrames, source: Path, leave_out_bad: bool, feedback: Feedback) -> PairedFrames:
    """The frames of `source` that a judge learns from: of a data set with splits the training frames alone.

    leave_out_bad: without those that cannot be used; DataError for one otherwise.
    """
    if leave_out_bad:
        frames = without_faults(frames, feedback, need_images=True)
    survey(frames, feedback, need_images=True)
    training = tuple(item for item in frames.items if item.split == "train")
    if training and len(training) < len(frames):
        feedback.info(f"judge: trained on the {len(training)} frames of the training split of {source}")
        frames = replace(frames, items=training)
    return frames


def read_real(frames: PairedFrames, size: tuple[int, int], named: str, feedback: Feedback) -> LabelledFrames:
    """The frames in memory, at `size` = (H, W). named: as the user did. DataError where they are too few."""
    read = read_frames(frames, size, frames.space, cores(), feedback, "reading real frames for the judge")
    if len(read) < FEWEST:
        raise DataError(f"{named}: {len(read)} frames with labels; at least {FEWEST} are needed")
    return read


def judge_key(frames: LabelledFrames, config: SegmenterConfig) -> str:
    """A name for the judge that `fit` gives for these frames, cut into folds by their videos, classes and settings."""
    content = content_key(Training((frames,), config), frames.space.num_classes)
    cut = sha256(folds_of(frames.groups).tobytes()).hexdigest()[:16]
    return f"{content}-{cut}-{frames.space.digest(colors=False)}"


def fit(frames: LabelledFrames, config: SegmenterConfig, device: torch.device, feedback: Feedback) -> Judge:
    """The judge of these frames, cross-fitted; taken from the cache where it was trained before, and can be read."""
    path = judge_path(judge_key(frames, config))
    if path.is_file():
        try:
            # Its classes are these but for their colours, which are no part of the key.
            return replace(load(path, device, "judge in the cache"), space=frames.space)
        except ModelError as reason:
            feedback.warn(f"{reason}; it is trained anew")
    folds = folds_of(frames.groups)
    trainer = Trainer(cache_folder() / "segmenters", device)
    classes = frames.space.num_classes
    networks = cross_fit(trainer, frames, folds, classes, config, feedback)
    surprise = held_out_cross_entropy(networks, frames, folds, device)
    means = class_means(surprise, frames.maps, classes)
    judge = Judge(tuple(networks), frames.space, config.size, means, judge_key(frames, config), device)
    path.parent.mkdir(parents=True, exist_ok=True)
    save(judge, path, config.network)
    return judge


def judge_path(key: str) -> Path:
    """Where the judge of that key lies, or will."""
    return cache_folder() / "judges" / f"{key}.safetensors"


def save(judge: Judge, path: Path, kind: str) -> None:
    """Write a judge, whose networks are `kind` (see `network.build`), to a file of tensors."""
    about = {
        "format": FORMAT, "kind": kind, "space": judge.space.to_dict(), "size": judge.size, "key": judge.key,
        "class_means": [None if np.isnan(mean) else float(mean) for mean in judge.class_means],
    }  # fmt: skip
    state = {
        f"{fold}.{name}": value.cpu().contiguous()
        for fold, network in enumerate(judge.networks)
        for name, value in network.state_dict().items()
    }
    write_bytes(path, to_bytes(state, {"surgaug": json.dumps(about)}))


def load(path: Path, device: torch.device, option: str = "--judge") -> Judge:
    """The judge in a file that `save` wrote. ModelError, naming `option`: no such file, or another one."""
    state = read_state(path, option)
    about = json.loads(read_metadata(path).get("surgaug", "{}"))
    if about.get("format") != FORMAT:
        raise ModelError(
            f"{option} {path}: no judge of surgaug's; a segmenter alone does not say how surprising real frames are to "
            f"it. Name the folder of the real training frames instead"
        )
    space = LabelSpace.from_dict(about["space"])
    folds = sorted({int(name.partition(".")[0]) for name in state})
    networks = tuple(_network(about["kind"], space.num_classes, state, fold, device, path, option) for fold in folds)
    means = np.array([np.nan if mean is None else mean for mean in about["class_means"]], np.float64)
    return Judge(networks, space, tuple(about["size"]), means, about["key"], device)


def _network(
    kind: str, classes: int, state: Mapping, fold: int, device: torch.device, path: Path, option: str
) -> nn.Module:
    network = build(kind, classes)
    prefix = f"{fold}."
    try:
        network.load_state_dict({n.removeprefix(prefix): v for n, v in state.items() if n.startswith(prefix)})
    except RuntimeError as reason:
        raise ModelError(f"{option} {path}: damaged, not the {kind} it says ({first_line(reason)})") from reason
    return network.to(device).to(memory_format=torch.channels_last).eval().requires_grad_(False)
