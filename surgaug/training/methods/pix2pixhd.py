"""pix2pixHD (Wang 2018): three discriminators, least squares, feature matching, coarse before fine.

Section 3.2 and appendix A: least-squares losses and feature matching, weighted by 10, summed over discriminators at
three scales, and the perceptual loss, by 10, where its weights are at hand; Adam with rate 0.0002 and momentum 0.5,
0.999; batches of 1. The coarse generator is trained alone first, on images of half the size; then both are, together.
The paper trains each for a length of its own, at its own rate; here they share the run, half and half (`coarse`), and
its rate. The generator has no average of its weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from surgaug.models.gan import half, pad_to
from surgaug.training.adversarial import JITTER, least_squares
from surgaug.training.multiscale import GeneratorBatch, MultiScale, MultiScaleAdversary


@dataclass(frozen=True)
class Adversary(MultiScaleAdversary):
    """See `MultiScaleAdversary`. `coarse`: share of the training in which the coarse generator is alone."""

    scales: int = 3
    spectral: bool = False
    rate: float = 1.0
    betas: tuple[float, float] = (0.5, 0.999)
    coarse: float = 0.5


RECIPES: dict[str, dict[str, Any]] = {
    "tiny": {"steps": 60_000, "batch": 4, "adversary": Adversary(channels=24)},
    "small": {"size": (128, 128), "steps": 200_000, "batch": 4, "adversary": Adversary(channels=32)},
    "base": {"size": (256, 448), "steps": 400_000, "batch": 1, "adversary": Adversary()},
}
RECIPES = {name: {"lr": 2e-4, "ema_power": None, "zoom": JITTER, **recipe} for name, recipe in RECIPES.items()}


class Method(MultiScale):
    """See `training.methods`."""

    def set_rate(self, step: int, progress: float) -> float:
        """The rate; and the fine generator joins when its time has come."""
        self.net.grown.fill_(progress >= self.config.adversary.coarse)
        return super().set_rate(step, progress)

    def generated(self, index_map: Tensor, real: Tensor) -> GeneratorBatch:
        """The images; while the coarse generator is alone, its own, with all at half the size."""
        if self.net.grown:
            return super().generated(index_map, real)
        multiple = self.net.config.multiple
        labels = half(self.one_hot(pad_to(index_map, multiple, 2 * multiple)))
        real = half(real)
        height, width = real.shape[-2:]
        fake = self.net.coarse(labels)[:, :, :height, :width].float()
        return GeneratorBatch(labels[:, :, :height, :width], real, fake)

    def generator_loss(self, answer: Tensor) -> Tensor:
        """Least squares (section 3.2)."""
        return least_squares(answer, True)

    def discriminator_loss(self, answer: Tensor, real: bool) -> Tensor:
        """Least squares (section 3.2)."""
        return least_squares(answer, real)

    def over_scales(self, values: list[Tensor]) -> Tensor:
        """Their sum (equation 5)."""
        return torch.stack(values).sum()
