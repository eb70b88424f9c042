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
# The paper's of ImageNet 64x64: the levels' log-normal distribution, and the mapping n(t) = 1 + K sigmoid(-B t).
LOG_MEAN, LOG_STD = -0.8, 1.6
K, B = 8.0, 1.0
# The distance of the two points falls by Q from stage to stage of the training.
Q, STAGES = 2.0, 6
# So near to the image the path's end is known: the teacher's estimate. The paper's network is the identity at sigma 0
# by its preconditioning; one that predicts x_0 is held there by this alone, and without it comes to agree with itself
# on pictures of nothing.
END = 0.05
# The share of samples at high noise levels, evenly in log sigma up to that where sampling begins: of the log-normal
# distribution one in 1,500 lies there, too few for a tuning of some thousand steps.
HIGH, HIGH_FROM = 0.25, 1.0


def draw_sigmas(u: Tensor) -> Tensor:
    """The noisier points of pairs, within the levels that are sampled; u: [B], uniform in [0, 1]."""
    u = u.to("cpu", torch.float64)
    normal = torch.special.ndtri(((u - HIGH) / (1 - HIGH)).clamp(1e-6, 1 - 1e-6))
    usual = (LOG_MEAN + LOG_STD * normal).exp()
    high = HIGH_FROM * (SIGMA_MAX / HIGH_FROM) ** (u / HIGH)
    return torch.where(u < HIGH, high, usual).clamp(SIGMA_MIN, SIGMA_MAX)


def nearer(sigma: Tensor, progress: float) -> Tensor:
    """The other points of pairs, r = t (1 - n(t) / Q^a) (section 3.3); 0, the end of the path, where that is below
    `END`.

    progress: of the training, from 0 to 1.
    """
    stage = 1 + min(STAGES - 1, int(progress * STAGES))
    r = sigma * (1 - (1 + K * torch.sigmoid(-B * sigma)) / Q**stage)
    return torch.where(r < END, 0.0, r)


def along(x_t: Tensor, x_0: Tensor, sigma: Tensor, there: Tensor) -> Tensor:
    """The point of the path through x_t [B, ...] at the level `there`, for the estimate x_0 of the path's direction.

    With a frame in x_0's place, whose noise x_t has, it is that frame with the same noise at the other level.
    """
    return add_noise(x_0, to_eps("x0", x_0, x_t, alpha_bar_at(sigma)), alpha_bar_at(there))
