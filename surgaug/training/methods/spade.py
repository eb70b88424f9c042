"""SPADE (Park 2019): hinge loss, feature matching, and the perceptual loss where its weights are at hand.

Section 3 and appendix A: the losses of pix2pixHD with the hinge loss in place of least squares, feature matching and
perceptual loss weighted by 10; a discriminator at two scales with spectral normalisation; Adam with momentum 0, 0.999;
rates 0.0001 for the generator and 0.0004 for the discriminator, one step each (`training/multiscale.py`). The generator
has no average of its weights.

With `network.encoder` z is not drawn but the encoder's of the real image, and its divergence from N(0, I) is added,
weighted by 0.05 (appendix A), so that z may be drawn when synthesizing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from surgaug.runtime.device import to_device
from surgaug.training.multiscale import GeneratorBatch, MultiScale, MultiScaleAdversary, spade_recipes


@dataclass(frozen=True)
class Adversary(MultiScaleAdversary):
    """See `MultiScaleAdversary`. `divergence`: weight of the encoder's, where there is one."""

    divergence: float = 0.05


RECIPES = spade_recipes(Adversary)


class Method(MultiScale):
    """See `training.methods`."""

    def generated(self, index_map: Tensor, real: Tensor) -> GeneratorBatch:
        """The generator's images; with an encoder, in the style of the real ones."""
        if self.net.encoder is None:
            return super().generated(index_map, real)
        mean, log_variance = (t.float() for t in self.net.encoder(real))
        # Drawn on the CPU: the same numbers on any device.
        z = mean + (0.5 * log_variance).exp() * to_device(torch.randn(mean.shape), self.device)
        penalty = self.config.adversary.divergence * divergence(mean, log_variance)
        return GeneratorBatch(self.one_hot(index_map), real, self.net(index_map, [z]).float(), penalty)


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence of N(mean, variance) from N(0, I), [b, z]: summed over z, mean over the batch (Kingma
    & Welling 2014, appendix B)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1).mean()
