"""Vessels, drapes, skin, lashes, lamps, metal: detail is seen at large sizes and gone, not broken, at small ones."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from surgaug.phantom.canvas import Frame
from surgaug.phantom.geometry import make_scene
from surgaug.phantom.reflexes import wet_light
from surgaug.phantom.render_eye import lashes
from surgaug.phantom.render_stroke import draw_stroke
from surgaug.phantom.scene import ASPECT, Stroke
from surgaug.phantom.skin import drape, skin
from surgaug.phantom.vessels import vessels
from surgaug.phantom.video_style import video_style

CANVAS = (1.0, 1.25)


def frame(hw: tuple[int, int], level: float) -> Frame:
    empty = Frame(hw)
    empty.image[:] = level
    return empty


def fine_contrast(image: np.ndarray) -> float:
    """What is left of an image when it is blurred a little and that is taken away."""
    return float((image - cv2.GaussianBlur(image, (0, 0), 1.0)).std())


@pytest.mark.parametrize("video", [2, 9])
def test_vessels_end_before_the_cornea_and_cover_as_much_at_every_size(video):
    style, wide = video_style(video), (2.2, 2.8)
    cover = []
    for scale in (64, 256):
        surface, deep = vessels(style, wide, scale)
        y, x = np.indices(surface.shape)
        r = np.hypot((x + 0.5) / scale - wide[1] / 2, (y + 0.5) / scale - wide[0] / 2) / style.radius
        assert not surface[r < 1 - 1.5 / scale / style.radius].any()
        assert surface[(r > 1.3) & (r < 2)].any() and deep.any()
        cover.append(surface.mean())
    assert cover[0] == pytest.approx(cover[1], rel=0.35)


@pytest.mark.parametrize("surface", [skin, drape])
@pytest.mark.parametrize("video", [1, 4])
def test_a_surface_drawn_small_is_the_large_one_averaged(surface, video):
    style = video_style(video)
    small, large = (surface(style, CANVAS, (k * 64, k * 80)).mean(axis=2) for k in (1, 4))
    averaged = cv2.resize(large, (80, 64), interpolation=cv2.INTER_AREA)
    assert np.abs(small - averaged).mean() < 0.45 * averaged.std()
    assert fine_contrast(small) < 1.25 * fine_contrast(averaged) + 0.004


def test_the_weave_shows_at_540_and_makes_no_moire_at_64():
    style = next(video_style(v) for v in range(1, 26) if video_style(v).tape_kind == "gauze")

    def at_the_thread(scale: int) -> float:
        """Share of contrast near the thread's frequency, 80 a frame height."""
        image = drape(style, CANVAS, (scale, round(1.25 * scale))).mean(axis=2)[:, :scale]
        power = np.abs(np.fft.fft2(image - image.mean())) ** 2
        f = np.fft.fftfreq(scale, 1 / scale)
        r = np.hypot(f[:, None], f[None])
        return float(power[(r > 70) & (r < 125)].sum() / power.sum())

    assert at_the_thread(540) > 0.04
    assert at_the_thread(540) > 3 * at_the_thread(140)


def test_lashes_only_darken_the_skin_near_the_rim():
    scene = make_scene(5)
    canvas = frame((256, 448), 1.0)
    before = canvas.label_map.copy()
    lashes(canvas, scene, np.random.default_rng(0))
    dark = canvas.image[..., 0]
    assert dark.max() <= 1 and dark.min() < 0.5
    assert np.array_equal(canvas.label_map, before)
    outline = scene.opening.astype(np.float32)
    far = [cv2.pointPolygonTest(outline, (x / 256, y / 256), True) for y, x in np.argwhere(dark < 0.7).tolist()]
    assert max(far) < 0.05 and min(far) > -0.25  # positive inside the opening, which is laid over them


def test_lamps_bring_as_much_light_at_every_size():
    for seed in range(4):
        scene = make_scene(seed)
        light = []
        for hw in ((64, 112), (256, 448)):
            canvas = frame(hw, 0.0)
            wet_light(canvas, scene, np.random.default_rng(seed))
            light.append(canvas.image.mean())
        assert light[0] == pytest.approx(light[1], rel=0.2)


def test_a_thin_rod_is_even_and_a_thick_one_has_a_sharp_highlight():
    style = video_style(1)
    path = np.array([[0.2, 0.2], [ASPECT - 0.2, 0.71]])

    def along(half_width: float, scale: int) -> np.ndarray:
        """Brightest value of each column that the rod crosses."""
        canvas = frame((scale, round(scale * ASPECT)), 0.0)
        draw_stroke(canvas, Stroke(7, path, np.array([half_width, half_width]), "steel", 0.2), style)
        return canvas.image.mean(axis=2).max(axis=0)[scale // 2 : -scale // 2]

    thin = along(0.008, 64)
    assert (thin - cv2.GaussianBlur(thin[None], (0, 0), 5)[0]).std() < 0.16 * thin.mean()
    assert along(0.04, 540).mean() > 1.15 * along(0.04, 48).mean()
