"""Loss values and min-SNR weights against their closed forms."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from surgaug.diffusion import parameterisation as p
from surgaug.diffusion.loss import loss, min_snr_weight
from surgaug.errors import UsageError


@given(st.floats(1e-9, 1 - 1e-9), st.floats(0.1, 100))
def test_min_snr_weights(alpha_bar, gamma):
    snr = alpha_bar / (1 - alpha_bar)
    level = torch.tensor([alpha_bar], dtype=torch.float64)
    assert min_snr_weight("x0", level, gamma).item() == pytest.approx(min(snr, gamma), rel=1e-9)
    assert min_snr_weight("eps", level, gamma).item() == pytest.approx(min(snr, gamma) / snr, rel=1e-9)
    assert min_snr_weight("v", level, gamma).item() == pytest.approx(min(snr, gamma) / (snr + 1), rel=1e-9)


@given(st.floats(0, 1), st.floats(0, 0.5))
def test_the_floor_lifts_the_noisiest_levels_alone(alpha_bar, floor):
    level = torch.tensor([alpha_bar], dtype=torch.float64)
    snr = alpha_bar / (1 - alpha_bar) if alpha_bar < 1 else float("inf")
    weight = min(max(snr, floor), 5.0)
    assert min_snr_weight("x0", level, 5.0, floor).item() == pytest.approx(weight, rel=1e-9)
    if 0 < snr < float("inf"):
        assert min_snr_weight("v", level, 5.0, floor).item() == pytest.approx(weight / (snr + 1), rel=1e-9)


@pytest.mark.parametrize("floor", [-0.1, 6.0])
def test_a_floor_above_gamma_or_below_nothing_is_refused(floor):
    with pytest.raises(UsageError, match="min_snr_floor"):
        min_snr_weight("x0", torch.tensor([0.5]), 5.0, floor)


@pytest.mark.parametrize(("kind", "expected"), [("eps", [1, 0]), ("v", [0, 0]), ("x0", [0, 5])])
def test_min_snr_weights_at_both_ends(kind, expected):
    weights = min_snr_weight(kind, torch.tensor([0.0, 1.0], dtype=torch.float64), 5.0)
    assert weights.tolist() == expected


@pytest.mark.parametrize("kind", p.KINDS)
def test_min_snr_weighs_the_image_error_alike_whatever_is_predicted(kind):
    random = torch.Generator().manual_seed(0)
    x_0, eps, error = (torch.randn(5, 3, 4, 4, generator=random, dtype=torch.float64) for _ in range(3))
    alpha_bar = torch.tensor([0.01, 0.3, 0.7, 0.9, 0.99], dtype=torch.float64)
    x_t = p.add_noise(x_0, eps, alpha_bar)
    # The output that stands for the estimate x_0 + error: its noise estimate explains x_t together with that image.
    level = alpha_bar.reshape(-1, 1, 1, 1)
    wrong = p.target(kind, x_0 + error, (x_t - level.sqrt() * (x_0 + error)) / (1 - level).sqrt(), alpha_bar)
    value = loss(wrong, p.target(kind, x_0, eps, alpha_bar), min_snr_weight(kind, alpha_bar, 5.0))
    expected = (alpha_bar / (1 - alpha_bar)).clamp(max=5) * error.square().mean((1, 2, 3))
    torch.testing.assert_close(value, expected)


def test_min_snr_needs_a_positive_gamma():
    with pytest.raises(UsageError, match="min_snr_gamma"):
        min_snr_weight("v", torch.tensor([0.5]), 0.0)


def test_loss_is_one_value_a_sample():
    out = torch.tensor([[[[1.0, -3.0]]], [[[0.0, 2.0]]]])
    target = torch.zeros_like(out)
    assert loss(out, target).tolist() == [5.0, 2.0]
    assert loss(out, target, norm="l1").tolist() == [2.0, 1.0]
    assert loss(out, target, torch.tensor([2.0, 0.5], dtype=torch.float64)).tolist() == [10.0, 1.0]


def test_loss_of_half_precision_is_taken_in_float32():
    out = torch.full([1, 3, 8, 8], 300.0, dtype=torch.float16)
    value = loss(out, torch.zeros_like(out))
    assert value.dtype == torch.float32
    assert value.item() == 90000


def test_unknown_norms_are_refused():
    with pytest.raises(UsageError, match="'l3' is not one of l1, l2"):
        loss(torch.zeros(1, 1), torch.zeros(1, 1), norm="l3")
