"""Consistency tuning on Gaussian images, whose consistency function is known: x_t goes to x_t s / sqrt(s^2 + t^2)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_samplers_on_a_gaussian import optimal

from surgaug.diffusion import consistency
from surgaug.diffusion.parameterisation import add_noise
from surgaug.diffusion.samplers import consistency as sampler
from surgaug.diffusion.schedules import Schedule
from surgaug.diffusion.spacing import alpha_bar_at

COSINE = Schedule("cosine", 1000)
STD = 0.5


def arrival(x_t: torch.Tensor, alpha_bar: torch.Tensor | float) -> torch.Tensor:
    """Where the path through x_t ends, for images N(0, STD^2)."""
    level = torch.as_tensor(alpha_bar, dtype=torch.float64)
    sigma = (1 / level - 1).sqrt()
    return x_t / level.sqrt() * STD / (STD**2 + sigma**2).sqrt()


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
def test_pairs_lie_on_one_path_and_come_nearer(progress):
    sigma = torch.logspace(-2, 1.9, 40, dtype=torch.float64)
    there = consistency.nearer(sigma, progress)
    assert ((there >= 0) & (there < sigma)).all()
    assert (there <= consistency.nearer(sigma, 1.0)).all()
    x_0, eps = torch.randn(2, 40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).unbind()
    moved = consistency.along(add_noise(x_0, eps, alpha_bar_at(sigma)), x_0, sigma, there)
    torch.testing.assert_close(moved, add_noise(x_0, eps, alpha_bar_at(there)))


def test_the_known_function_says_nearly_the_same_at_both_points_the_more_so_the_nearer_they_are():
    sigma = torch.logspace(-1, 1.5, 30, dtype=torch.float64)
    x_t = torch.randn(30, 200, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    denoise = optimal(0.0, STD)
    errors = []
    for progress in (0.5, 0.99):
        there = consistency.nearer(sigma, progress)
        x_0 = torch.stack([denoise(x, float(alpha_bar_at(s))) for x, s in zip(x_t, sigma, strict=True)])
        x_r = consistency.along(x_t, x_0, sigma, there)
        gap = arrival(x_r, alpha_bar_at(there)[:, None]) - arrival(x_t, alpha_bar_at(sigma)[:, None])
        errors.append(float(gap.abs().mean() / arrival(x_t, alpha_bar_at(sigma)[:, None]).abs().mean()))
    assert errors[1] < errors[0] / 3 and errors[1] < 0.01


def test_levels_are_log_normal_and_a_quarter_is_high_within_what_is_sampled():
    sigma = consistency.draw_sigmas((torch.arange(4000) + 0.5) / 4000)
    assert sigma.min() >= 0.01 and sigma.max() <= 80
    assert sigma[1000:].median().log() == pytest.approx(consistency.LOG_MEAN, abs=0.01)
    assert sigma[:1000].min() >= 1 and sigma[:1000].median() == pytest.approx(80**0.5, rel=0.01)
    assert 50 < (sigma > 60).sum() < 100  # where sampling begins


def test_points_nearer_than_the_end_are_the_end():
    sigma = torch.tensor([0.01, 0.05, 0.06, 0.2, 80.0], dtype=torch.float64)
    assert (consistency.nearer(sigma, 1.0) > 0).tolist() == [False, False, True, True, True]
    assert (consistency.nearer(sigma, 0.0) > 0).tolist() == [False, False, False, False, True]


def test_two_calls_draw_from_the_known_distribution():
    generator = torch.Generator().manual_seed(0)
    levels = COSINE.sampling_levels(2, consistency.SPACING)
    sigma = (1 / levels[:2] - 1).sqrt()
    torch.testing.assert_close(sigma, torch.tensor([80.0, 80**0.5 * 0.1], dtype=torch.float64), rtol=1e-6, atol=0)

    def noise(step: int = 0) -> torch.Tensor:
        return torch.randn(200_000, 1, dtype=torch.float64, generator=generator)

    drawn = sampler.sample(arrival, noise(), levels, noise)
    assert float(drawn.std()) == pytest.approx(STD, rel=0.01) and abs(float(drawn.mean())) < 0.01


KNOTS = torch.linspace(np.log(0.01), np.log(80.0), 40, dtype=torch.float64)


def factor(table: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """A network of one factor a level: linear between knots in log sigma."""
    place = ((sigma.clamp(min=0.01).log() - KNOTS[0]) / (KNOTS[1] - KNOTS[0])).clamp(0, 38.999)
    below = place.floor().long()
    return torch.lerp(table[below], table[below + 1], place - below)


def tuned(table: torch.Tensor, steps: int, progress: float | None = None) -> torch.Tensor:
    """`table` after so many steps of tuning; progress: that of all of them, None for one from 0 to 1."""
    table = table.clone().requires_grad_()
    optimizer = torch.optim.Adam([table], 0.02)
    generator = torch.Generator().manual_seed(0)
    batch = 256
    for step in range(steps):
        u = (torch.randperm(batch, generator=generator) + torch.rand(batch, generator=generator)) / batch
        sigma = consistency.draw_sigmas(u)
        there = consistency.nearer(sigma, step / steps if progress is None else progress)
        x_0, eps = torch.randn(2, batch, dtype=torch.float64, generator=generator).unbind()
        x_0 = STD * x_0
        target = torch.where(there > 0, factor(table, there).detach() * (x_0 + there * eps), x_0)
        error = factor(table, sigma) * (x_0 + sigma * eps) - target
        # Weighed so that all levels' errors count alike, as a network's own scaling does.
        loss = (error.square() / (STD**2 + sigma**2) * (1 + sigma)).mean()
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = 0.02 * (1 - step / steps)
        optimizer.step()
    return table.detach()


def test_tuning_arrives_at_the_known_function():
    """From the optimal denoiser on; the consistency function is a good deal larger at high noise levels."""
    sigmas = KNOTS.exp()
    began = STD**2 / (STD**2 + sigmas**2)  # of x_0 + sigma eps
    shown = (sigmas > 0.05) & (sigmas < 5)
    known = STD / (STD**2 + sigmas**2).sqrt()
    error, before = ((found - known).abs() / known for found in (tuned(began, 1500), began))
    assert before[shown].mean() > 0.3 and error[shown].mean() < 0.12 and error[shown].max() < 0.3


def test_near_the_image_a_long_tuning_is_held():
    """The last stage alone, where points lie near each other, from a function that agrees with itself and is wrong:
    without an end that is known nothing would lead back from there, or keep a network from going there."""
    sigmas = KNOTS.exp()
    known = STD / (STD**2 + sigmas**2).sqrt()
    near = (sigmas > 0.02) & (sigmas < 0.5)
    error = (tuned(0.6 * known, 1500, progress=1.0) - known).abs() / known
    assert error[near].max() < 0.1
