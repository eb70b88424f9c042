from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from surgaug.models.style import DIMENSION, StyleEmbedding, style_code
from surgaug.models.unet import SemanticUNet, UNetConfig

SMALL = UNetConfig(
    channels=(16, 32), encoder_blocks=(1, 1), decoder_blocks=(1, 1), attention=(False, True), spade=(True, True),
    spade_hidden=8, label_channels=4, head_dim=16, noise_dim=32,
)  # fmt: skip


def images(b: int = 4) -> torch.Tensor:
    return torch.rand(b, 3, 24, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_the_code_is_mean_spread_and_sharpness():
    x = images()
    code = style_code(x)
    assert code.shape == (4, DIMENSION)
    torch.testing.assert_close(code[:, :3], x.mean(dim=(2, 3)))
    torch.testing.assert_close(code[:, 3:6], x.flatten(2).std(dim=2, correction=0))
    assert (style_code(torch.nn.functional.avg_pool2d(x, 3, 1))[:, 6] < code[:, 6]).all()


@pytest.mark.parametrize("moved", [lambda x: x.flip(3), lambda x: x.flip(2), lambda x: x.flip(2, 3)])
def test_the_code_does_not_say_where_things_are(moved):
    torch.testing.assert_close(style_code(moved(images())), style_code(images()))


def test_a_flat_image_has_a_finite_code():
    assert style_code(torch.zeros(1, 3, 8, 8)).isfinite().all()


def test_any_style_differs_from_every_style_and_is_the_default():
    torch.manual_seed(0)
    net = SemanticUNet(replace(SMALL, style=True), 5).eval()
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.1)
    maps, x, level = torch.zeros(2, 8, 8, dtype=torch.uint8), torch.randn(2, 3, 8, 8), torch.rand(2)
    with torch.no_grad():
        cond = net.encode(maps)
        default = net(x, level, cond)
        unknown = net(x, level, net.in_style(cond, torch.full((2, DIMENSION), torch.nan)))
        plain = net(x, level, net.in_style(cond, torch.zeros(2, DIMENSION)))
    torch.testing.assert_close(default, unknown)
    assert not torch.allclose(default, plain)


def test_it_starts_without_effect():
    torch.manual_seed(0)
    assert (StyleEmbedding(16)(style_code(images())) == 0).all()


def test_after_fitting_a_code_counts_by_how_rare_it_is():
    """As if codes had been brought to mean 0 and standard deviation 1 before an embedding that was not fitted."""
    torch.manual_seed(0)
    plain = StyleEmbedding(16)
    torch.nn.init.normal_(plain.mlp[2].weight)
    fitted = copy.deepcopy(plain)
    codes = torch.randn(50, DIMENSION) * torch.linspace(0.03, 0.4, DIMENSION) + torch.linspace(-1, 1, DIMENSION)
    fitted.fit(codes)
    spread, mean = torch.std_mean(codes, dim=0, correction=0)
    torch.testing.assert_close(fitted(codes), plain((codes - mean) / spread), rtol=1e-3, atol=1e-4)
    fitted.fit(codes[:1].expand(5, DIMENSION))  # frames that all look the same
    assert fitted(codes).isfinite().all()


def test_a_network_without_styles_ignores_them():
    net = SemanticUNet(SMALL, 5)
    cond = net.encode(torch.zeros(2, 8, 8, dtype=torch.uint8))
    assert net.in_style(cond, torch.zeros(2, DIMENSION)).style is None
