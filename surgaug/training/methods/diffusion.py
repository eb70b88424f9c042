"""How the semantic diffusion model is trained: noise is added in known amounts, the network learns to remove it.

One step stands in `training/diffusion_step.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from surgaug.diffusion import distillation
from surgaug.models.muon import Muon, rest
from surgaug.models.unet import SemanticUNet
from surgaug.runtime.distributed import ProcessGroup
from surgaug.training.config import TrainConfig
from surgaug.training.diffusion_step import NetWithLabels, apply, draw, gradient, lr_factor, make_batch
from surgaug.training.distillation import StudentValidation, Teacher
from surgaug.training.frames import Frames
from surgaug.training.validation import Validation

# How `synthesize` samples by default, by preset: as published, or as measured (docs/method.md).
SAMPLING = {"sampler": "dpmpp", "steps": 20, "guidance": 2.0, "guidance_below": 5.0}
PUBLISHED_SAMPLING = {"sampler": "ddim", "steps": 40, "guidance": 1.0}
RECIPES: dict[str, dict[str, Any]] = {
    # It has the shape of the model that ships, and starts where that one stopped.
    "tiny": {"steps": 20_000, "init": "phantom", "muon_lr": 0.02},
    "small": {"size": (128, 128), "steps": 100_000, "lr": 6e-4, "muon_lr": 0.02, "batch": 16},
    "base": {"size": (256, 448), "steps": 300_000, "lr": 1e-4, "muon_lr": 0.02, "batch": 16},
    # Published: DDPM training with T = 2000 and SR3's linear schedule, eps.
    "thesis": {
        "size": (256, 448),
        "steps": 500_000,
        "lr": 1e-4,
        "batch": 16,
        "prediction": "eps",
        "min_snr_gamma": None,
        "min_snr_floor": 0.0,
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
        net: SemanticUNet,
        num_classes: int,
        device: torch.device,
        dtype: torch.dtype | None,
        group: ProcessGroup,
    ):
        self.config, self.net, self.num_classes, self.device, self.dtype = config, net, num_classes, device, dtype
        self.optimizers = _optimizers(config, net, device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
        self.parts = {"net": net, **self.optimizers, "scaler": self.scaler}
        defaults: dict[str, Any] = dict(PUBLISHED_SAMPLING if config.preset == "thesis" else SAMPLING)
        if not config.drop_map:  # guidance needs a network that was trained without label maps, too
            defaults["guidance"] = 1.0
            defaults.pop("guidance_below", None)
        self.sampling = {
            "schedule": config.schedule.to_dict(),
            "prediction": config.prediction,
            "defaults": defaults,
        }
        self.teacher = None
        if config.distill:
            self.teacher = Teacher(config, device, dtype)
            self.sampling["defaults"] = {
                "sampler": distillation.SAMPLER,
                "steps": config.student_steps,
                "guidance": 1.0,
                "options": {"spacing": distillation.SPACING},
                "student": True,
            }
        self.compiled_module = NetWithLabels(net)
        self.model: nn.Module = self.compiled_module
        if group.size > 1:
            ids = [device.index] if device.type == "cuda" else None
            self.model = DistributedDataParallel(self.compiled_module, device_ids=ids)
        self.pieces = config.accumulate

    def set_rate(self, step: int, progress: float) -> float:
        """Warm-up, then a cosine; see `diffusion_step.lr_factor`."""
        factor = lr_factor(step, progress, self.config.warmup)
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = optimizer.defaults["lr"] * factor
        return self.config.lr * factor

    def update(self, images: np.ndarray, index_maps: np.ndarray, step: int, part: slice) -> dict[str, float]:
        """One optimizer step on noised frames; see `training.methods`."""
        drawn = draw(self.config, images, index_maps, self.num_classes, step, part, self.device)
        batch = self.teacher.batch(drawn, step, part) if self.teacher else make_batch(self.config, drawn, self.device)
        value = gradient(self.model, batch, self.config, self.pieces, self.scaler, self.dtype)
        norm = apply(self.net, list(self.optimizers.values()), self.scaler, self.config.clip)
        return {"loss": value, "grad_norm": norm}

    def halve(self) -> bool:
        """Compute each batch in twice as many pieces from now on; False where that is not possible.

        It is not with single frames already, nor under torchrun, where the other processes would wait.
        """
        self.net.zero_grad(set_to_none=True)
        if isinstance(self.model, DistributedDataParallel) or self.pieces >= self.config.batch:
            return False
        self.pieces = min(2 * self.pieces, self.config.batch)
        return True

    def validation(self, frames: Frames) -> Validation:
        """By noise level; of a student, against its teacher."""
        config = self.config
        if self.teacher:
            return StudentValidation(frames, self.teacher)
        return Validation(frames, config.validate_frames, config.schedule, config.prediction, self.device, self.dtype)


def _optimizers(config: TrainConfig, net: SemanticUNet, device: torch.device) -> dict[str, torch.optim.Optimizer]:
    """By their names in a run's state: Muon for the convolutions between the net's ends, AdamW for all else."""
    ends = [w for end in (net.label_embedding, net.label_entry, net.image_entry, net.out) for w in end.parameters()]
    inner = [w for w in rest(net, ends) if w.ndim == 4] if config.muon_lr else []
    decay, fused = config.weight_decay, device.type != "mps"
    found: dict[str, torch.optim.Optimizer] = {
        "optimizer": torch.optim.AdamW(rest(net, inner), config.lr, betas=(0.9, 0.99), weight_decay=decay, fused=fused)
    }
    if config.muon_lr:
        found["muon"] = Muon(inner, config.muon_lr, decay)
    return found
