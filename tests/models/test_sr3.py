"""SR3's network as published, and SDM's: the papers' numbers of weights, skips, sizes, and both of SPADE's norms."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from surgaug.models.blocks import INV_SQRT2, ResBlock, doubled, halved
from surgaug.models.families.diffusion import SDM, THESIS, build
from surgaug.models.spade import OwnModulation, class_shares
from surgaug.models.sr3 import SR3UNet

SMALL = replace(
    THESIS, channels=(16, 24, 32), encoder_blocks=(1, 2, 1), decoder_blocks=(2, 3, 2), attention=(False, False, True),
    spade=(True, False, True), spade_hidden=8, label_channels=4, head_dim=16, noise_dim=32, dropout=0.0,
)  # fmt: skip
NETWORKS = {"thesis": SMALL, "sdm": replace(SMALL, label_channels=0, spade_norms=2, spade=(True, True, True))}
networks = pytest.mark.parametrize("name", NETWORKS)


def net_and_maps(name: str, hw: tuple[int, int] = (16, 24), b: int = 3):
    torch.manual_seed(0)
    net = build(NETWORKS[name], 5).eval()
    for p in net.parameters():  # the zero-initialised layers would hide every dependence
        torch.nn.init.normal_(p, std=0.1)
    maps = torch.randint(0, 5, (b, *hw), dtype=torch.uint8)
    return net, maps, torch.randn(b, 3, *hw), torch.rand(b)


def millions(channels: tuple[int, ...], blocks: int, attention: set[int], noise_dim: int, head_dim: int) -> float:
    """Of the network without SPADE, with attention at these levels."""
    levels = range(len(channels))
    config = replace(
        SDM, channels=channels, encoder_blocks=(blocks,) * len(channels), decoder_blocks=(blocks + 1,) * len(channels),
        attention=tuple(level in attention for level in levels), spade=(False,) * len(channels), spade_norms=1,
        noise_dim=noise_dim, head_dim=head_dim,
    )  # fmt: skip
    with torch.device("meta"):
        net = SR3UNet(config, 3)
    every, labels = (sum(p.numel() for p in part.parameters()) for part in (net, net.modulation))
    return (every - labels) / 1e6


def test_the_published_numbers_of_weights():
    """SR3, table of appendix A (16x16 to 128x128: 550 million, 64x64 to 256x256: 625); ADM for 256x256: 554."""
    c = 128
    assert millions((c, 2 * c, 4 * c, 8 * c, 8 * c), 3, {3}, 256, 1024) == pytest.approx(550, rel=0.035)
    assert millions((c, 2 * c, 4 * c, 4 * c, 8 * c, 8 * c), 3, {4}, 256, 1024) == pytest.approx(625, rel=0.035)
    assert millions(SDM.channels, 2, {3, 4, 5}, SDM.noise_dim, SDM.head_dim) == pytest.approx(554, rel=0.003)


@networks
@pytest.mark.parametrize("hw", [(16, 16), (13, 27), (9, 8)])
def test_any_height_and_width_and_samples_alone(name, hw):
    net, maps, x, level = net_and_maps(name, hw)
    with torch.no_grad():
        cond = net.encode(maps)
        together = net(x, level, cond)
        alone = net(x[1:2], level[1:2], cond.select(slice(1, 2)))
    assert together.shape == x.shape
    torch.testing.assert_close(alone, together[1:2], rtol=1e-4, atol=1e-5)


@networks
def test_image_level_and_label_count_and_no_label_is_no_class(name):
    net, maps, x, level = net_and_maps(name)
    with torch.no_grad():
        out = net(x, level, net.encode(maps))
        assert not torch.allclose(out, net(x + 0.1, level, net.encode(maps)))
        assert not torch.allclose(out, net(x, 1 - level, net.encode(maps)))
        assert not torch.allclose(out, net(x, level, net.encode((maps + 1) % 5)))
        none, beyond, first = (net(x, level, net.encode(torch.full_like(maps, k))) for k in (255, 5, 0))
    assert torch.equal(none, beyond) and not torch.allclose(none, first)


def test_the_label_map_of_sdm_is_unknown_to_the_encoder():
    net, maps, x, level = net_and_maps("sdm")
    seen = []
    net.middle[0].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    with torch.no_grad():
        for labels in (maps, (maps + 1) % 5):
            net(x, level, net.encode(labels))
    assert torch.equal(*seen)
    assert net.ends == [net.image_entry, net.out]


def test_every_skip_of_the_encoder_counts():
    net, maps, x, level = net_and_maps("thesis")
    assert len(net.decoder) == len(net.encoder) + 1 == sum(n + 1 for n in SMALL.encoder_blocks)
    with torch.no_grad():
        plain = net(x, level, net.encode(maps))
        for step in net.decoder:  # without what the skip brings to it
            behind = step[0].norm1.num_channels - 8  # the last channels are the skip's
            hook = step[0].register_forward_pre_hook(lambda module, args, n=behind: (_without(args[0], n), *args[1:]))
            assert not torch.allclose(net(x, level, net.encode(maps)), plain)
            hook.remove()


def _without(h: torch.Tensor, kept: int) -> torch.Tensor:
    return torch.cat([h[:, :kept], torch.zeros_like(h[:, kept:])], dim=1)


@networks
def test_which_norms_are_spades(name):
    """Those of the middle and of the chosen levels, that of the block which leaves a level at its own size."""
    net, maps, *_ = net_and_maps(name)
    config = NETWORKS[name]
    norms = [m for m in net.modules() if isinstance(m, torch.nn.GroupNorm) and not m.affine]
    blocks = 2 + sum((n + 1 + (level > 0)) for level, n in enumerate(config.encoder_blocks) if config.spade[level])
    modulation = net.encode(maps).modulation
    assert len(norms) == len(modulation) == blocks * config.spade_norms
    assert {scale.shape[-2] for scale, _ in modulation} == ({16, 8, 4} if name == "sdm" else {16, 4})


def test_spades_layer_by_hand():
    """One hidden channel that sees class 1 alone, doubled for the scale and halved for the shift."""
    layer = OwnModulation(2, 1, 1, 1)
    with torch.no_grad():
        for p in layer.parameters():
            p.zero_()
        layer.shared.weight[0, 1, 1, 1] = 1
        layer.scale_shift.conv.weight[:, 0, 0, 0] = torch.tensor([2.0, 0.5])
        label_map = torch.tensor([[[0, 1], [1, 255]]], dtype=torch.uint8)
        scale, shift = layer(class_shares(label_map, 2, torch.float32))
    assert scale[0, 0].tolist() == [[1, 3], [3, 1]] and shift[0, 0].tolist() == [[0, 0.5], [0.5, 0]]


def test_a_block_that_changes_the_size_starts_as_the_resampled_input():
    x, e = torch.randn(2, 8, 6, 4), torch.randn(2, 16)
    half, double = (ResBlock(8, 8, 16, resample=change)(x, e) for change in (halved, doubled))
    torch.testing.assert_close(half, F.avg_pool2d(x, 2) * INV_SQRT2)
    torch.testing.assert_close(double, x.repeat_interleave(2, 2).repeat_interleave(2, 3) * INV_SQRT2)
