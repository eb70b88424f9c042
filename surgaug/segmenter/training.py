"""Training a segmenter: a fixed number of steps, the same network for the same frames and the same seed.

Trained ones are kept by content: the same frames, settings and seed are trained once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from surgaug.io.atomic import atomic_write, clean_leftovers
from surgaug.labels.label_space import IGNORE_INDEX
from surgaug.models.checkpoint import file_hash
from surgaug.models.muon import Muon, rest
from surgaug.runtime.feedback import Task
from surgaug.segmenter.config import SegmenterConfig
from surgaug.segmenter.frames import LabelledFrames
from surgaug.segmenter.network import build
from surgaug.segmenter.weights import describe, initialize

RECIPE = 2  # to be raised when training changes, so that no network of the old recipe is taken for one of the new
PREDICT_BATCH = 32
LEAST, EACH = 800, 100  # steps: of any training, and for each class (see `default_steps`)
RARE = 10.0  # a class weighs at most as much more than the average pixel
ZOOM, TURN, SHIFT, LIGHT = 0.25, 0.26, 0.15, 0.2  # scale, radians, half edges, contrast and brightness


def train(
    sources: Sequence[LabelledFrames], classes: int, config: SegmenterConfig, device: torch.device, task: Task
) -> nn.Module:
    """A network of `classes` classes trained on `sources`, each giving an equal part of every batch.

    Frames are mirrored, turned, zoomed, shifted and varied in brightness; the loss is cross-entropy, weighted by the
    inverse root of a class's share of pixels. On a CPU the result depends on the arguments and the number of threads
    alone; on a GPU the last digits may differ from run to run.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = build(config.network, classes)
    if config.init:
        initialize(network, Path(config.init), config.network)
    network = network.to(device).to(memory_format=torch.channels_last).train()
    weights = class_weights(sources, classes).to(device)
    schedules = _schedules(network, config)
    for step in range(config.steps):
        images, maps = _batch(sources, config, step)
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

    def has(self, sources: Sequence[LabelledFrames], classes: int, config: SegmenterConfig) -> bool:
        """Whether this network lies in the cache."""
        return self.path(sources, classes, config).is_file()

    def get(
        self,
        sources: Sequence[LabelledFrames],
        classes: int,
        config: SegmenterConfig,
        bar: Task,
    ) -> nn.Module:
        """The network that `train` gives for these arguments; `bar` moves on with each step that must be trained."""
        path = self.path(sources, classes, config)
        network = self._load(path, classes, config)
        if network is None:
            network = train(sources, classes, config, self.device, bar)
            self.folder.mkdir(parents=True, exist_ok=True)
            clean_leftovers(self.folder)
            with atomic_write(path) as temporary:
                about = describe(config.network, sources[0].space, classes, config.size)
                save_file({k: v.cpu().contiguous() for k, v in network.state_dict().items()}, temporary, about)
        return network

    def plan_path(
        self, sources: Sequence[LabelledFrames], classes: int, config: SegmenterConfig, minutes: float
    ) -> Path:
        """Where the number of steps lies that was decided for these frames and minutes."""
        return self.folder / f"{content_key(sources, classes, config)}-{minutes:g}min.json"

    def _load(self, path: Path, classes: int, config: SegmenterConfig) -> nn.Module | None:
        """None where there is no such file, or one that cannot be read (then it is trained anew)."""
        network = build(config.network, classes)
        try:
            network.load_state_dict(load_file(path))
        except (OSError, SafetensorError, RuntimeError):
            return None
        return network.to(self.device).to(memory_format=torch.channels_last).eval().requires_grad_(False)

    def path(self, sources: Sequence[LabelledFrames], classes: int, config: SegmenterConfig) -> Path:
        """Where this network lies, or will."""
        return self.folder / f"{content_key(sources, classes, config)}.safetensors"


def content_key(sources: Sequence[LabelledFrames], classes: int, config: SegmenterConfig) -> str:
    """A name for what a training depends on: pixels and labels of all frames, their order, and the settings."""
    settings = asdict(config) | {"init": file_hash(Path(config.init)) if config.init else None}
    digest = hashlib.sha256(json.dumps([RECIPE, classes, settings]).encode())
    for source in sources:
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


def class_weights(sources: Sequence[LabelledFrames], classes: int) -> Tensor:
    """float [classes]: inverse root of each class's share of the pixels that training sees, averaging to 1 over them.

    Classes without a pixel weigh 0; none weighs more than `RARE`.
    """
    share = np.zeros(classes)
    for source in sources:
        counts = np.bincount(source.maps.ravel(), minlength=256)[:classes]
        share += counts / max(1, counts.sum()) / len(sources)
    root = np.sqrt(share)
    with np.errstate(divide="ignore"):
        weights = np.where(share > 0, 1 / (root * max(root.sum(), 1e-12)), 0.0)
    return torch.from_numpy(np.minimum(weights, RARE)).float()


def _schedules(network: nn.Module, config: SegmenterConfig) -> list[torch.optim.lr_scheduler.OneCycleLR]:
    """Learning rates with their optimizers: Muon for convolutions that mix channels, AdamW for the last and others."""
    inner = [w for w in network.parameters() if w.ndim == 4 and w.shape[1] > 1][:-1]
    optimizers = (
        Muon(inner, config.lr, weight_decay=0.1),
        torch.optim.AdamW(rest(network, inner), config.adam_lr, weight_decay=1e-3),
    )
    return [
        torch.optim.lr_scheduler.OneCycleLR(
            optimizer, rate, total_steps=config.steps + 1, pct_start=0.1, cycle_momentum=False
        )
        for optimizer, rate in zip(optimizers, (config.lr, config.adam_lr), strict=True)
    ]


def _batch(sources: Sequence[LabelledFrames], config: SegmenterConfig, step: int) -> tuple[Tensor, Tensor]:
    """Images float [B, 3, H, W] in 0..1 and maps int64 [B, H, W] of one step, a function of (seed, step) alone."""
    rng = np.random.default_rng([config.seed, 1, step])
    parts = [len(part) for part in np.array_split(np.arange(config.batch), len(sources))]
    chosen = [_numbers(len(s), n, step, [config.seed, i]) for i, (s, n) in enumerate(zip(sources, parts, strict=True))]
    images = np.concatenate([source.images[i] for source, i in zip(sources, chosen, strict=True)])
    maps = np.concatenate([source.maps[i] for source, i in zip(sources, chosen, strict=True)])
    return _augment(to_float(images), torch.from_numpy(maps), rng)


def _numbers(frames: int, n: int, step: int, seed: list[int]) -> np.ndarray:
    """The `n` frames of a step: every frame once an epoch, in an order that differs from epoch to epoch."""
    positions = np.arange(step * n, (step + 1) * n)
    orders = {e: np.random.default_rng([*seed, 2, e]).permutation(frames) for e in np.unique(positions // frames)}
    return np.array([orders[p // frames][p % frames] for p in positions])


def _augment(images: Tensor, maps: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """One affine view of each frame, the same for image and map, and another light."""
    n, _, height, width = images.shape
    mirror = np.where(rng.random(n) < 0.5, -1.0, 1.0)
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
