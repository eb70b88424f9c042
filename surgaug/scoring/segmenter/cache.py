"""Trained segmenters kept by content: the same frames, settings and seed are trained once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from surgaug.data.atomic import atomic_write, clean_leftovers
from surgaug.feedback import Task
from surgaug.scoring.segmenter.frames import LabelledFrames
from surgaug.scoring.segmenter.network import build
from surgaug.scoring.segmenter.train import SegmenterConfig, train

RECIPE = 1  # to be raised when training changes, so that no network of the old recipe is taken for one of the new


@dataclass(frozen=True)
class Trainer:
    """Trains, or takes from `folder` what was trained before (any process may write there at any time)."""

    folder: Path
    device: torch.device

    def has(self, sources: Sequence[LabelledFrames], classes: int, config: SegmenterConfig) -> bool:
        """Whether this network lies in the cache."""
        return self._path(sources, classes, config).is_file()

    def get(
        self,
        sources: Sequence[LabelledFrames],
        classes: int,
        config: SegmenterConfig,
        bar: Task,
    ) -> nn.Module:
        """The network that `train` gives for these arguments; `bar` moves on with each step that must be trained."""
        path = self._path(sources, classes, config)
        network = self._load(path, classes, config)
        if network is None:
            network = train(sources, classes, config, self.device, bar)
            self.folder.mkdir(parents=True, exist_ok=True)
            clean_leftovers(self.folder)
            with atomic_write(path) as temporary:
                save_file({k: v.cpu().contiguous() for k, v in network.state_dict().items()}, temporary)
        return network

    def plan_path(
        self, sources: Sequence[LabelledFrames], classes: int, config: SegmenterConfig, minutes: float
    ) -> Path:
        """Where the number of steps lies that was decided for these frames and minutes."""
        return self.folder / f"{key(sources, classes, config)}-{minutes:g}min.json"

    def _load(self, path: Path, classes: int, config: SegmenterConfig) -> nn.Module | None:
        """None where there is no such file, or one that cannot be read (then it is trained anew)."""
        network = build(config.network, classes)
        try:
            network.load_state_dict(load_file(path))
        except (OSError, SafetensorError, RuntimeError):
            return None
        return network.to(self.device, memory_format=torch.channels_last).eval().requires_grad_(False)

    def _path(self, sources: Sequence[LabelledFrames], classes: int, config: SegmenterConfig) -> Path:
        return self.folder / f"{key(sources, classes, config)}.safetensors"


def key(sources: Sequence[LabelledFrames], classes: int, config: SegmenterConfig) -> str:
    """A name for what a training depends on: pixels and labels of all frames, their order, and the settings."""
    digest = hashlib.sha256(json.dumps([RECIPE, classes, asdict(config)]).encode())
    for source in sources:
        digest.update(source.images.tobytes())
        digest.update(source.maps.tobytes())
    return digest.hexdigest()[:32]
