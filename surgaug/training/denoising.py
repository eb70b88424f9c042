"""How a network is trained to remove noise that was added in known amounts: what both stages have in common.

One step stands in `training/diffusion_step.py`; what is each stage's own, in `methods/diffusion.py` and
`methods/upsampler.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from surgaug.diffusion.parameterisation import denoiser
from surgaug.models.muon import Muon, rest
from surgaug.models.unet import SemanticUNet
from surgaug.runtime.device import FUSED, autocast
from surgaug.runtime.distributed import ProcessGroup
from surgaug.runtime.feedback import Feedback
from surgaug.training.config import TrainConfig
from surgaug.training.diffusion_step import (
    Batch,
    Drawn,
    NetWithLabels,
    apply,
    draw,
    generator_of,
    gradient,
    lr_factor,
    make_batch,
)
from surgaug.training.distillation import StudentValidation, Teacher, teacher_of
from surgaug.training.frames import FrameBatch, Frames
from surgaug.training.validation import Validation, fixed_frames


class Denoising:
    """What the methods of diffusion models have in common; see `training.methods`."""

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
        self.sampling: dict[str, Any] = {
            "schedule": config.schedule.to_dict(),
            "prediction": config.prediction,
            "defaults": self.sampling_defaults(),
        }
        self.progress = 0.0
        self.teacher: Teacher | None = None
        if config.distill:
            self.teacher = teacher_of(config, device, dtype)
            self.sampling["defaults"] = {
                "sampler": self.teacher.sampler,
                "steps": config.student_steps,
                "guidance": 1.0,
                "options": {"spacing": self.teacher.spacing},
                "student": True,
            }
        self.compiled_module = NetWithLabels(net)
        self.model: nn.Module = self.compiled_module
        if group.size > 1:
            ids = [device.index] if device.type == "cuda" else None
            self.model = DistributedDataParallel(self.compiled_module, device_ids=ids)
        self.pieces = config.accumulate

    def set_rate(self, step: int, progress: float) -> float:
        """Warm-up, then as `lr_decay` says; see `diffusion_step.lr_factor`."""
        self.progress = progress
        factor = lr_factor(step, progress, self.config.warmup, self.config.lr_decay)
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = optimizer.defaults["lr"] * factor
        return self.config.lr * factor

    def sampling_defaults(self) -> dict[str, Any]:
        """How `synthesize` samples the model by default: for the model file."""
        raise NotImplementedError

    def draw(self, frames: FrameBatch, step: int, part: slice) -> Drawn:
        """What is drawn for a step."""
        generator = generator_of(self.config, step)
        return draw(self.config, frames, self.num_classes, part, self.device, generator)

    def batch(self, drawn: Drawn) -> Batch:
        """What the network is trained on."""
        return make_batch(self.config, drawn, self.device)

    def update(self, frames: FrameBatch, step: int, part: slice) -> dict[str, Tensor]:
        """One optimizer step on noised frames; see `training.methods`."""
        drawn = self.draw(frames, step, part)
        if self.teacher:
            batch = self.teacher.batch(drawn, step, part, self.progress, self.estimate)
        else:
            batch = self.batch(drawn)
        value = gradient(self.model, batch, self.config, self.pieces, self.scaler, self.dtype)
        norm = apply(self.net, list(self.optimizers.values()), self.scaler, self.config.clip)
        return {"loss": value, "grad_norm": norm}

    @torch.no_grad()
    def estimate(self, x_t: Tensor, alpha_bar: Tensor, condition: Sequence[Tensor]) -> Tensor:
        """The network's estimate of x_0 [b, 3, H, W] as it is now; alpha_bar: [b]. condition: as in `Batch`."""

        def network(x_t: Tensor, noise_level: Tensor) -> Tensor:
            with autocast(self.device, self.dtype):
                return self.compiled_module(x_t, noise_level, *condition)

        return denoiser(self.config.prediction, network)(x_t, alpha_bar)

    def prepare(self, frames: Frames, feedback: Feedback) -> None:
        """Nothing: the frames are all it needs."""

    def conclude(self, average: nn.Module, frames: Frames, held_out: Frames, seen: int, feedback: Feedback) -> None:
        """Nothing is left to be measured."""

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
        return Validation(
            *fixed_frames(frames, config.validate_frames), frames.paired.space.palette, config.schedule,
            config.prediction, self.device, self.dtype,
        )  # fmt: skip


def _optimizers(config: TrainConfig, net: SemanticUNet, device: torch.device) -> dict[str, torch.optim.Optimizer]:
    """The optimizers by their names in a run's state: Muon for the convolutions between the net's ends, AdamW for all
    else."""
    ends = [w for end in net.ends for w in end.parameters()]
    inner = [w for w in rest(net, ends) if w.ndim == 4] if config.muon_lr else []
    betas, decay, fused = config.betas, config.weight_decay, device.type in FUSED
    found: dict[str, torch.optim.Optimizer] = {
        "optimizer": torch.optim.AdamW(rest(net, inner), config.lr, betas=betas, weight_decay=decay, fused=fused)
    }
    if config.muon_lr:
        found["muon"] = Muon(inner, config.muon_lr, decay)
    return found
