"""Classifier-free guidance: the rule, its cost, its noise levels, and its equivalence in the three predictions."""

from __future__ import annotations

import pytest
import torch

from surgaug.diffusion import parameterisation as p
from surgaug.diffusion.guidance import guided

RANDOM = torch.Generator().manual_seed(0)
X_T, COND, UNCOND = (torch.randn(2, 3, 4, 4, generator=RANDOM, dtype=torch.float64) for _ in range(3))


def conditional(x_t, alpha_bar):
    return COND


def both(x_t, alpha_bar):
    torch.testing.assert_close(x_t, torch.cat([X_T, X_T]))
    return torch.cat([COND, UNCOND])


def never(x_t, alpha_bar):
    raise AssertionError("not needed")


def test_scale_one_is_the_conditional_denoiser_itself():
    assert guided(conditional, never, 1.0) is conditional


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.5, 4.0])
def test_extrapolates_from_unconditional_to_conditional(scale):
    torch.testing.assert_close(guided(never, both, scale)(X_T, 0.5), UNCOND + scale * (COND - UNCOND))


@pytest.mark.parametrize("kind", p.KINDS)
def test_is_the_same_rule_whatever_the_network_predicts(kind):
    random = torch.Generator().manual_seed(1)
    cond, uncond = (torch.randn(2, 3, 4, 4, generator=random, dtype=torch.float64) for _ in range(2))
    denoise = p.denoiser(kind, lambda x_t, level: torch.cat([cond, uncond]))
    expected = p.to_x0(kind, uncond + 3 * (cond - uncond), X_T, 0.4)
    torch.testing.assert_close(guided(never, denoise, 3.0)(X_T, 0.4), expected)


def test_stops_above_a_noise_level_and_costs_nothing_there():
    """sigma = 2 is alpha_bar = 1 / (1 + 4)."""

    def branch(x_t, alpha_bar):
        assert alpha_bar < 0.2
        return COND

    denoise = guided(branch, both, 3.0, below=2.0)
    assert denoise(X_T, 0.19) is COND and denoise(X_T, 0.0) is COND
    torch.testing.assert_close(denoise(X_T, 0.21), UNCOND + 3 * (COND - UNCOND))


def test_has_no_bound_unless_told():
    torch.testing.assert_close(guided(never, both, 3.0)(X_T, 0.0), UNCOND + 3 * (COND - UNCOND))
