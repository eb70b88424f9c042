"""The baselines' networks against what their papers say, and against what every family promises."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.vgg import cfgs, make_layers

from surgaug.errors import ModelError, UsageError
from surgaug.models import families
from surgaug.models.families import clade, cyclegan, pix2pix, pix2pixhd, spade
from surgaug.models.gan import MultiScaleDiscriminator, PatchDiscriminator, dropout, half
from surgaug.models.spade import class_shares
from surgaug.models.spade_generator import GRID
from surgaug.models.vgg import WEIGHTS, PerceptualLoss

SMALL = {
    "pix2pix": pix2pix.Config(channels=8, depth=4),
    "cyclegan": cyclegan.Config(channels=8, blocks=2),
    "spade": spade.Config(channels=(24, 16, 8), hidden=8, z=16),
    "clade": clade.Config(channels=(24, 16, 8), z=16),
    "pix2pixhd": pix2pixhd.Config(channels=8, downs=2, blocks=1, fine_blocks=1),
}
WITHOUT_NOISE = {"cyclegan", "pix2pixhd"}
CLASSES = 5


def a_net(family: str) -> nn.Module:
    torch.manual_seed(0)
    net = families.get(family).build(SMALL[family], CLASSES)
    for p in net.parameters():
        if p.dim() > 1:
            nn.init.normal_(p, std=0.1)
    if family == "pix2pixhd":
        net.grown.fill_(True)
    net.train()
    generate(net, *inputs(net, 8, (32, 32)))  # running statistics of batch normalisation
    return net.eval()


def inputs(net: nn.Module, n: int, size: tuple[int, int]) -> tuple[torch.Tensor, list[torch.Tensor]]:
    torch.manual_seed(1)
    index_map = torch.randint(0, CLASSES, (n, *size), dtype=torch.uint8)
    return index_map, [torch.randn(n, *shape) for shape in net.noise_shapes(size)]


@torch.no_grad()
def generate(net: nn.Module, index_map: torch.Tensor, noise: list[torch.Tensor]) -> torch.Tensor:
    return net(index_map, noise)


@pytest.mark.parametrize("family", SMALL)
@pytest.mark.parametrize("size", [(32, 48), (13, 18), (8, 8)])
def test_any_size_and_a_sample_depends_on_its_own_map_and_noise_alone(family, size):
    net = a_net(family)
    index_map, noise = inputs(net, 4, size)
    together = generate(net, index_map, noise)
    assert together.shape == (4, 3, *size) and together.abs().max() <= 1
    for i in range(4):
        alone = generate(net, index_map[i : i + 1], [z[i : i + 1] for z in noise])
        torch.testing.assert_close(alone[0], together[i], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", SMALL)
def test_map_and_noise_make_a_difference_and_no_label_is_no_class(family):
    net = a_net(family)
    index_map, noise = inputs(net, 2, (32, 32))
    images = generate(net, index_map, noise)
    assert not torch.allclose(images, generate(net, (index_map + 1) % CLASSES, noise), atol=1e-3)
    other = generate(net, index_map, [-z for z in noise])
    assert torch.equal(images, other) == (family in WITHOUT_NOISE)
    nothing, beyond, first = (generate(net, torch.full_like(index_map, k), noise) for k in (255, CLASSES, 0))
    assert torch.equal(nothing, beyond) and not torch.allclose(nothing, first, atol=1e-3)


@pytest.mark.parametrize(
    ("family", "millions"),
    [("pix2pix", 54.41), ("cyclegan", 11.38)],  # of the authors' programs, three channels in and out
)
def test_the_base_presets_have_the_published_number_of_weights(family, millions):
    module = families.get(family)
    net = module.build(module.PRESETS["base"], 3)
    assert sum(p.numel() for p in net.parameters()) / 1e6 == pytest.approx(millions, rel=1e-3)


def weights(net: nn.Module) -> float:
    return sum(p.numel() for p in net.parameters()) / 1e6


def test_published_numbers_of_weights_of_the_generators_for_ade20k():
    """CLADE's table 1, with 151 classes; its SPADE and CLADE have a convolution of the map where ours have z."""
    instead = 151 * 9 * 1024 / 1e6
    with torch.device("meta"):
        for module, millions in ((spade, 96.5), (clade, 71.4)):
            net = module.build(module.PRESETS["base"], 151)
            assert weights(net) - weights(net.entry) + instead == pytest.approx(millions, rel=2e-3)
        assert weights(pix2pixhd.build(pix2pixhd.PRESETS["base"], 151).coarse) == pytest.approx(182.9, rel=2e-3)


def test_clade_looks_its_scales_and_shifts_up():
    """Two classes and no label, of the normalised values -1 and 1: (1 + class) times, and 10 times the class more."""
    layer = clade.Clade(1, 2, "instance")
    layer.scale.data[:], layer.shift.data[:] = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [10.0]])
    x = torch.tensor([[[[3.0, 5.0, 3.0, 5.0]]]])
    out = layer(x, torch.tensor([[[[0.0, 1.0, 1.0, 2.0]]]]))
    torch.testing.assert_close(out.flatten().tolist(), [-1.0, 12.0, 8.0, 1.0], rtol=1e-4, atol=1e-4)


def test_before_it_is_grown_pix2pixhd_is_its_coarse_generator_enlarged():
    net = a_net("pix2pixhd")
    index_map, _ = inputs(net, 1, (32, 48))
    grown = generate(net, index_map, [])
    net.grown.fill_(False)
    with torch.no_grad():
        coarse = net.coarse(half(class_shares(index_map, CLASSES, torch.float32)))
    assert coarse.shape == (1, 3, 16, 24)
    enlarged = F.interpolate(coarse, scale_factor=2, mode="bilinear")
    torch.testing.assert_close(generate(net, index_map, []), enlarged)
    assert not torch.allclose(grown, enlarged, atol=0.01)


def test_halving_is_the_average_of_what_there_is():
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert half(x)[0, 0].tolist() == [[2.5, 4.0], [8.5, 10.0]]


def test_the_image_encoder_of_spade_is_the_papers():
    """Six halvings of 256x256, from 64 to 512 channels; mean and variance of z, whatever the picture's size."""
    encoder = spade.Encoder(spade.PRESETS["base"])
    assert encoder.side == 256
    assert [layer[0].out_channels for layer in encoder.layers] == [64, 128, 256, 512, 512, 512]
    small = spade.build(replace(SMALL["spade"], encoder=True), CLASSES)
    mean, log_variance = small.encoder(torch.randn(2, 3, 13, 40))
    assert mean.shape == log_variance.shape == (2, 16)


def test_spade_base_grows_from_4x4_to_256x256():
    config = spade.PRESETS["base"]
    assert (config.multiple * GRID, config.z, config.hidden) == (256, 256, 128)


def test_the_discriminator_sees_patches_of_70_pixels():
    judge = PatchDiscriminator(3, 8, 4)
    for stage in judge.stages[1:-1]:
        stage[1] = nn.Identity()  # instance normalisation looks at all positions
    x = torch.randn(1, 3, 128, 128, requires_grad=True)
    judge(x)[-1][0, 0, 8, 8].backward()
    seen = x.grad[0].abs().sum(0) > 0
    assert (int(seen.any(0).sum()), int(seen.any(1).sum())) == (70, 70)


def test_published_number_of_weights_of_the_discriminators():
    assert sum(p.numel() for p in PatchDiscriminator(6, 64, 4).parameters()) / 1e6 == pytest.approx(2.769, abs=1e-3)


def test_two_scales_and_their_features():
    judge = MultiScaleDiscriminator(4, 8, 4, 2)
    fine, coarse = judge(torch.randn(2, 4, 16, 16))
    assert len(fine) == len(coarse) == 5 and fine[-1].shape[1] == 1
    assert fine[0].shape[-1] > coarse[0].shape[-1]


@pytest.mark.parametrize("probability", [0.5, 0.2])
def test_dropout_by_noise_is_dropout(probability):
    x, noise = torch.ones(1, 100_000), torch.randn(1, 100_000)
    out = dropout(x, noise, probability)
    assert torch.equal(out, dropout(x, noise, probability))
    assert (out == 0).float().mean() == pytest.approx(probability, abs=0.01)
    assert out.mean() == pytest.approx(1, abs=0.02)


def test_class_colors_are_far_apart():
    colors = cyclegan.class_colors(36)
    assert colors.shape == (37, 3) and colors.abs().max() == 1
    distance = torch.cdist(colors, colors) + 9 * torch.eye(37)
    assert distance.min() > 0.5
    assert torch.equal(colors[-1], -torch.ones(3))


@pytest.fixture(scope="module")
def vgg(tmp_path_factory):
    """torchvision's network with random weights: file and layers."""
    torch.manual_seed(0)
    layers = make_layers(cfgs["E"])[:30]
    path = tmp_path_factory.mktemp("vgg") / "vgg19.pth"
    torch.save({f"features.{k}": v for k, v in layers.state_dict().items()}, path)
    return path, layers


def test_perceptual_loss_against_torchvisions_layers(vgg):
    path, layers = vgg
    x, y = torch.rand(2, 1, 3, 32, 32) * 2 - 1
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected, a, b = 0.0, *(((z + 1) / 2 - mean[:, None, None]) / std[:, None, None] for z in (x, y))
    weights = dict(zip((1, 6, 11, 20, 29), WEIGHTS, strict=True))  # relu1_1, relu2_1, ...
    for i, layer in enumerate(layers):
        a, b = layer(a), layer(b)
        if i in weights:
            expected = expected + weights[i] * F.l1_loss(a, b)
    torch.testing.assert_close(PerceptualLoss(path)(x, y), expected.detach())
    PerceptualLoss(path)(x.requires_grad_(), y.requires_grad_()).backward()
    assert x.grad.abs().sum() > 0 and y.grad is None


def test_perceptual_loss_names_a_file_that_it_cannot_use(tmp_path):
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("no weights")
    for name in ("other", "text", "absent"):
        with pytest.raises(ModelError, match=f"{name}.pth"):
            PerceptualLoss(tmp_path / f"{name}.pth")


def test_an_unknown_family_is_named():
    with pytest.raises(UsageError, match="diffusion, clade, cyclegan, pix2pix, pix2pixhd, spade"):
        families.get("stylegan")
