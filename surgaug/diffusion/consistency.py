"""Consistency tuning (Geng et al. 2024, "Consistency Models Made Easy", arXiv 2406.14548): one call goes all the way.

A network that predicts x_0 becomes a consistency function: what it says at any point of a path from noise to an image
is where the path ends (Song et al. 2023). It learns this from pairs of neighbouring points of one path, with the same
noise and the same dropout: at the noisier one it is to say what it says, without gradient, at the other. The two points
lie far apart at first, where this is ordinary denoising, and come nearer as training goes on.

Noise levels are sigma = sqrt(1 / alpha_bar - 1), float64 [B] on the CPU.
"""

from __future__ import annotations

import torch
from torch import Tensor

from surgaug.diffusion.parameterisation import add_noise, to_eps
from surgaug.diffusion.spacing import SIGMA_MAX, SIGMA_MIN, alpha_bar_at

# How a student is sampled.
SAMPLER, SPACING = "consistency", "geometric"
MOST_STEPS = 2  # for more, progressive distillation has the better targets
# The paper's of ImageNet 64x64: the levels' log-normal distribution, and the mapping n(t) = 1 + K sigmoid(-B t).
LOG_MEAN, LOG_STD = -0.8, 1.6
K, B = 8.0, 1.0
# The distance of the two points falls by Q from stage to stage of the training.
Q, STAGES = 2.0, 6


def draw_sigmas(u: Tensor) -> Tensor:
    """The noisier points of pairs: log-normal, within the levels that are sampled; u: [B], uniform in [0, 1]."""
    normal = torch.special.ndtri(u.to("cpu", torch.float64).clamp(1e-6, 1 - 1e-6))
    return (LOG_MEAN + LOG_STD * normal).exp().clamp(SIGMA_MIN, SIGMA_MAX)


def nearer(sigma: Tensor, progress: float) -> Tensor:
    """The other points of pairs, r = t (1 - n(t) / Q^a), at least 0 (section 3.3).

    progress: of the training, from 0 to 1.
    """
    stage = 1 + min(STAGES - 1, int(progress * STAGES))
    return sigma * (1 - (1 + K * torch.sigmoid(-B * sigma)) / Q**stage).clamp(min=0)


def along(x_t: Tensor, x_0: Tensor, sigma: Tensor, there: Tensor) -> Tensor:
    """The point of the path through x_t [B, ...] at the level `there`, for the estimate x_0 of the path's direction.

    With a frame in x_0's place, whose noise x_t has, it is that frame with the same noise at the other level.
    """
    return add_noise(x_0, to_eps("x0", x_0, x_t, alpha_bar_at(sigma)), alpha_bar_at(there))
