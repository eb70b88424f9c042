"""pix2pix (Isola 2017): a conditional GAN with L1.

Section 3.3: one step of the discriminator, whose loss is halved, then one of the generator, which minimises
-log D(x, G(x, z)) and 100 times L1; Adam with rate 0.0002 and momentum 0.5, 0.999; batches of 1 to 10. The
discriminator sees patches of 70x70 pixels and the map beside the image (section 3.2.2). The generator has no average
of its weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from surgaug.models.gan import PatchDiscriminator
from surgaug.training.adversarial import JITTER, Adversarial, cross_entropy, frozen
from surgaug.training.frames import FrameBatch


@dataclass(frozen=True)
class Adversary:
    """Discriminator of `channels` and `layers`; weight of L1; Adam's `betas`."""

    channels: int = 64
    layers: int = 4
    l1: float = 100.0
    betas: tuple[float, float] = (0.5, 0.999)


RECIPES: dict[str, dict[str, Any]] = {
    "tiny": {"steps": 60_000, "batch": 4, "adversary": Adversary(channels=32)},
    "small": {"size": (128, 128), "steps": 200_000, "batch": 4, "adversary": Adversary(channels=48)},
    "base": {"size": (256, 448), "steps": 400_000, "batch": 1, "adversary": Adversary()},
}
RECIPES = {name: {"lr": 2e-4, "ema_power": None, "zoom": JITTER, **recipe} for name, recipe in RECIPES.items()}


class Method(Adversarial):
    """See `training.methods`."""

    def __init__(self, *args: Any):
        super().__init__(*args)
        settings = self.config.adversary
        discriminator = PatchDiscriminator(self.num_classes + 3, settings.channels, settings.layers)
        self.generator = self.add("net", self.net, 1.0, settings.betas)
        self.discriminator = self.add("discriminator", discriminator.to(self.device), 1.0, settings.betas)

    def update(self, frames: FrameBatch, step: int, part: slice) -> dict[str, Tensor]:
        """One step of the discriminator, then one of the generator; see `training.methods`."""
        real, index_map = self.to_device(frames)
        maps, discriminator = self.one_hot(index_map), self.discriminator.net

        with self.autocast():
            fake = self.generate(index_map)
            answer_real = discriminator(torch.cat([maps, real], dim=1))[-1]
            answer_fake = discriminator(torch.cat([maps, fake.detach()], dim=1))[-1]
        discriminator_loss = 0.5 * (cross_entropy(answer_real, True) + cross_entropy(answer_fake, False))
        self.discriminator.step(discriminator_loss, self.scaler)

        with frozen(discriminator):
            with self.autocast():
                answer = discriminator(torch.cat([maps, fake], dim=1))[-1]
            loss = cross_entropy(answer, True) + self.config.adversary.l1 * F.l1_loss(fake, real)
            norm = self.generator.step(loss, self.scaler)
        return {"loss": loss.detach(), "discriminator_loss": discriminator_loss.detach(), "grad_norm": norm}
