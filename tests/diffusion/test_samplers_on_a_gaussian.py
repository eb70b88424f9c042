"""Images from N(mean, sd ** 2) have a known optimal denoiser, and every sampler is affine on it.

So the distribution of the samples is computed exactly, without drawing any: a batch whose rows are the unit vectors of
the start and of each step's noise gives the mean and the variance of the result.
"""

from __future__ import annotations

import math
import subprocess
import sys
from itertools import pairwise

import pytest
import torch

from surgaug.diffusion import parameterisation, samplers
from surgaug.diffusion.schedules import Schedule
from surgaug.errors import UsageError

MEAN, SD = 0.3, 0.4
COSINE = Schedule("cosine", 1000)
ZERO_SNR = Schedule("cosine", 1000, zero_terminal_snr=True)
VARIANTS = [
    ("ddim", {"eta": 0.0}),
    ("ddim", {"eta": 0.5}),
    ("ddim", {"eta": 1.0}),
    ("ddpm", {"variance": "small"}),
    ("ddpm", {"variance": "large"}),
    ("dpmpp", {}),
    ("dpm1", {}),
]
variants = pytest.mark.parametrize(("name", "options"), VARIANTS)


def optimal(mean, sd):
    """E[x_0 | x_t] for x_0 from N(mean, sd ** 2)."""

    def denoise(x_t, alpha_bar):
        root = math.sqrt(alpha_bar)
        return mean + root * sd**2 / (alpha_bar * sd**2 + 1 - alpha_bar) * (x_t - root * mean)

    return denoise


def distribution(name, denoise, alpha_bars, start=(0.0, 1.0), **options):
    """Mean and variance of what a sampler makes of x_t from N(start mean, start variance)."""
    steps = len(alpha_bars) - 1
    x_t = torch.zeros(steps + 2, 1, dtype=torch.float64)
    x_t[:] = start[0]
    x_t[1] += math.sqrt(start[1])

    def noise(step):
        unit = torch.zeros_like(x_t)
        unit[step + 2] = 1
        return unit

    result = samplers.get(name)(denoise, x_t, alpha_bars, noise, **options).flatten()
    return result[0].item(), (result[1:] - result[0]).square().sum().item()


def marginal(mean, sd, alpha_bar):
    """Mean and variance of x_t itself."""
    return math.sqrt(alpha_bar) * mean, alpha_bar * sd**2 + 1 - alpha_bar


@variants
@pytest.mark.parametrize("schedule", [COSINE, ZERO_SNR], ids=["cosine", "zero-snr"])
@pytest.mark.parametrize("steps", [1, 2, 3, 10, 50])
def test_one_known_image_is_reached_exactly(name, options, schedule, steps):
    levels = schedule.sampling_levels(steps)
    start = marginal(MEAN, 0.0, float(levels[0]))
    mean, variance = distribution(name, optimal(MEAN, 0.0), levels, start, **options)
    assert mean == pytest.approx(MEAN, abs=1e-12)
    assert variance == pytest.approx(0, abs=1e-12)


# The large variance is right for white noise, not for a known image.
@pytest.mark.parametrize(("name", "options"), [v for v in VARIANTS if v[1].get("variance") != "large"])
@pytest.mark.parametrize("schedule", [COSINE, ZERO_SNR], ids=["cosine", "zero-snr"])
def test_of_one_known_image_every_marginal_on_the_way_is_exact(name, options, schedule):
    levels = schedule.sampling_levels(20)
    for end in range(2, 21):
        start = marginal(MEAN, 0.0, float(levels[0]))
        found = distribution(name, optimal(MEAN, 0.0), levels[:end], start, **options)
        assert found == pytest.approx(marginal(MEAN, 0.0, float(levels[end - 1])), abs=1e-12)


def test_of_white_noise_every_marginal_of_ddpm_with_the_large_variance_is_exact():
    levels = ZERO_SNR.sampling_levels(20)
    for end in range(2, 21):
        found = distribution("ddpm", optimal(0.0, 1.0), levels[:end], variance="large")
        assert found == pytest.approx((0, 1), abs=1e-12)


@pytest.mark.parametrize("schedule", [COSINE, ZERO_SNR], ids=["cosine", "zero-snr"])
@pytest.mark.parametrize("steps", [1, 4, 40, 1000])
@pytest.mark.parametrize("name", ["ddim", "dpm1"])
def test_ddim_is_the_affine_map_of_its_equation(name, schedule, steps):
    levels = [float(level) for level in schedule.sampling_levels(steps)]
    mean, variance = 0.0, 1.0
    for here, there in pairwise(levels):
        # With u = (x_t - sqrt(alpha_bar) MEAN) the step is u -> gain * u: signal and noise shares of u, turned.
        total = here * SD**2 + 1 - here
        gain = (math.sqrt(here * there) * SD**2 + math.sqrt((1 - here) * (1 - there))) / total
        mean = math.sqrt(there) * MEAN + gain * (mean - math.sqrt(here) * MEAN)
        variance *= gain**2
    assert distribution(name, optimal(MEAN, SD), levels) == pytest.approx((mean, variance), abs=1e-12)


@pytest.mark.parametrize("schedule", [COSINE, ZERO_SNR], ids=["cosine", "zero-snr"])
@pytest.mark.parametrize("steps", [1, 4, 40, 1000])
@pytest.mark.parametrize("kind", ["small", "large"])
def test_ddpm_is_the_posterior_of_its_equation(schedule, steps, kind):
    levels = [float(level) for level in schedule.sampling_levels(steps)]
    mean, variance = 0.0, 1.0
    for here, there in pairwise(levels):
        # x_s given x_0 is N(sqrt(there) x_0, 1 - there); x_t given x_s is N(sqrt(alpha) x_s, beta). By Bayes:
        alpha, beta = here / there, 1 - here / there
        precision = (1 / (1 - there) if there < 1 else math.inf) + alpha / beta
        known = 1 / (1 + (1 - there) * alpha / beta)
        # E[x_0 | x_t] = sqrt(here) SD^2 / total (x_t - sqrt(here) MEAN) + MEAN
        slope = math.sqrt(here) * SD**2 / (here * SD**2 + 1 - here)
        gain = known * math.sqrt(there) * slope + (math.sqrt(alpha) / beta / precision)
        mean = math.sqrt(there) * MEAN + gain * (mean - math.sqrt(here) * MEAN)
        variance = gain**2 * variance + (0 if there == 1 else 1 / precision if kind == "small" else beta)
    found = distribution("ddpm", optimal(MEAN, SD), levels, variance=kind)
    assert found == pytest.approx((mean, variance), abs=1e-12)


@pytest.mark.parametrize("steps", [4, 40])
def test_ddim_at_eta_one_is_ddpm(steps):
    levels = ZERO_SNR.sampling_levels(steps)
    ancestral = distribution("ddpm", optimal(MEAN, SD), levels)
    assert distribution("ddim", optimal(MEAN, SD), levels, eta=1.0) == pytest.approx(ancestral, abs=1e-12)


@variants
@pytest.mark.parametrize("schedule", [COSINE, ZERO_SNR], ids=["cosine", "zero-snr"])
def test_converges_to_the_distribution_of_the_images(name, options, schedule):
    errors = []
    for steps in (125, 250, 500, 1000):
        mean, variance = distribution(name, optimal(MEAN, SD), schedule.sampling_levels(steps), **options)
        errors.append(abs(mean - MEAN) + abs(math.sqrt(variance) - SD))
    if name == "dpmpp":  # near the floor that its last step, of first order, sets; the error changes sign on the way
        assert max(errors) < 2e-4
    else:
        for earlier, later in pairwise(errors):
            assert math.log2(earlier / later) == pytest.approx(1, abs=0.1)
        assert errors[-1] < 0.003


def solver_error(name, steps):
    """Against the exact path, x_t - its mean in proportion to its standard deviation, on levels even in log-SNR."""
    levels = torch.sigmoid(torch.linspace(-5, 5, steps + 1, dtype=torch.float64))
    start = marginal(MEAN, SD, float(levels[0]))
    mean, variance = distribution(name, optimal(MEAN, SD), levels, start)
    exact = marginal(MEAN, SD, float(levels[-1]))
    assert mean == pytest.approx(exact[0], abs=1e-12)
    return abs(math.sqrt(variance) - math.sqrt(exact[1]))


@pytest.mark.parametrize(("name", "order"), [("ddim", 1), ("dpm1", 1), ("dpmpp", 2)])
def test_order_of_convergence(name, order):
    errors = [solver_error(name, steps) for steps in (80, 160, 320, 640)]
    for coarse, fine in pairwise(errors):
        assert math.log2(coarse / fine) == pytest.approx(order, abs=0.1)


def test_dpmpp_beats_ddim_at_few_steps():
    for steps in (10, 20, 40):
        levels = ZERO_SNR.sampling_levels(steps)
        error = {n: abs(distribution(n, optimal(MEAN, SD), levels)[1] ** 0.5 - SD) for n in ("ddim", "dpmpp")}
        assert error["dpmpp"] < error["ddim"] / 2


@pytest.mark.parametrize(
    ("kind", "timesteps", "spacing", "name", "options", "percent"),
    [
        ("cosine", 1000, "trailing", "ddim", {}, [61.4, 83.1, 91.2, 95.5, 98.2, 99.8]),
        ("cosine", 1000, "trailing", "ddpm", {}, [57.2, 75.3, 84.6, 90.9, 95.8, 99.5]),
        ("cosine", 1000, "trailing", "ddpm", {"variance": "large"}, [93.4, 105.7, 104.3, 102.5, 101.1, 100.1]),
        ("cosine", 1000, "trailing", "dpmpp", {}, [64.1, 92.1, 99.0, 100.1, 100.0, 100.0]),
        ("linear", 2000, "trailing", "ddim", {}, [37.7, 70.1, 84.2, 91.8, 96.7, 99.7]),
        ("linear", 2000, "trailing", "ddpm", {}, [36.8, 63.7, 75.8, 84.8, 92.6, 99.1]),
        ("linear", 2000, "trailing", "ddpm", {"variance": "large"}, [50.4, 99.6, 105.8, 104.5, 102.2, 100.2]),
        ("linear", 2000, "trailing", "dpmpp", {}, [38.1, 75.7, 93.8, 100.1, 100.6, 100.0]),
        ("cosine", 1000, "karras", "ddim", {}, [42.6, 73.9, 86.7, 93.2, 97.3, 99.7]),
        ("cosine", 1000, "karras", "dpmpp", {}, [73.4, 109.7, 104.1, 100.9, 100.1, 100.0]),
    ],
)
def test_spread_left_by_few_steps_is_as_documented(kind, timesteps, spacing, name, options, percent):
    """The table of docs/method.md, "What few steps cost, exactly"."""
    schedule = Schedule(kind, timesteps)
    for steps, expected in zip((4, 10, 20, 40, 100, 1000), percent, strict=True):
        levels = schedule.sampling_levels(steps, spacing)
        mean, variance = distribution(name, optimal(MEAN, SD), levels, **options)
        assert 100 * math.sqrt(variance) / SD == pytest.approx(expected, abs=0.051)
        assert mean == pytest.approx(MEAN, abs=0.002)


@pytest.mark.parametrize("name", ["ddim", "dpm1", "dpmpp"])
def test_few_and_many_steps_agree_in_channel_means(name):
    """A nonlinear case: each channel has two possible values, which pixels choose for themselves."""
    low = torch.tensor([-0.8, -0.5, 0.1]).reshape(1, 3, 1, 1)
    high = torch.tensor([0.2, 0.6, 0.9]).reshape(1, 3, 1, 1)

    def denoise(x_t, alpha_bar):
        root = math.sqrt(alpha_bar)
        log_odds = root * (high - low) * (x_t - root * (high + low) / 2) / (1 - alpha_bar)
        return low + (high - low) * torch.sigmoid(log_odds)

    x_t = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    means = {
        steps: samplers.get(name)(denoise, x_t, ZERO_SNR.sampling_levels(steps), pytest.fail).mean((0, 2, 3))
        for steps in (10, 40, 1000)
    }
    torch.testing.assert_close(means[40], means[1000], rtol=0, atol=0.01)
    torch.testing.assert_close(means[10], means[1000], rtol=0, atol=0.02)
    torch.testing.assert_close(means[1000], ((low + high) / 2).flatten(), rtol=0, atol=0.02)


@variants
@pytest.mark.parametrize("schedule", [COSINE, ZERO_SNR, Schedule("linear", 2000)], ids=["cosine", "zero-snr", "sr3"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_keeps_the_dtype_and_stays_finite(name, options, schedule, dtype):
    random = torch.Generator().manual_seed(0)
    x_t = torch.randn(1, 3, 4, 4, generator=random).to(dtype)
    denoise = parameterisation.clip_x0(lambda x, alpha_bar: 20 * x)
    x_0 = samplers.get(name)(
        denoise,
        x_t,
        schedule.sampling_levels(8),
        lambda step: torch.randn(1, 3, 4, 4, generator=random).to(dtype),
        **options,
    )
    assert x_0.dtype == dtype
    assert x_0.isfinite().all()
    assert x_0.abs().max() <= 1


@variants
def test_each_step_calls_the_denoiser_once_and_the_input_is_left_alone(name, options):
    seen = []

    def denoise(x_t, alpha_bar):
        seen.append(alpha_bar)
        return 0.5 * x_t

    x_t = torch.ones(1, 1, 2, 2)
    levels = COSINE.sampling_levels(6)
    samplers.get(name)(denoise, x_t, levels, lambda step: torch.ones(1, 1, 2, 2), **options)
    assert seen == levels[:-1].tolist()
    assert all(type(level) is float for level in seen)
    assert x_t.eq(1).all()


def test_noise_is_asked_for_by_step_and_only_where_it_is_used():
    def steps_of(name, **options):
        asked = []
        samplers.get(name)(
            optimal(MEAN, SD),
            torch.zeros(1, 1),
            COSINE.sampling_levels(4),
            lambda step: asked.append(step) or torch.zeros(1, 1),
            **options,
        )
        return asked

    assert steps_of("ddim") == steps_of("dpmpp") == []
    assert steps_of("ddim", eta=0.5) == steps_of("ddpm") == [0, 1, 2]


def test_names_are_listed_without_importing_torch():
    code = "import sys; from surgaug.diffusion import samplers; print(samplers.names(), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['consistency', 'ddim', 'ddpm', 'dpm1', 'dpmpp'] False"


def test_wrong_names_and_options_are_refused():
    with pytest.raises(UsageError, match="'euler' is not one of consistency, ddim, ddpm, dpm1, dpmpp"):
        samplers.get("euler")
    arguments = (optimal(MEAN, SD), torch.zeros(1, 1), [0.0, 1.0], pytest.fail)
    with pytest.raises(ValueError, match="eta"):
        samplers.get("ddim")(*arguments, eta=1.5)
    with pytest.raises(ValueError, match="variance"):
        samplers.get("ddpm")(*arguments, variance="learned")
