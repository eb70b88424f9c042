"""How the semantic diffusion model is trained (`training/denoising.py`)."""

from __future__ import annotations

from typing import Any

from surgaug.training.denoising import Denoising

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


class Method(Denoising):
    """See `training.methods`."""

    def sampling_defaults(self) -> dict[str, Any]:
        """As measured (docs/method.md), or as published."""
        defaults: dict[str, Any] = dict(PUBLISHED_SAMPLING if self.config.preset == "thesis" else SAMPLING)
        if not self.config.drop_map:  # guidance needs a network that was trained without label maps, too
            defaults["guidance"] = 1.0
            defaults.pop("guidance_below", None)
        return defaults
