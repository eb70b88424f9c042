"""The three predictions are one and the same estimate, written differently."""

from __future__ import annotations

import pytest
import torch

from surgaug.diffusion import parameterisation as p
from surgaug.diffusion.schedules import Schedule
from surgaug.errors import UsageError

ALPHA_BAR = torch.tensor([1e-6, 0.1, 0.5, 0.999], dtype=torch.float64)


@pytest.fixture
def images():
    random = torch.Generator().manual_seed(0)
    return [torch.randn(4, 3, 5, 6, generator=random, dtype=torch.float64) for _ in range(2)]


@pytest.mark.parametrize("kind", p.KINDS)
def test_the_target_gives_back_image_and_noise(kind, images):
    x_0, eps = images
    x_t = p.add_noise(x_0, eps, ALPHA_BAR)
    out = p.target(kind, x_0, eps, ALPHA_BAR)
    torch.testing.assert_close(p.to_x0(kind, out, x_t, ALPHA_BAR), x_0)
    torch.testing.assert_close(p.to_eps(kind, out, x_t, ALPHA_BAR), eps)


@pytest.mark.parametrize("kind", p.KINDS)
def test_a_scalar_level_is_the_same_level_for_all(kind, images):
    x_0, eps = images
    level = torch.full([4], 0.3, dtype=torch.float64)
    torch.testing.assert_close(p.add_noise(x_0, eps, 0.3), p.add_noise(x_0, eps, level), rtol=0, atol=0)
    torch.testing.assert_close(p.target(kind, x_0, eps, 0.3), p.target(kind, x_0, eps, level), rtol=0, atol=0)
    torch.testing.assert_close(p.to_x0(kind, eps, x_0, 0.3), p.to_x0(kind, eps, x_0, level), rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["v", "x0"])
def test_at_zero_signal_the_image_is_still_predicted(kind, images):
    x_0, eps = images
    x_t = p.add_noise(x_0, eps, 0.0)
    torch.testing.assert_close(x_t, eps)
    torch.testing.assert_close(p.to_x0(kind, p.target(kind, x_0, eps, 0.0), x_t, 0.0), x_0)


def test_coefficients_keep_their_precision_near_no_noise():
    eps = torch.ones(1, 1, 1, 1)
    x_t = p.add_noise(torch.zeros_like(eps), eps, torch.tensor([1 - 1e-10], dtype=torch.float64))
    assert x_t.dtype == torch.float32
    assert x_t.item() == pytest.approx(1e-5, rel=1e-6)


@pytest.mark.parametrize("kind", p.KINDS)
def test_zero_terminal_snr_goes_with_v_and_x0_only(kind):
    p.check(kind, Schedule("linear", 2000))
    if kind == "eps":
        with pytest.raises(UsageError, match=r"'eps' cannot go with zero_terminal_snr.*use 'v' or 'x0'"):
            p.check(kind, Schedule("linear", 2000, zero_terminal_snr=True))
    else:
        p.check(kind, Schedule("linear", 2000, zero_terminal_snr=True))


def test_unknown_predictions_are_refused():
    with pytest.raises(UsageError, match="'epsilon' is not one of eps, v, x0"):
        p.check("epsilon", Schedule())


@pytest.mark.parametrize("kind", p.KINDS)
@pytest.mark.parametrize("alpha_bar", [0.25, torch.tensor([0.25, 0.25, 0.25, 0.25], dtype=torch.float64)])
def test_denoiser_gives_the_network_the_noise_level(kind, alpha_bar, images):
    x_0, eps = (image.float() for image in images)
    seen = []

    def network(x_t, noise_level):
        seen.append(noise_level)
        return p.target(kind, x_0, eps, 0.25).bfloat16()

    estimate = p.denoiser(kind, network)(p.add_noise(x_0, eps, 0.25), alpha_bar)
    torch.testing.assert_close(seen[0], torch.full([4], 0.5))
    assert estimate.dtype == torch.float32
    torch.testing.assert_close(estimate, x_0, rtol=0.05, atol=0.05)


def test_clip_x0_limits_the_estimate_only():
    denoise = p.clip_x0(lambda x_t, alpha_bar: x_t * alpha_bar)
    torch.testing.assert_close(denoise(torch.tensor([-8.0, 1.0, 8.0]), 0.5), torch.tensor([-1.0, 0.5, 1.0]))
