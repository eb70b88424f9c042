"""Each sampler takes the steps of its namesake in diffusers: same noise, same levels, same network."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler

from surgaug.diffusion import parameterisation, samplers
from surgaug.diffusion.schedules import Schedule

PREDICTION = {"eps": "epsilon", "v": "v_prediction", "x0": "sample"}
SCHEDULES = {
    "cosine": Schedule("cosine", 1000),
    "ddpm": Schedule("linear", 1000, 1e-4, 0.02),
    "sr3": Schedule("linear", 2000),
}
SHAPE = (2, 3, 8, 8)

kinds = pytest.mark.parametrize("kind", parameterisation.KINDS)
tables = pytest.mark.parametrize("table", SCHEDULES)


def network(x_t, noise_level):
    """A fixed nonlinear function of the image, its neighbourhood and the noise level."""
    level = noise_level.to(x_t).reshape(-1, 1, 1, 1)
    return torch.tanh(0.7 * x_t + 0.3 * x_t.roll(1, -1) - 0.2 * x_t.flip(1)) * (0.5 + level) + 0.1 * torch.sin(
        5 * level
    )


def start():
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def seeded_noise(seed):
    random = torch.Generator().manual_seed(seed)
    return lambda step: torch.randn(SHAPE, generator=random, dtype=torch.float64)


def reference(scheduler, schedule, steps, advance):
    """Run a scheduler of diffusers on our table, in float64; its own is float32."""
    scheduler.alphas_cumprod = schedule.alpha_bars[1:].clone()
    scheduler.set_timesteps(steps)
    x_t = start()
    for t in scheduler.timesteps:
        level = scheduler.alphas_cumprod[t].sqrt().float().expand(SHAPE[0])
        x_t = advance(network(x_t, level), t, x_t).prev_sample
    return x_t


@kinds
@tables
@pytest.mark.parametrize("steps", [4, 40])
@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_ddim(kind, table, steps, eta):
    schedule = SCHEDULES[table]
    scheduler = DDIMScheduler(
        schedule.timesteps, prediction_type=PREDICTION[kind], timestep_spacing="trailing", clip_sample=False
    )
    noise = seeded_noise(1)
    expected = reference(
        scheduler, schedule, steps, lambda out, t, x: scheduler.step(out, t, x, eta=eta, variance_noise=noise(0))
    )
    denoise = parameterisation.denoiser(kind, network)
    ours = samplers.get("ddim")(denoise, start(), schedule.sampling_levels(steps), seeded_noise(1), eta=eta)
    torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-8)


@kinds
@tables
def test_ddim_with_clipping(kind, table):
    schedule = SCHEDULES[table]
    scheduler = DDIMScheduler(
        schedule.timesteps, prediction_type=PREDICTION[kind], timestep_spacing="trailing", clip_sample=True
    )
    expected = reference(
        scheduler, schedule, 20, lambda out, t, x: scheduler.step(out, t, x, use_clipped_model_output=True)
    )
    denoise = parameterisation.clip_x0(parameterisation.denoiser(kind, network))
    ours = samplers.get("ddim")(denoise, start(), schedule.sampling_levels(20), seeded_noise(1))
    torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-11)


@kinds
@tables
@pytest.mark.parametrize("steps", [4, 40])
def test_ddpm(kind, table, steps):
    schedule = SCHEDULES[table]
    scheduler = DDPMScheduler(
        schedule.timesteps, prediction_type=PREDICTION[kind], timestep_spacing="trailing", clip_sample=False
    )
    random = torch.Generator().manual_seed(1)
    expected = reference(scheduler, schedule, steps, lambda out, t, x: scheduler.step(out, t, x, generator=random))
    denoise = parameterisation.denoiser(kind, network)
    ours = samplers.get("ddpm")(denoise, start(), schedule.sampling_levels(steps), seeded_noise(1))
    torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-8)


@kinds
def test_ddpm_with_the_large_variance(kind):
    # Over the whole table: with fewer steps diffusers adds noise after the last one too.
    schedule = Schedule("cosine", 50)
    scheduler = DDPMScheduler(
        schedule.timesteps,
        prediction_type=PREDICTION[kind],
        timestep_spacing="trailing",
        clip_sample=False,
        variance_type="fixed_large",
    )
    random = torch.Generator().manual_seed(1)
    expected = reference(scheduler, schedule, 50, lambda out, t, x: scheduler.step(out, t, x, generator=random))
    denoise = parameterisation.denoiser(kind, network)
    ours = samplers.get("ddpm")(denoise, start(), schedule.sampling_levels(50), seeded_noise(1), variance="large")
    torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning:diffusers")
@kinds
@tables
@pytest.mark.parametrize("steps", [1, 2, 4, 20, 50])
def test_dpmpp(kind, table, steps):
    schedule = SCHEDULES[table]
    scheduler = DPMSolverMultistepScheduler(
        schedule.timesteps,
        prediction_type=PREDICTION[kind],
        timestep_spacing="trailing",
        algorithm_type="dpmsolver++",
        solver_order=2,
    )
    expected = reference(scheduler, schedule, steps, scheduler.step)
    denoise = parameterisation.denoiser(kind, network)
    ours = samplers.get("dpmpp")(denoise, start(), schedule.sampling_levels(steps), seeded_noise(1))
    # diffusers takes every step in float32.
    torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning:diffusers")
@kinds
@tables
@pytest.mark.parametrize("steps", [1, 4, 40])
def test_dpm_solver_of_first_order_is_diffusers_and_is_ddim(kind, table, steps):
    schedule = SCHEDULES[table]
    scheduler = DPMSolverMultistepScheduler(
        schedule.timesteps,
        prediction_type=PREDICTION[kind],
        timestep_spacing="trailing",
        algorithm_type="dpmsolver++",  # of first order the same as "dpmsolver", which diffusers cannot end at no noise
        solver_order=1,
    )
    expected = reference(scheduler, schedule, steps, scheduler.step)
    denoise = parameterisation.denoiser(kind, network)
    ours, ddim = (
        samplers.get(name)(denoise, start(), schedule.sampling_levels(steps), seeded_noise(1))
        for name in ("dpm1", "ddim")
    )
    torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(ours, ddim, rtol=1e-6, atol=1e-9)
