"""The semantic diffusion model: noise is added in known amounts, the network learns to take it away.

One step stands in `training/step.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from surgaug.training.config import TrainConfig
from surgaug.training.distributed import World
from surgaug.training.frames import Frames
from surgaug.training.step import Trained, apply, gradient, lr_factor, make_batch
from surgaug.training.validation import Validation

# What `synthesize` does unless told otherwise, by preset: as published, or as measured (docs/method.md).
SAMPLING = {"sampler": "dpmpp", "steps": 20, "guidance": 1.0}
PUBLISHED_SAMPLING = {"sampler": "ddim", "steps": 40, "guidance": 1.0}
RECIPES: dict[str, dict[str, Any]] = {
    "tiny": {"steps": 20_000},
    "small": {"size": (128, 128), "steps": 100_000, "lr": 6e-4, "batch": 16},
    "base": {"size": (256, 448), "steps": 300_000, "lr": 1e-4, "batch": 16},
    # Published: DDPM training with T = 2000 and SR3's linear schedule, eps.
    "thesis": {
        "size": (256, 448),
        "steps": 500_000,
        "lr": 1e-4,
        "batch": 16,
        "prediction": "eps",
        "min_snr_gamma": None,
        "schedule": {"kind": "linear", "timesteps": 2000},
        "drop_map": 0.0,
        "drop_class": 0.0,
        "balance": 0.0,
    },
}


class Method:
    """See `training.methods`."""

    paired = True

    def __init__(
        self,
        config: TrainConfig,
        net: nn.Module,
        num_classes: int,
        device: torch.device,
        dtype: torch.dtype | None,
        world: World,
    ):
        self.config, self.net, self.num_classes, self.device, self.dtype = config, net, num_classes, device, dtype
        self.optimizer = torch.optim.AdamW(
            net.parameters(), config.lr, betas=(0.9, 0.99), weight_decay=config.weight_decay, fused=device.type != "mps"
        )
        self.scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
        self.parts = {"net": net, "optimizer": self.optimizer, "scaler": self.scaler}
        self.sampling = {
            "schedule": config.schedule.to_dict(),
            "prediction": config.prediction,
            "defaults": PUBLISHED_SAMPLING if config.preset == "thesis" else SAMPLING,
        }
        self.model: nn.Module = Trained(net)
        if world.size > 1:
            ids = [device.index] if device.type == "cuda" else None
            self.model = DistributedDataParallel(self.model, device_ids=ids)

    def set_rate(self, step: int, progress: float) -> float:
        lr = self.config.lr * lr_factor(step, progress, self.config.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        return lr

    def update(self, images: np.ndarray, index_maps: np.ndarray, step: int, part: slice) -> dict[str, float]:
        batch = make_batch(self.config, images, index_maps, self.num_classes, step, part, self.device)
        value = gradient(self.model, batch, self.config, self.scaler, self.dtype)
        return {"loss": value, "grad_norm": apply(self.net, self.optimizer, self.scaler, self.config.clip)}

    def validation(self, frames: Frames) -> Validation:
        config = self.config
        return Validation(frames, config.validate_frames, config.schedule, config.prediction, self.device, self.dtype)
