"""What pix2pixHD, SPADE and CLADE share in training: discriminators at several scales that see map and image, feature
matching, and the perceptual loss where its weights are at hand.

pix2pixHD (Wang et al. 2018, section 3.2, equation 5) sums over the scales, with the least-squares loss; SPADE (Park et
al. 2019, section 3 and appendix A) takes the mean, with the hinge loss. The perceptual loss compares features of a
VGG-19 that was trained on ImageNet: `adversary.vgg` names a file with torchvision's weights; without one it is left
out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from surgaug.models.gan import MultiScaleDiscriminator
from surgaug.models.vgg import PerceptualLoss
from surgaug.training.adversarial import JITTER, Adversarial, feature_matching, frozen, hinge
from surgaug.training.frames import FrameBatch


@dataclass(frozen=True)
class MultiScaleAdversary:
    """Discriminators of `channels` and `layers` at `scales`, with spectral normalisation or without; weights of feature
    matching and perceptual loss; `vgg`: a file of VGG-19's weights; `rate`: of the discriminator over that of the
    generator; Adam's `betas`. The defaults are SPADE's.
    """

    channels: int = 64
    layers: int = 4
    scales: int = 2
    spectral: bool = True
    feature_matching: float = 10.0
    perceptual: float = 10.0
    vgg: str | None = None
    rate: float = 4.0
    betas: tuple[float, float] = (0.0, 0.999)


def spade_recipes(adversary: type[MultiScaleAdversary]) -> dict[str, dict[str, Any]]:
    """The settings that go with each preset of SPADE, and of CLADE, which is trained with the same (section 4)."""
    recipes: dict[str, dict[str, Any]] = {
        "tiny": {"steps": 30_000, "batch": 8, "adversary": adversary(channels=16)},
        "small": {"size": (128, 128), "steps": 100_000, "batch": 16, "adversary": adversary(channels=32)},
        "base": {"size": (256, 448), "steps": 200_000, "batch": 16, "adversary": adversary()},
    }
    return {name: {"lr": 1e-4, "ema_power": None, "zoom": JITTER, **recipe} for name, recipe in recipes.items()}


@dataclass(frozen=True)
class GeneratorBatch:
    """Synthetic images beside what they are compared with, [b, 3, h, w], and their maps [b, K, h, w]. penalty: what
    else the generator is to lower."""

    maps: Tensor
    real: Tensor
    fake: Tensor
    penalty: Tensor | float = 0.0


class MultiScale(Adversarial):
    """The common part of their methods; see `training.methods`. Losses and sums are SPADE's."""

    def __init__(self, *args: Any):
        super().__init__(*args)
        settings = self.config.adversary
        self.perceptual = PerceptualLoss(Path(settings.vgg)).to(self.device) if settings.vgg else None
        scales = MultiScaleDiscriminator(
            self.num_classes + 3, settings.channels, settings.layers, settings.scales, settings.spectral
        )
        self.generator = self.add("net", self.net, 1.0, settings.betas)
        self.discriminator = self.add("discriminator", scales.to(self.device), settings.rate, settings.betas)

    def generated(self, index_map: Tensor, real: Tensor) -> GeneratorBatch:
        """The generator's images of the maps."""
        return GeneratorBatch(self.one_hot(index_map), real, self.generate(index_map))

    def generator_loss(self, answer: Tensor) -> Tensor:
        """What the generator lowers of a discriminator's answer to its images."""
        return -answer.float().mean()

    def discriminator_loss(self, answer: Tensor, real: bool) -> Tensor:
        """What the discriminator lowers of its own answer."""
        return hinge(answer, real)

    def over_scales(self, values: list[Tensor]) -> Tensor:
        """Losses of the scales as one."""
        return torch.stack(values).mean()

    def update(self, frames: FrameBatch, step: int, part: slice) -> dict[str, Tensor]:
        """One step of the generator, then one of the discriminator; see `training.methods`."""
        image, index_map = self.to_device(frames)
        settings = self.config.adversary

        with self.autocast():
            batch = self.generated(index_map, image)
        maps, real, fake = batch.maps, batch.real, batch.fake
        with frozen(self.discriminator.net):
            with self.autocast():
                of_real, of_fake = self._features(maps, real), self._features(maps, fake)
            loss = self.over_scales([self.generator_loss(scale[-1]) for scale in of_fake])
            matched = [feature_matching(a[:-1], b[:-1]) for a, b in zip(of_real, of_fake, strict=True)]
            loss = loss + settings.feature_matching * self.over_scales(matched) + batch.penalty
            if self.perceptual is not None:
                loss = loss + settings.perceptual * self.perceptual(fake, real)
            norm = self.generator.step(loss, self.scaler)

        with self.autocast():
            of_real, of_fake = self._features(maps, real), self._features(maps, fake.detach())
        losses = [
            self.discriminator_loss(a[-1], True) + self.discriminator_loss(b[-1], False)
            for a, b in zip(of_real, of_fake, strict=True)
        ]
        discriminator_loss = self.over_scales(losses)
        self.discriminator.step(discriminator_loss, self.scaler)
        return {"loss": loss.detach(), "discriminator_loss": discriminator_loss.detach(), "grad_norm": norm}

    def _features(self, maps: Tensor, images: Tensor) -> list[list[Tensor]]:
        return self.discriminator.net(torch.cat([maps, images], dim=1))
