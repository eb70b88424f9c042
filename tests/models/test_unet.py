from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from surgaug.models.families.diffusion import PRESETS, build
from surgaug.models.spade import class_shares, pyramid
from surgaug.models.unet import Conditioning, SemanticUNet, UNetConfig

SMALL = UNetConfig(
    channels=(16, 32), encoder_blocks=(1, 1), decoder_blocks=(1, 1), attention=(False, True), spade=(True, True),
    spade_hidden=8, label_channels=4, head_dim=16, noise_dim=32,
)  # fmt: skip


def net_and_maps(config: UNetConfig = SMALL, hw: tuple[int, int] = (16, 24), b: int = 3):
    torch.manual_seed(0)
    net = SemanticUNet(config, 5).eval()
    for p in net.parameters():  # the zero-initialised layers would hide every dependence
        torch.nn.init.normal_(p, std=0.1)
    maps = torch.randint(0, 5, (b, *hw), dtype=torch.uint8)
    return net, maps, torch.randn(b, 3, *hw), torch.rand(b)


@pytest.mark.parametrize("join", ["sum", "concat"])
@pytest.mark.parametrize("patch", [1, 2, 4])
@pytest.mark.parametrize("hw", [(16, 16), (13, 27), (9, 8)])
def test_any_height_and_width(join, patch, hw):
    net, maps, x, level = net_and_maps(replace(SMALL, join=join, patch=patch), hw)
    with torch.no_grad():
        out = net(x, level, net.encode(maps))
    assert out.shape == x.shape
    assert out.isfinite().all()


def test_an_untrained_network_puts_out_zero():
    torch.manual_seed(0)
    net = SemanticUNet(SMALL, 5)
    out = net(torch.randn(2, 3, 16, 16), torch.rand(2), net.encode(torch.zeros(2, 16, 16, dtype=torch.uint8)))
    assert (out == 0).all()


@pytest.mark.parametrize("style", [False, True])
def test_conditioning_is_per_sample_and_reusable(style):
    net, maps, x, level = net_and_maps(replace(SMALL, style=style))
    with torch.no_grad():
        cond = net.in_style(net.encode(maps), torch.randn(3, 7))
        if style:  # one style for all, as the comparisons below ask for
            cond.style[:] = cond.style[0].clone()
        together = net(x, level, cond)
        for i in range(3):
            alone = net(x[i : i + 1], level[i : i + 1], cond.select(slice(i, i + 1)))
            torch.testing.assert_close(alone, together[i : i + 1], rtol=1e-4, atol=1e-5)
        spread = net(x, level, cond.select(slice(0, 1)).expand(3))
        repeated = net(x, level, cond.select(torch.tensor([0, 0, 0])))
        torch.testing.assert_close(spread, repeated, rtol=1e-4, atol=1e-5)
        again = Conditioning.cat([cond.select(slice(0, 2)), cond.select(slice(2, 3))])
        torch.testing.assert_close(net(x, level, again), together, rtol=1e-4, atol=1e-5)


def test_output_depends_on_image_level_and_label():
    net, maps, x, level = net_and_maps()
    with torch.no_grad():
        out = net(x, level, net.encode(maps))
        assert not torch.allclose(out, net(x + 0.1, level, net.encode(maps)))
        assert not torch.allclose(out, net(x, 1 - level, net.encode(maps)))
        assert not torch.allclose(out, net(x, level, net.encode((maps + 1) % 5)))


@pytest.mark.parametrize("patch", [1, 2])
@pytest.mark.parametrize("hw", [(16, 24), (13, 27)])
def test_finer_label_maps_of_whole_pixels_say_what_the_maps_say(patch, hw):
    net, maps, x, level = net_and_maps(replace(SMALL, patch=patch), hw)
    maps[0, :4] = 255
    fine = SemanticUNet(replace(SMALL, patch=patch, label_detail=3), 5).eval()
    fine.load_state_dict(net.state_dict())
    with torch.no_grad():
        told = fine.encode(maps.repeat_interleave(3, 1).repeat_interleave(3, 2))
        torch.testing.assert_close(fine(x, level, told), net(x, level, net.encode(maps)), rtol=1e-4, atol=1e-5)


def test_finer_label_maps_are_told_as_shares():
    """Half a pixel of one class and half of another come half way between: the entry is linear in the shares."""
    net, _, _, _ = net_and_maps()
    fine = SemanticUNet(replace(SMALL, label_detail=2), 5).eval()
    fine.load_state_dict(net.state_dict())
    half = torch.tensor([[1, 2]], dtype=torch.uint8).repeat(32, 24)[None]  # columns of 1 and 2 by turns
    with torch.no_grad():
        ones, twos = (net.encode(torch.full((1, 16, 24), k, dtype=torch.uint8)).entry for k in (1, 2))
        torch.testing.assert_close(fine.encode(half).entry, (ones + twos) / 2, rtol=1e-4, atol=1e-5)


def test_no_label_is_not_a_class():
    """255, and any value that is not a class, mean the same: no label."""
    net, _, x, level = net_and_maps()
    with torch.no_grad():
        null = net(x, level, net.encode(torch.full((3, 16, 24), 255, dtype=torch.uint8)))
        beyond = net(x, level, net.encode(torch.full((3, 16, 24), 5, dtype=torch.uint8)))
        zero = net(x, level, net.encode(torch.zeros((3, 16, 24), dtype=torch.uint8)))
    torch.testing.assert_close(null, beyond)
    assert not torch.allclose(null, zero)


def test_shares_are_the_area_average_of_the_one_hot_map():
    maps = torch.randint(0, 3, (2, 8, 8), dtype=torch.uint8)
    maps[0, :2, :2] = 255
    levels = pyramid(class_shares(maps, 3, torch.float32, 2), 2)
    for k in range(3):
        expected = (maps == k).float()
        torch.testing.assert_close(levels[0][:, k], F.avg_pool2d(expected, 2))
        torch.testing.assert_close(levels[1][:, k], F.avg_pool2d(expected, 4))
    assert levels[0][0, :, 0, 0].sum() == 0


def test_the_label_embedding_is_a_convolution_of_the_one_hot_map():
    net, maps, _, _ = net_and_maps()
    maps[0, 2:5, 3:9] = 255
    with torch.no_grad():
        expected = F.pixel_unshuffle(net.label_embedding(class_shares(maps, 5, torch.float32)), SMALL.patch)
        torch.testing.assert_close(net.encode(maps).entry, net.label_entry(expected))


def test_a_one_pixel_instrument_reaches_the_coarsest_level():
    net, maps, _, _ = net_and_maps()
    thin = torch.zeros_like(maps)
    with torch.no_grad():
        without = net.encode(thin).modulation
        thin[:, 5, 7] = 3
        with_it = net.encode(thin).modulation
    for (a, b), (c, d) in zip(without, with_it, strict=True):
        assert not torch.equal(a, c) and not torch.equal(b, d)


@pytest.mark.parametrize("name", ["tiny", "small", "thesis-tiny", "sdm-tiny"])
def test_presets_build_and_learn_one_step(name):
    torch.manual_seed(0)
    net = build(PRESETS[name], 36)
    maps = torch.randint(0, 36, (1, 32, 32), dtype=torch.uint8)
    out = net(torch.randn(1, 3, 32, 32), torch.rand(1), net.encode(maps))
    (out - 1).square().mean().backward()
    assert net.out.weight.grad.abs().sum() > 0


def test_every_preset_names_its_levels_consistently():
    for config in PRESETS.values():
        n = len(config.channels)
        assert {len(config.encoder_blocks), len(config.decoder_blocks), len(config.attention), len(config.spade)} == {n}
