"""Noise schedules against diffusers' tables and against what every schedule must be."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from surgaug.diffusion import schedules
from surgaug.diffusion.schedules import Schedule
from surgaug.diffusion.spacing import alpha_bar_at
from surgaug.errors import UsageError

any_schedule = st.builds(
    Schedule,
    kind=st.sampled_from(schedules.names()),
    timesteps=st.integers(100, 400),
    beta_end=st.floats(0.2, 0.5),
    zero_terminal_snr=st.booleans(),
    shift=st.floats(0.5, 8),
)


@given(any_schedule)
@settings(max_examples=50, deadline=None)
def test_alpha_bars_fall_from_one(schedule):
    schedule.check()
    table = schedule.alpha_bars
    assert table.dtype == torch.float64
    assert table.shape == (schedule.timesteps + 1,)
    assert table[0] == 1
    assert (table[1:] < table[:-1]).all()
    assert 0 <= table[-1] < 0.005
    assert (table[-1] == 0) == schedule.zero_terminal_snr


@given(any_schedule, st.floats(0, 1, exclude_max=True))
@settings(max_examples=100, deadline=None)
def test_continuous_levels_lie_between_their_neighbours(schedule, u):
    level = schedule.sample_levels(torch.tensor([u], dtype=torch.float64)).item()
    index = int(u * schedule.timesteps)
    assert schedule.alpha_bars[index + 1] - 1e-15 <= level <= schedule.alpha_bars[index] + 1e-15


def test_continuous_levels_are_uniform_in_sqrt_alpha_bar():
    schedule = Schedule(timesteps=10)
    root = schedule.alpha_bars.sqrt()
    levels = schedule.sample_levels(torch.tensor([0.3, 0.325, 0.35, 0.375], dtype=torch.float64))
    expected = root[3] + (root[4] - root[3]) * torch.tensor([0, 0.25, 0.5, 0.75], dtype=torch.float64)
    torch.testing.assert_close(levels.sqrt(), expected)


def test_continuous_levels_of_float32_draws():
    draws = torch.tensor([0.0, 0.5, 1 - 2**-24, 1.0], dtype=torch.float32)
    levels = Schedule(timesteps=1000).sample_levels(draws)
    assert levels.dtype == torch.float64
    torch.testing.assert_close(levels[:2], Schedule(timesteps=1000).alpha_bars[[0, 500]])
    assert levels[2] > levels[3] == Schedule(timesteps=1000).alpha_bars[-1]


@pytest.mark.parametrize(
    ("schedule", "options"),
    [
        (Schedule("cosine", 1000), {"beta_schedule": "squaredcos_cap_v2"}),
        (Schedule("linear", 1000, 1e-4, 0.02), {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02}),
        (Schedule("linear", 2000), {"beta_schedule": "linear", "beta_start": 1e-6, "beta_end": 1e-2}),
    ],
)
@pytest.mark.parametrize("zero_terminal_snr", [False, True])
def test_tables_are_those_of_diffusers(schedule, options, zero_terminal_snr):
    from diffusers import DDIMScheduler

    reference = DDIMScheduler(
        num_train_timesteps=schedule.timesteps, rescale_betas_zero_snr=zero_terminal_snr, **options
    ).alphas_cumprod
    ours = Schedule(**{**schedule.to_dict(), "zero_terminal_snr": zero_terminal_snr}).alpha_bars[1:]
    # diffusers multiplies a thousand float32 factors.
    torch.testing.assert_close(ours.float(), reference, rtol=3e-4, atol=1e-7)


def test_zero_terminal_snr_keeps_the_first_level():
    plain, rescaled = Schedule("linear", 2000), Schedule("linear", 2000, zero_terminal_snr=True)
    assert rescaled.alpha_bars[1].item() == pytest.approx(plain.alpha_bars[1].item(), rel=1e-14)


@pytest.mark.parametrize("kind", schedules.names())
def test_shift_divides_the_signal_to_noise_ratio(kind):
    plain, shifted = Schedule(kind, 2000).alpha_bars[1:], Schedule(kind, 2000, shift=2.0).alpha_bars[1:]
    np.testing.assert_allclose((shifted / (1 - shifted)).numpy(), (plain / (1 - plain)).numpy() / 4, rtol=1e-9)


@given(any_schedule, st.data())
@settings(max_examples=50, deadline=None)
def test_sampling_levels_rise_from_the_noisiest_to_one(schedule, data):
    steps = data.draw(st.integers(1, schedule.timesteps))
    levels = schedule.sampling_levels(steps)
    assert levels.dtype == torch.float64
    assert levels.shape == (steps + 1,)
    assert levels[0] == schedule.alpha_bars[-1]
    assert levels[-1] == 1
    assert (levels[1:] > levels[:-1]).all()
    assert torch.isin(levels, schedule.alpha_bars).all()


@pytest.mark.parametrize("steps", [1, 2, 7, 40, 300, 999, 1000])
def test_sampling_levels_are_spaced_as_trailing(steps):
    from diffusers import DDPMScheduler

    reference = DDPMScheduler(1000, timestep_spacing="trailing")
    reference.set_timesteps(steps)
    schedule = Schedule("cosine", 1000)
    torch.testing.assert_close(
        schedule.sampling_levels(steps)[:-1], schedule.alpha_bars[1:][reference.timesteps[:steps]]
    )


@pytest.mark.parametrize("spacing", ["karras", "leap"])
@given(any_schedule, st.data())
@settings(max_examples=50, deadline=None)
def test_these_levels_rise_from_noise_alone_to_one(spacing, schedule, data):
    levels = schedule.sampling_levels(data.draw(st.integers(1, schedule.timesteps)), spacing)
    assert levels.dtype == torch.float64
    assert levels[0] >= schedule.alpha_bars[-1] - 1e-12
    assert levels[-1] == 1
    assert (levels[1:] > levels[:-1]).all()


@pytest.mark.parametrize("steps", [2, 7, 40])
def test_karras_levels_are_those_of_edm(steps):
    from diffusers import EDMDPMSolverMultistepScheduler

    reference = EDMDPMSolverMultistepScheduler(sigma_min=0.01, sigma_max=80.0, rho=7.0)
    reference.set_timesteps(steps)
    levels = Schedule("cosine", 1000).sampling_levels(steps, "karras")
    torch.testing.assert_close((1 / levels - 1).sqrt().float(), reference.sigmas, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 9])
def test_a_leap_is_one_step_to_sigma_5(steps):
    schedule = Schedule("cosine", 1000)
    levels, karras = (schedule.sampling_levels(steps, spacing) for spacing in ("leap", "karras"))
    sigmas = (1 / levels - 1).sqrt()
    assert len(levels) == steps + 1 and levels[0] == karras[0]
    if steps > 1:
        assert levels[1] == alpha_bar_at(5.0)  # exactly, where guidance begins
    if steps > 2:
        evenly = sigmas[1:-1] ** (1 / 7)
        torch.testing.assert_close(evenly.diff(), evenly.diff()[:1].expand(steps - 2))
        assert sigmas[-2] == pytest.approx(0.01)
    low = Schedule("cosine", 1000, hand_over=1.0)  # nothing to leap over
    assert torch.equal(low.sampling_levels(steps, "leap"), low.sampling_levels(steps, "karras"))


def test_an_unknown_spacing_is_refused():
    with pytest.raises(UsageError, match="trailing, karras"):
        Schedule().sampling_levels(4, "even")


@pytest.mark.parametrize("steps", [0, -1, 1001, 2.0, True, None])
def test_impossible_numbers_of_steps_are_refused(steps):
    with pytest.raises(UsageError, match="1 to 1000"):
        Schedule("cosine", 1000).sampling_levels(steps)


@given(any_schedule)
@settings(max_examples=20, deadline=None)
def test_survives_json(schedule):
    assert Schedule.from_dict(json.loads(json.dumps(schedule.to_dict()))) == schedule


def test_unknown_keys_are_refused():
    with pytest.raises(UsageError, match=r"schedule\.betas: unknown"):
        Schedule.from_dict({**Schedule().to_dict(), "betas": 1})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "sigmoid"}, "cosine, linear"),
        ({"timesteps": 1}, "timesteps"),
        ({"timesteps": 1000.0}, "timesteps"),
        ({"zero_terminal_snr": "no"}, "zero_terminal_snr"),
        ({"beta_start": 1e-300}, "beta_start"),
        ({"beta_end": 1.0}, "beta_end"),
        ({"shift": 0.0}, "shift"),
        ({"shift": float("nan")}, "shift"),
        ({"shift": 1e-20}, "shift"),
    ],
)
def test_values_out_of_range_are_refused(values, message):
    with pytest.raises(UsageError, match=message):
        Schedule(**values)


def test_an_image_still_visible_at_the_noisiest_level_is_refused():
    schedule = Schedule("linear", 1000)  # SR3's betas are meant for T = 2000
    with pytest.raises(UsageError, match=r"keeps alpha_bar = 0.00662 .* raise timesteps, beta_end or shift"):
        schedule.check()
    dataclasses.replace(schedule, timesteps=2000).check()
    dataclasses.replace(schedule, shift=2.0).check()
    dataclasses.replace(schedule, zero_terminal_snr=True).check()


def test_levels_that_underflow_are_refused():
    with pytest.raises(UsageError, match="lower timesteps or beta_end"):
        Schedule("linear", 4000, beta_end=0.9).check()


def test_kinds_are_listed():
    assert schedules.names() == ["cosine", "linear"]
