"""SPADE (Park 2019): hinge loss, feature matching, and the perceptual loss where its weights are at hand.

Section 3 and appendix A: the losses of pix2pixHD with the hinge loss in place of least squares, feature matching and
perceptual loss weighted by 10; a discriminator at two scales with spectral normalisation; Adam with momentum 0, 0.999;
rates 0.0001 for the generator and 0.0004 for the discriminator, one step each. The perceptual loss compares features of
a VGG-19 that was trained on ImageNet: `adversary.vgg` names a file with torchvision's weights; without one it is left
out. The generator has no average of its weights. The image encoder (section 3, for a style by example) is not built: z
is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from surgaug.models.gan import MultiScaleDiscriminator
from surgaug.models.vgg import PerceptualLoss
from surgaug.training.adversarial import JITTER, Adversarial, feature_matching, frozen, hinge
from surgaug.training.frames import FrameBatch


@dataclass(frozen=True)
class Adversary:
    """Discriminators of `channels` and `layers` at `scales`; weights of feature matching and perceptual loss; `vgg`: a
    file of VGG-19's weights; `rate`: of the discriminator over that of the generator; Adam's `betas`.
    """

    channels: int = 64
    layers: int = 4
    scales: int = 2
    feature_matching: float = 10.0
    perceptual: float = 10.0
    vgg: str | None = None
    rate: float = 4.0
    betas: tuple[float, float] = (0.0, 0.999)


RECIPES: dict[str, dict[str, Any]] = {
    "tiny": {"steps": 30_000, "batch": 8, "adversary": Adversary(channels=16)},
    "small": {"size": (128, 128), "steps": 100_000, "batch": 16, "adversary": Adversary(channels=32)},
    "base": {"size": (256, 448), "steps": 200_000, "batch": 16, "adversary": Adversary()},
}
RECIPES = {name: {"lr": 1e-4, "ema_power": None, "zoom": JITTER, **recipe} for name, recipe in RECIPES.items()}


class Method(Adversarial):
    """See `training.methods`."""

    def __init__(self, *args: Any):
        super().__init__(*args)
        settings = self.config.adversary
        self.perceptual = PerceptualLoss(Path(settings.vgg)).to(self.device) if settings.vgg else None
        scales = MultiScaleDiscriminator(self.num_classes + 3, settings.channels, settings.layers, settings.scales)
        self.generator = self.add("net", self.net, 1.0, settings.betas)
        self.discriminator = self.add("discriminator", scales.to(self.device), settings.rate, settings.betas)

    def update(self, frames: FrameBatch, step: int, part: slice) -> dict[str, float]:
        """One step of the generator, then one of the discriminator; see `training.methods`."""
        real, index_map = self.to_device(frames)
        maps, settings = self.one_hot(index_map), self.config.adversary

        with self.autocast():
            fake = self.generate(index_map)
        with frozen(self.discriminator.net):
            with self.autocast():
                of_real, of_fake = self._features(maps, real), self._features(maps, fake)
            loss = _mean([-scale[-1].float().mean() for scale in of_fake])
            matched = _mean([feature_matching(a[:-1], b[:-1]) for a, b in zip(of_real, of_fake, strict=True)])
            loss = loss + settings.feature_matching * matched
            if self.perceptual is not None:
                loss = loss + settings.perceptual * self.perceptual(fake, real)
            norm = self.generator.step(loss, self.scaler)

        with self.autocast():
            of_real, of_fake = self._features(maps, real), self._features(maps, fake.detach())
        losses = [hinge(a[-1], True) + hinge(b[-1], False) for a, b in zip(of_real, of_fake, strict=True)]
        discriminator_loss = _mean(losses)
        self.discriminator.step(discriminator_loss, self.scaler)
        return {"loss": loss.item(), "discriminator_loss": discriminator_loss.item(), "grad_norm": norm}

    def _features(self, maps: torch.Tensor, images: torch.Tensor) -> list[list[torch.Tensor]]:
        return self.discriminator.net(torch.cat([maps, images], dim=1))


def _mean(values: list[torch.Tensor]) -> torch.Tensor:
    return torch.stack(values).mean()
