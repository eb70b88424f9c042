"""CycleGAN (Zhu 2017): maps and images that belong to no pairs, held together by going there and back.

Section 3: least-squares adversarial losses in both directions, cycle consistency weighted by 10; section 5.2: identity
loss at half of that; section 4 and appendix 7.1: the discriminators, 70x70 patches, see one of the last 50 synthetic
images as often as the newest, and their loss is halved; Adam with rate 0.0002 and momentum 0.5, 0.999 (the authors'
program); batches of 1. Images and maps of a batch are drawn independently. No average of the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from surgaug.models.gan import HostBuffers, PatchDiscriminator, pad_to
from surgaug.training.adversarial import JITTER, Adversarial, frozen, least_squares
from surgaug.training.frames import FrameBatch


@dataclass(frozen=True)
class Adversary:
    """Discriminators of `channels` and `layers`; weights of the cycle and identity losses (the latter relative to the
    former); images in the `buffer`; Adam's `betas`.
    """

    channels: int = 64
    layers: int = 4
    cycle: float = 10.0
    identity: float = 0.5
    buffer: int = 50
    betas: tuple[float, float] = (0.5, 0.999)


RECIPES: dict[str, dict[str, Any]] = {
    "tiny": {"steps": 60_000, "batch": 1, "adversary": Adversary(channels=16)},
    "small": {"size": (128, 128), "steps": 200_000, "batch": 1, "adversary": Adversary(channels=32)},
    "base": {"size": (256, 448), "steps": 400_000, "batch": 1, "adversary": Adversary()},
}
RECIPES = {name: {"lr": 2e-4, "ema_power": None, "zoom": JITTER, **recipe} for name, recipe in RECIPES.items()}


class Buffer(HostBuffers):
    """The last synthetic images (Shrivastava 2017): half of the new ones are exchanged for old ones."""

    on_host = ("count",)
    kept: Tensor
    count: Tensor

    def __init__(self, size: int, shape: tuple[int, ...]):
        super().__init__()
        self.register_buffer("kept", torch.zeros(size, *shape))
        self.register_buffer("count", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def exchange(self, new: Tensor) -> Tensor:
        """`new` [B, *shape], partly replaced by older ones. Choices come from torch's generator."""
        out = new.detach().clone()
        for i in range(len(new)):
            count = int(self.count)
            if count < len(self.kept):
                self.kept[count] = out[i]
                self.count += 1
            elif torch.rand(()).item() < 0.5 and count:
                k = int(torch.randint(count, ()))
                old = self.kept[k].clone()
                self.kept[k] = out[i]
                out[i] = old
        return out


class Method(Adversarial):
    """See `training.methods`. The net makes images from maps, `back` makes maps from images."""

    paired = False

    def __init__(self, *args: Any):
        super().__init__(*args)
        settings = self.config.adversary
        back = type(self.net)(self.net.config, self.num_classes)
        self.back = back.to(self.device, memory_format=torch.channels_last)
        discriminators = nn.ModuleList(PatchDiscriminator(3, settings.channels, settings.layers) for _ in range(2))
        self.discriminate_image, self.discriminate_map = discriminators
        height, width = pad_to(torch.zeros(1, *self.config.size), *self.net.padding).shape[1:]
        self.buffers = [Buffer(settings.buffer, (3, height, width)).to(self.device) for _ in range(2)]
        self.generators = self.add("net", nn.ModuleList([self.net, self.back]), 1.0, settings.betas)
        self.discriminators = self.add("discriminator", discriminators.to(self.device), 1.0, settings.betas)
        self.parts["buffers"] = nn.ModuleList(self.buffers)

    def update(self, frames: FrameBatch, step: int, part: slice) -> dict[str, Tensor]:
        """One step of both generators, then one of both discriminators; see `training.methods`."""
        image, index_map = self.to_device(frames)
        settings = self.config.adversary
        colors = self.net.colored(pad_to(index_map, *self.net.padding))
        image = F.pad(
            image, (0, colors.shape[-1] - image.shape[-1], 0, colors.shape[-2] - image.shape[-2]), "replicate"
        )

        with frozen(self.discriminate_image, self.discriminate_map):
            with self.autocast():
                fake, mapped = self.net.translate(colors), self.back.translate(image)
                cycle = F.l1_loss(self.back.translate(fake).float(), colors)
                cycle = cycle + F.l1_loss(self.net.translate(mapped).float(), image)
                same = F.l1_loss(self.net.translate(image).float(), image)
                same = same + F.l1_loss(self.back.translate(colors).float(), colors)
                answers = self.discriminate_image(fake)[-1], self.discriminate_map(mapped)[-1]
            fooled = sum(least_squares(answer, True) for answer in answers)
            loss = fooled + settings.cycle * (cycle + settings.identity * same)
            norm = self.generators.step(loss, self.scaler)

        fake, mapped = (b.exchange(x.float()) for b, x in zip(self.buffers, (fake, mapped), strict=True))
        with self.autocast():
            real = self.discriminate_image(image)[-1], self.discriminate_map(colors)[-1]
            answers = self.discriminate_image(fake)[-1], self.discriminate_map(mapped)[-1]
        losses = [least_squares(a, True) + least_squares(b, False) for a, b in zip(real, answers, strict=True)]
        discriminator_loss = 0.5 * torch.stack(losses).sum()
        self.discriminators.step(discriminator_loss, self.scaler)
        return {"loss": loss.detach(), "discriminator_loss": discriminator_loss.detach(), "grad_norm": norm}
