"""How the semantic diffusion model is trained (`training/denoising.py`)."""

from __future__ import annotations

from typing import Any

from torch import nn

from surgaug.models.unet import SemanticUNet
from surgaug.runtime.feedback import Feedback
from surgaug.training import guidance_choice
from surgaug.training.denoising import Denoising
from surgaug.training.frames import Frames

# SR3 (section 4): Adam at a rate that stays after a warm-up of 10,000 steps, averaged weights that keep 0.9999 a step,
# equal weights of all levels. DDPM (appendix B): mirrored frames, gradients clipped at 1 (its program). No class is
# repeated or left out.
PUBLISHED: dict[str, Any] = {
    "lr": 1e-4,
    "lr_decay": "constant",
    "betas": (0.9, 0.999),
    "weight_decay": 0.0,
    "warmup": 10_000,
    "ema_decay": 0.9999,
    "prediction": "eps",
    "min_snr_gamma": None,
    "min_snr_floor": 0.0,
    "drop_map": 0.0,
    "drop_class": 0.0,
    "balance": 0.0,
    "batch": 16,
}
# The thesis: T = 2000, eps, and the cosine schedule, of which it says that it samples better than SR3's linear one.
# Batches are of what fits one GPU; SR3's are of 256.
THESIS: dict[str, Any] = {**PUBLISHED, "schedule": {"kind": "cosine", "timesteps": 2000}}
# SDM (section 4.1, and section 3.3 for guidance): T = 1000 and the linear schedule of ADM, AdamW; a fifth of the maps
# is left out, for guidance, from the start, where the paper trains without that first. ADM has no warm-up.
SDM: dict[str, Any] = {
    **PUBLISHED,
    "schedule": {"kind": "linear", "timesteps": 1000, "beta_start": 1e-4, "beta_end": 0.02},
    "warmup": 0,
    "drop_map": 0.2,
}
SHORT: dict[str, Any] = {"steps": 20_000, "batch": 8, "warmup": 200, "lr": 3e-4}
RECIPES: dict[str, dict[str, Any]] = {
    # It has the shape of the model that ships, and starts where that one stopped.
    "tiny": {"steps": 20_000, "init": "phantom", "muon_lr": 0.02},
    "small": {"size": (128, 128), "steps": 100_000, "lr": 6e-4, "muon_lr": 0.02, "batch": 16},
    "base": {"size": (256, 448), "steps": 300_000, "lr": 1e-4, "muon_lr": 0.02, "batch": 16},
    "thesis": {**THESIS, "size": (256, 448), "steps": 500_000},
    "thesis-tiny": {**THESIS, **SHORT},
    "sdm": {**SDM, "size": (256, 448), "steps": 500_000},
    "sdm-tiny": {**SDM, **SHORT},
}
# How `synthesize` samples by default: as measured (docs/method.md), or as published. SDM's scale s = 1.5 (section 3.3)
# counts what is added to the plain estimate.
SAMPLING: dict[str, Any] = {
    "sampler": "dpmpp",
    "steps": 9,
    "guidance": 2.0,
    "guidance_below": 5.0,
    "options": {"spacing": "leap"},
}
SAMPLING_OF_THESIS: dict[str, Any] = {"sampler": "ddim", "steps": 40, "guidance": 1.0}
SAMPLING_OF_SDM: dict[str, Any] = {"sampler": "ddpm", "steps": 1000, "guidance": 2.5}
PUBLISHED_SAMPLING = {
    "thesis": SAMPLING_OF_THESIS, "thesis-tiny": SAMPLING_OF_THESIS, "sdm": SAMPLING_OF_SDM, "sdm-tiny": SAMPLING_OF_SDM
}  # fmt: skip


class Method(Denoising):
    """See `training.methods`."""

    def sampling_defaults(self) -> dict[str, Any]:
        """As measured (docs/method.md), or as published."""
        defaults = dict(PUBLISHED_SAMPLING.get(self.config.preset, SAMPLING))
        if not self.config.drop_map:  # guidance needs a network that was trained without label maps, too
            defaults["guidance"] = 1.0
            defaults.pop("guidance_below", None)
        return defaults

    def conclude(self, average: nn.Module, frames: Frames, held_out: Frames, seen: int, feedback: Feedback) -> None:
        """Chooses the scale of guidance; what was published stays, and a student needs none."""
        config, defaults = self.config, self.sampling["defaults"]
        if config.preset in PUBLISHED_SAMPLING or self.teacher or not config.drop_map:
            return
        if held_out is frames:
            feedback.info(
                f"guidance {defaults['guidance']:g} is kept, no other is tried: no frames are held out (--val)"
            )
            return
        assert isinstance(average, SemanticUNet)
        defaults["guidance"] = guidance_choice.choose(
            average, held_out, seen, config.schedule, config.prediction, {**defaults, "guidance": SAMPLING["guidance"]},
            self.device, self.dtype, feedback,
        )  # fmt: skip
