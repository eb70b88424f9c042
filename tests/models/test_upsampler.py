"""The second stage's network: enlarging, places, preconditioning, and images made in tiles."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from surgaug.diffusion.schedules import Schedule
from surgaug.models.families import upsampler
from surgaug.models.tiles import part, reach, tiles
from surgaug.models.unet import UNetConfig
from surgaug.models.upsampler import DETAIL, LEAST_NOISE, Upsampler, Window, enlarge
from surgaug.training.diffusion_step import strata

CONFIG = replace(
    upsampler.PRESETS["tiny"], channels=(8, 8, 8), spade_hidden=8, noise_dim=16, label_channels=4, style=False
)
CLASSES = 4


def network(std: float = 0.15, config: UNetConfig = CONFIG) -> Upsampler:
    torch.manual_seed(0)
    net = Upsampler(config, CLASSES).eval()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=std)
    return net


class Scene:
    """A frame of noise with its label map and its small picture, which a network sees a window of."""

    def __init__(self, net: Upsampler, frame: tuple[int, int]):
        generator = torch.Generator().manual_seed(1)
        self.net, self.frame = net, frame
        self.index_map = torch.randint(0, CLASSES, (1, *frame), dtype=torch.uint8, generator=generator)
        self.small = torch.rand(1, 3, frame[0] // 8, frame[1] // 8, generator=generator) * 2 - 1
        self.x_t = torch.randn(1, 3, *frame, generator=generator)

    @torch.no_grad()
    def made(self, window: Window, x_t: torch.Tensor | None = None) -> torch.Tensor:
        rows, columns = part(window)
        more = enlarge(self.small, [window]), torch.tensor([0.1]), self.net.places([window])
        cond = self.net.condition(self.index_map[:, rows, columns], None, *more)
        return self.net((self.x_t if x_t is None else x_t)[:, :, rows, columns], torch.tensor([0.8]), cond)


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_a_window_is_cut_from_bicubic_enlargement(data):
    small = tuple(data.draw(st.integers(1, 9)) for _ in range(2))
    frame = tuple(n * data.draw(st.integers(1, 5)) + data.draw(st.integers(0, 3)) for n in small)
    size = tuple(data.draw(st.integers(1, n)) for n in frame)
    corner = tuple(data.draw(st.integers(0, n - s)) for n, s in zip(frame, size, strict=True))
    picture = torch.rand(1, 3, *small)
    window = Window(frame, *corner, size)
    rows, columns = part(window)
    whole = F.interpolate(picture, frame, mode="bicubic")
    torch.testing.assert_close(enlarge(picture, [window]), whole[:, :, rows, columns], rtol=0, atol=2e-6)


def test_within_autocast_the_picture_is_enlarged_as_without():
    """It is part of the output: in bf16 a flat picture would get bands."""
    small, window = torch.full((1, 3, 96, 168), 0.8), [Window.whole((256, 448))]
    with torch.autocast("cpu", torch.bfloat16):
        enlarged = enlarge(small, window)
        assert torch.mm(small[0, 0], small[0, 0].T).dtype == torch.bfloat16
    assert torch.equal(enlarged, enlarge(small, window)) and enlarged.dtype == torch.float32


def test_places_are_those_of_the_frame():
    net = network()
    whole = net.places([Window.whole((64, 96))])
    assert whole.shape == (1, 2, 32, 48)
    assert (whole[0, 0, 0, 0], whole[0, 1, 0, -1]) == pytest.approx((-1 + 1 / 32, 1 - 1 / 48))
    assert torch.equal(net.places([Window((64, 96), 16, 24, (32, 40))])[0], whole[0, :, 8:24, 12:32])


def test_without_noise_the_image_stays_and_with_much_it_is_the_enlarged_picture():
    """Whatever the network puts out: at sigma 0 it counts for nothing, and at large sigma for `DETAIL` of it."""
    scene = Scene(network(), (32, 48))
    window = Window.whole(scene.frame)
    picture = enlarge(scene.small, [window])
    with torch.no_grad():
        cond = scene.net.condition(scene.index_map, None, picture, torch.tensor([0.1]), scene.net.places([window]))
        clean = scene.net(scene.x_t, torch.tensor([1.0]), cond)
        noisy = scene.net(scene.x_t, torch.tensor([1e-3]), cond)
        put_out = super(Upsampler, scene.net).forward(scene.x_t, torch.tensor([1e-3]), cond)
    torch.testing.assert_close(clean, scene.x_t)
    torch.testing.assert_close(noisy, picture + DETAIL * put_out, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("floor", [DETAIL, 0.006])
def test_no_weight_is_infinite(floor):
    """float32 rounds sqrt(alpha_bar) to 1 within 3e-8 of it; at step 4,296 of seed 0 a frame is drawn there."""
    net, schedule = Upsampler(CONFIG, CLASSES), Schedule(hand_over=1.0)
    net.noise_floor.fill_(floor)
    drawn = schedule.sample_levels(strata(8, torch.Generator().manual_seed(4296))).sqrt().float()
    assert drawn.max() == 1
    near = 1 - torch.tensor([0, 1e-9, 3e-8, 1e-7, 1e-6], dtype=torch.float64)
    for level in (drawn, near.float()):
        assert bool(((net.weight(level) > 0) & (net.weight(level) < 2 / LEAST_NOISE**2)).all())


@pytest.mark.parametrize("floor", [DETAIL, 0.01])
def test_weights_make_every_level_count_alike(floor):
    """What the network should put out has variance 1 where the missing detail has the variance `DETAIL`^2."""
    net = Upsampler(CONFIG, CLASSES)
    net.noise_floor.fill_(floor)
    for sigma in (0.02, 0.1, 1.0):
        level = torch.tensor([(1 + sigma**2) ** -0.5], dtype=torch.float64)
        generator = torch.Generator().manual_seed(0)
        detail, eps = torch.randn(2, 1_000_000, dtype=torch.float64, generator=generator) * torch.tensor(
            [[DETAIL], [1]]
        )
        kept = floor**2 / (sigma**2 + floor**2)
        error = detail - kept * (detail + sigma * eps)  # of an estimate in which the network puts out nothing
        assert (net.weight(level) * error.square().mean()).item() == pytest.approx(1, rel=0.01)


def test_noise_is_passed_on_only_below_the_frames_own():
    """Where the network puts out nothing, the estimate holds noise of kept * sigma, of white data the best estimate."""
    scene = Scene(network(), (32, 48))
    for parameter in scene.net.out.parameters():
        torch.nn.init.zeros_(parameter)
    window, sigma, floor = Window.whole(scene.frame), 0.3, 0.02
    scene.net.noise_floor.fill_(floor)
    picture = enlarge(scene.small, [window])
    eps = torch.randn(picture.shape, generator=torch.Generator().manual_seed(1))
    alpha = (1 + sigma**2) ** -0.5
    with torch.no_grad():
        cond = scene.net.condition(scene.index_map, None, picture, torch.tensor([0.0]), scene.net.places([window]))
        estimate = scene.net(alpha * (picture + sigma * eps), torch.tensor([alpha]), cond)
    expected = picture + floor**2 / (sigma**2 + floor**2) * sigma * eps
    torch.testing.assert_close(estimate, expected, rtol=0, atol=1e-5)


def test_a_file_without_a_noise_floor_is_read_as_it_was_trained():
    weights = network().state_dict()
    weights["detail"].fill_(0.03)
    del weights["noise_floor"]
    net = Upsampler(CONFIG, CLASSES)
    net.load_state_dict(weights)
    assert net.noise_floor == net.detail == pytest.approx(0.03)


def test_nothing_further_away_than_its_reach_is_seen():
    scene = Scene(network(), (320, 328))
    other = scene.x_t.clone()
    other[:, :, 160, 164] += 100
    window = Window.whole(scene.frame)
    changed = (scene.made(window, other) != scene.made(window)).any(dim=1)[0].nonzero()
    seen = (changed - torch.tensor([160, 164])).abs().max().item()
    assert seen > 40  # it does see something
    assert seen <= reach(CONFIG)


@pytest.mark.parametrize(("frame", "patch"), [((300, 412), 2), ((257, 131), 2), ((64, 64), 2), ((257, 40), 3)])
def test_tiles_equal_the_whole(frame, patch):
    config = replace(CONFIG, patch=patch)
    scene = Scene(network(config=config), frame)
    whole, out = scene.made(Window.whole(frame)), torch.full((1, 3, *frame), torch.nan)
    for tile in tiles(frame, config, 64):
        rows, columns = part(tile.kept)
        assert out[:, :, rows, columns].isnan().all()  # each pixel once
        out[:, :, rows, columns] = scene.made(tile.window)[(..., *tile.inside)]
    # A grey level is 2 / 255.
    torch.testing.assert_close(out, whole, rtol=0, atol=1e-5)


def test_a_network_that_looks_further_is_caught():
    """The check above can fail: with statistics over space, tiles differ."""
    net = Upsampler(replace(CONFIG, norm="group"), CLASSES).eval()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.15)
    scene = Scene(net, (300, 412))
    whole = scene.made(Window.whole(scene.frame))
    tile = next(tiles(scene.frame, CONFIG, 64))
    rows, columns = part(tile.kept)
    difference = scene.made(tile.window)[(..., *tile.inside)] - whole[:, :, rows, columns]
    assert difference.abs().max() > 1e-4  # ten times what is allowed above


@pytest.mark.parametrize("name", upsampler.PRESETS)
def test_presets_can_be_made_in_tiles(name):
    config = upsampler.PRESETS[name]
    assert not any(config.attention) and not config.middle_attention and config.norm == "channel"
