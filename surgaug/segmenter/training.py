"""Training a segmenter: a fixed number of steps, the same network for the same frames and the same seed.

Trained ones are kept by content: the same frames, settings and seed are trained once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from surgaug.io.atomic import clean_leftovers, write_bytes
from surgaug.labels.label_space import IGNORE_INDEX, LabelSpace
from surgaug.labels.sides import has_sides, one_sided, other_sides
from surgaug.models import efficientnet
from surgaug.models.checkpoint import file_hash
from surgaug.models.muon import Muon, rest
from surgaug.runtime.feedback import Task
from surgaug.segmenter.config import SegmenterConfig
from surgaug.segmenter.frames import LabelledFrames
from surgaug.segmenter.network import UNET, build, pretrained_part
from surgaug.segmenter.weights import describe, initialize

RECIPE = 2  # to be raised when training changes, so that no network of the old recipe is taken for one of the new
PREDICT_BATCH = 32
LEAST, EACH = 800, 100  # steps: of any training, and for each class (see `default_steps`)
TUNING = 5e-4  # peak of AdamW's learning rate for published weights
RARE = 10.0  # a class weighs at most as much more than the average pixel
ZOOM, TURN, SHIFT, LIGHT = 0.25, 0.26, 0.15, 0.2  # scale, radians, half edges, contrast and brightness


@dataclass(frozen=True, eq=False)
class Training:
    """One training: from which frames, and how.

    shares: the share of every batch that each of `sources` gives; None: equal ones. after: the training whose network
    this one goes on with; None: it begins with weights of its own.
    """

    sources: tuple[LabelledFrames, ...]
    config: SegmenterConfig
    shares: tuple[float, ...] | None = None
    after: Training | None = None
    _keys: dict[int, str] = field(default_factory=dict, init=False, repr=False)

    def key(self, classes: int) -> str:
        """A name for what a network of `classes` classes depends on (see `content_key`), worked out once."""
        if classes not in self._keys:
            self._keys[classes] = content_key(self, classes)
        return self._keys[classes]

    def chain(self) -> list[Training]:
        """The trainings that come before this one, in their order, and this one."""
        return [*(self.after.chain() if self.after else ()), self]


def train(
    training: Training, classes: int, device: torch.device, task: Task, start: nn.Module | None = None
) -> nn.Module:
    """A network of `classes` classes trained as `training` says; start: the network of what comes before it.

    Frames are mirrored, turned, zoomed, shifted and varied in brightness; the loss is cross-entropy, weighted by the
    inverse root of a class's share of pixels. On a CPU the result depends on the arguments and the number of threads
    alone; on a GPU the last digits may differ from run to run.
    """
    config = training.config
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = build(config.network, classes, pretrained=start is None)
    if start is not None:
        network.load_state_dict(start.state_dict())
    elif config.init:
        initialize(network, Path(config.init), config.network)
    network = network.to(device).to(memory_format=torch.channels_last).train()
    weights = class_weights(training.sources, classes, training.shares).to(device)
    schedules = _schedules(network, config)
    for step in range(config.steps):
        images, maps = _batch(training, step)
        logits = network(images.to(device).contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(logits, maps.to(device), weight=weights, ignore_index=IGNORE_INDEX, reduction="sum")
        labelled = (maps != IGNORE_INDEX).sum().clamp(min=1)
        network.zero_grad()
        (loss / labelled).backward()
        for schedule in schedules:
            schedule.optimizer.step()
            schedule.step()
        task.advance(1)
    return network.eval().requires_grad_(False)


@dataclass(frozen=True)
class Trainer:
    """Trains, or takes from `folder` what was trained before (any process may write there at any time)."""

    folder: Path
    device: torch.device

    def has(self, training: Training, classes: int) -> bool:
        """Whether this network lies in the cache."""
        return self.path(training, classes).is_file()

    def ahead(self, trainings: Iterable[Training], classes: int) -> int:
        """Steps left to train until the cache holds the networks of all these."""
        steps = {
            path: one.config.steps
            for training in trainings
            if not self.has(training, classes)
            for one in training.chain()
            if not (path := self.path(one, classes)).is_file()
        }
        return sum(steps.values())

    def get(self, training: Training, classes: int, bar: Task) -> nn.Module:
        """The network that `train` gives for these arguments; `bar` moves on with each step that must be trained."""
        path, config = self.path(training, classes), training.config
        network = self._load(path, classes, config)
        if network is None:
            start = self.get(training.after, classes, bar) if training.after else None
            network = train(training, classes, self.device, bar, start)
            self.folder.mkdir(parents=True, exist_ok=True)
            clean_leftovers(self.folder)
            about = describe(config.network, training.sources[0].space, classes, config.size)
            state = {k: v.cpu().contiguous() for k, v in network.state_dict().items()}
            write_bytes(path, to_bytes(state, about))
        return network

    def plan_path(self, trainings: Sequence[Training], classes: int, minutes: float) -> Path:
        """The file with the number of steps that was decided for these trainings and minutes."""
        keys = "".join(training.key(classes) for training in trainings)
        return self.folder / f"{hashlib.sha256(keys.encode()).hexdigest()[:32]}-{minutes:g}min.json"

    def _load(self, path: Path, classes: int, config: SegmenterConfig) -> nn.Module | None:
        """None where there is no such file, or one that cannot be read (then it is trained anew)."""
        if not path.is_file():
            return None
        network = build(config.network, classes)
        try:
            network.load_state_dict(load_file(path))
        except (OSError, SafetensorError, RuntimeError):
            return None
        return network.to(self.device).to(memory_format=torch.channels_last).eval().requires_grad_(False)

    def path(self, training: Training, classes: int) -> Path:
        """Where this network lies, or will."""
        return self.folder / f"{training.key(classes)}.safetensors"


def content_key(training: Training, classes: int) -> str:
    """A name for what a trained file depends on: pixels and labels of all frames, their order, the settings, and of the
    classes those ids that are no indices and what becomes of left and right in a mirror."""
    config, space = training.config, training.sources[0].space
    settings = asdict(config) | {"init": file_hash(Path(config.init)) if config.init else None}
    how: list[Any] = [RECIPE, classes, settings]
    if _tuned(config):
        how.append(TUNING)
    if has_sides(space):
        how.append(["sides", other_sides(space).tolist(), bool(one_sided(space))])
    if (ids := space.ids[:classes]) != tuple(range(classes)):
        how.append(["ids", ids])
    if training.shares or training.after:
        how += [training.shares, training.after and training.after.key(classes)]
    digest = hashlib.sha256(json.dumps(how).encode())
    for source in training.sources:
        digest.update(source.images.tobytes())
        digest.update(source.maps.tobytes())
    return digest.hexdigest()[:32]


@torch.inference_mode()
def predict(network: nn.Module, images: np.ndarray, device: torch.device) -> np.ndarray:
    """Index maps uint8 [N, H, W] of images uint8 [N, H, W, 3]."""
    out = np.empty(images.shape[:3], np.uint8)
    for start in range(0, len(images), PREDICT_BATCH):
        part = slice(start, start + PREDICT_BATCH)
        batch = to_float(images[part]).to(device).contiguous(memory_format=torch.channels_last)
        out[part] = network(batch).argmax(1).to(torch.uint8).cpu().numpy()
    return out


def default_steps(classes: int) -> int:
    """How many steps to train for: many small classes are learnt later than few large ones."""
    return max(LEAST, EACH * classes)


def class_weights(sources: Sequence[LabelledFrames], classes: int, shares: Sequence[float] | None = None) -> Tensor:
    """float [classes]: inverse root of each class's share of the pixels that training sees, averaging to 1 over them.

    shares: of the `sources`; None: equal ones. Classes without a pixel weigh 0; none weighs more than `RARE`.
    """
    share = np.zeros(classes)
    for source, part in zip(sources, shares or [1 / len(sources)] * len(sources), strict=True):
        counts = np.bincount(source.maps.ravel(), minlength=256)[:classes]
        share += part * counts / max(1, counts.sum())
    root = np.sqrt(share)
    with np.errstate(divide="ignore"):
        weights = np.where(share > 0, 1 / (root * max(root.sum(), 1e-12)), 0.0)
    return torch.from_numpy(np.minimum(weights, RARE)).float()


def _tuned(config: SegmenterConfig) -> bool:
    """Whether a part of the network begins with published weights, which large steps would undo."""
    return config.network == efficientnet.NAME or (config.init is not None and config.network != UNET)


def _schedules(network: nn.Module, config: SegmenterConfig) -> list[torch.optim.lr_scheduler.OneCycleLR]:
    """Learning rates with their optimizers: Muon for convolutions that mix channels, AdamW for the last and others, and
    AdamW at `TUNING` for what begins with published weights."""
    part = pretrained_part(network) if _tuned(config) else None
    tuned = [] if part is None else list(part.parameters())
    known = {id(w) for w in tuned}
    inner = [w for w in network.parameters() if w.ndim == 4 and w.shape[1] > 1][:-1]
    inner = [w for w in inner if id(w) not in known]
    chosen: list[tuple[torch.optim.Optimizer, float]] = [
        (Muon(inner, config.lr, weight_decay=0.1), config.lr),
        (torch.optim.AdamW(rest(network, [*inner, *tuned]), config.adam_lr, weight_decay=1e-3), config.adam_lr),
    ]
    if tuned:
        chosen.append((torch.optim.AdamW(tuned, TUNING, weight_decay=1e-3), TUNING))
    return [
        torch.optim.lr_scheduler.OneCycleLR(
            optimizer, rate, total_steps=config.steps + 1, pct_start=0.1, cycle_momentum=False
        )
        for optimizer, rate in chosen
    ]


def _batch(training: Training, step: int) -> tuple[Tensor, Tensor]:
    """Images float [B, 3, H, W] in 0..1 and maps int64 [B, H, W] of one step, a function of (seed, step) alone."""
    sources, config = training.sources, training.config
    rng = np.random.default_rng([config.seed, 1, step])
    chosen = [
        _numbers(len(source), first, last, [config.seed, i])
        for i, (source, (first, last)) in enumerate(zip(sources, _parts(training, step), strict=True))
    ]
    images = np.concatenate([source.images[i] for source, i in zip(sources, chosen, strict=True)])
    maps = np.concatenate([source.maps[i] for source, i in zip(sources, chosen, strict=True)])
    return _augment(to_float(images), torch.from_numpy(maps), rng, sources[0].space)


def _parts(training: Training, step: int) -> list[tuple[int, int]]:
    """How many frames of each source were shown before this step, and how many will have been after it."""
    batch = training.config.batch
    if training.shares is None:
        equal = [len(part) for part in np.array_split(np.arange(batch), len(training.sources))]
        return [(step * n, (step + 1) * n) for n in equal]
    ends = np.cumsum(training.shares)
    ends[-1] = 1.0
    before, after = (np.diff(np.floor(batch * at * ends + 1e-9).astype(int), prepend=0) for at in (step, step + 1))
    return list(zip(before.tolist(), np.maximum(before, after).tolist(), strict=True))


def _numbers(frames: int, first: int, last: int, seed: list[int]) -> np.ndarray:
    """The frames that come `first` to before `last`: every frame once an epoch, in an order that differs from epoch to
    epoch; int [last - first]."""
    positions = np.arange(first, last)
    orders = {e: np.random.default_rng([*seed, 2, e]).permutation(frames) for e in np.unique(positions // frames)}
    return np.array([orders[p // frames][p % frames] for p in positions], int)


def _augment(images: Tensor, maps: Tensor, rng: np.random.Generator, space: LabelSpace) -> tuple[Tensor, Tensor]:
    """One affine view of each frame, the same for image and map, and another light. Mirrored ones get the classes of
    the other side; none is mirrored where that has no class."""
    n, _, height, width = images.shape
    mirror = np.where((rng.random(n) < 0.5) & (not one_sided(space)), -1.0, 1.0)
    zoom = 1 + ZOOM * rng.uniform(-1, 1, n)
    angle = TURN * rng.uniform(-1, 1, n)
    shift = SHIFT * rng.uniform(-1, 1, (n, 2))
    aspect = width / height
    cos, sin = np.cos(angle) * zoom, np.sin(angle) * zoom
    rows = [[mirror * cos, -sin / aspect, shift[:, 0]], [mirror * sin * aspect, cos, shift[:, 1]]]
    theta = torch.from_numpy(np.array(rows).transpose(2, 0, 1)).float()
    grid = F.affine_grid(theta, [n, 3, height, width], align_corners=False)
    # Beyond the frame its mirror image goes on, in image and map alike.
    moved = F.grid_sample(maps.float()[:, None], grid, "nearest", "reflection", align_corners=False)[:, 0]
    if has_sides(space):
        moved[mirror < 0] = torch.from_numpy(other_sides(space).astype(np.float32))[moved[mirror < 0].long()]
    images = F.grid_sample(images, grid, "bilinear", "reflection", align_corners=False)
    contrast, offset, gain = (
        torch.from_numpy(span * rng.uniform(-1, 1, (n, channels, 1, 1))).float()
        for span, channels in ((LIGHT, 1), (LIGHT / 2, 1), (LIGHT / 2, 3))
    )
    images = ((images - 0.5) * (1 + contrast) + 0.5 + offset) * (1 + gain)
    return images.clamp(0, 1), moved.long()


def to_float(images: np.ndarray) -> Tensor:
    """uint8 [N, H, W, 3] to float [N, 3, H, W] in 0..1, as the networks take them."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
