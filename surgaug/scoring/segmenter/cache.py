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

from surgaug.io.atomic import atomic_write, clean_leftovers
from surgaug.models.checkpoint import file_hash
from surgaug.runtime.feedback import Task
from surgaug.scoring.config import SegmenterConfig
from surgaug.scoring.segmenter.frames import LabelledFrames
from surgaug.scoring.segmenter.network import build
from surgaug.scoring.segmenter.training import train
from surgaug.scoring.segmenter.weights import describe

RECIPE = 2  # to be raised when training changes, so that no network of the old recipe is taken for one of the new


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
        return self.folder / f"{key(sources, classes, config)}-{minutes:g}min.json"

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
        return self.folder / f"{key(sources, classes, config)}.safetensors"


def key(sources: Sequence[LabelledFrames], classes: int, config: SegmenterConfig) -> str:
    """A name for what a training depends on: pixels and labels of all frames, their order, and the settings."""
    settings = asdict(config) | {"init": file_hash(Path(config.init)) if config.init else None}
    digest = hashlib.sha256(json.dumps([RECIPE, classes, settings]).encode())
    for source in sources:
        digest.update(source.images.tobytes())
        digest.update(source.maps.tobytes())
    return digest.hexdigest()[:32]
