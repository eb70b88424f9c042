"""Windows of training frames: image, label map and small picture belong together, and rare classes are in them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from test_loop import settings

from surgaug.runtime.feedback import Silent
from surgaug.training.data import load_data
from surgaug.training.frames import batches
from surgaug.training.windows import LEAST_DETAIL, WindowedFrames, noise_floor, spots

FRAME = (96, 128)


@pytest.fixture(scope="module")
def frames(tmp_path_factory) -> WindowedFrames:
    """Frames whose pixels tell where they lie, with one small spot of class 1."""
    root = tmp_path_factory.mktemp("data")
    for sub in ("images", "labels"):
        (root / sub).mkdir()
    down, across = np.mgrid[: FRAME[0], : FRAME[1]]
    for i in range(24):
        image = np.stack([down, across, np.full(FRAME, 10 * i)], axis=-1).astype(np.uint8)
        label = np.zeros(FRAME, np.uint8)
        label[80:84, 4:8] = 1
        cv2.imwrite(str(root / "images" / f"f{i:02}.png"), image[:, :, ::-1])
        cv2.imwrite(str(root / "labels" / f"f{i:02}.png"), label)
    more = ("cascade.base=24x32", "cascade.window=32x32", "network.channels=8,8", "init=none")
    config = settings(root, root / "run", *more, model="upsampler", size="96x128")
    return load_data(config, Silent()).frames


def test_image_label_map_and_place_are_of_one_window(frames):
    for k in range(40):
        image, index_map, of = frames.draw(k % len(frames), np.random.default_rng(k), "hv", 0.0)
        assert image.shape == (32, 32, 3) and index_map.shape == (32, 32)
        window = of.window
        down, across = (sorted(axis) for axis in (image[[0, -1], 0, 0].tolist(), image[0, [0, -1], 1].tolist()))
        upside, mirrored = int(image[0, 0, 0]) > int(image[-1, 0, 0]), int(image[0, 0, 1]) > int(image[0, -1, 1])
        top = FRAME[0] - 32 - window.top if upside else window.top
        left = FRAME[1] - 32 - window.left if mirrored else window.left
        assert (down, across) == ([top, top + 31], [left, left + 31])
        spot = np.zeros(FRAME, np.uint8)
        spot[80:84, 4:8] = 1
        part = spot[top : top + 32, left : left + 32]
        part = part[::-1] if upside else part
        assert np.array_equal(index_map, part[:, ::-1] if mirrored else part)
        # The small picture is of the whole frame, turned as the window is.
        assert (of.small[0, 0, 0] > of.small[-1, 0, 0]) == upside and (
            of.small[0, 0, 1] > of.small[0, -1, 1]
        ) == mirrored


def test_a_rare_class_is_in_many_windows(frames):
    drawn = [frames.draw(0, np.random.default_rng(k), "", 0.0)[1] for k in range(400)]
    share = np.mean([(index_map == 1).any() for index_map in drawn])
    assert share > 0.2  # half of the windows are about a class, half of these about this one; by chance it is in 6 %


def test_windows_depend_on_seed_and_position_alone(frames):
    arguments = {"seed": 3, "batch": 4, "part": slice(0, 4), "flip": "h", "zoom": 0.0}
    stream = batches(frames, np.ones(len(frames)), step=0, **arguments)
    first = [next(stream) for _ in range(3)]
    again = next(batches(frames, np.ones(len(frames)), step=2, **arguments))
    assert np.array_equal(first[2].images, again.images)
    assert [w.window for w in first[2].windows] == [w.window for w in again.windows]


def test_spots_lie_in_their_class():
    index_map = np.zeros((20, 30), np.uint8)
    index_map[5, 7], index_map[10:12, 3:9], index_map[0, 0] = 2, 5, 255
    found = spots(index_map, np.random.default_rng(0))
    assert set(found[:, 0].tolist()) == {0, 1, 2}  # 255 is no class
    assert [set(index_map[tuple(found[found[:, 0] == k, 1:].T)].tolist()) for k in range(3)] == [{0}, {2}, {5}]
    assert spots(np.full((4, 4), 255, np.uint8), np.random.default_rng(0)).shape == (0, 3)


def test_detail_is_what_the_windows_small_pictures_lack(frames, monkeypatch):
    """Of the first stage's own, which here are too bright by 20 grey levels: the fault, as often as they are used."""
    plain = frames.detail()
    assert plain == pytest.approx(LEAST_DETAIL)  # ramps, which lose nothing
    smalls = {i: frames.about(i)[0] for i in range(len(frames))}
    bright = {i: np.clip(small.astype(int) + 20, 0, 255).astype(np.uint8) for i, small in smalls.items()}
    for own, pictures, expected in ((0.75, smalls, plain), (0.0, bright, plain)):
        monkeypatch.setattr(frames, "own", own)
        monkeypatch.setattr(frames, "own_pictures", pictures)
        assert frames.detail() == pytest.approx(expected)
    monkeypatch.setattr(frames, "own", 1.0)
    whole = frames.detail()
    assert whole == pytest.approx(20 / 127.5, rel=0.1)  # but where they are white already
    monkeypatch.setattr(frames, "own", 0.5)
    assert frames.detail() == pytest.approx(whole / np.sqrt(2), rel=1e-3)


@pytest.mark.parametrize("sd", [1.5, 6.0])
def test_the_noise_floor_is_the_noise_of_smooth_places(sd):
    """Whatever edges, texture, black corners and burnt-out lights add. The smoothest places have a little less."""
    rng = np.random.default_rng(0)
    image = np.full((128, 192, 3), 120.0)
    image[:, 96:] += rng.normal(0, 30, (128, 96, 3))  # texture
    image += rng.normal(0, sd, image.shape)
    image[::16, :40] = 250  # edges
    image[:32, :32], image[64:, :16] = 0, 255
    assert noise_floor(image.clip(0, 255).round().astype(np.uint8)) == pytest.approx(sd / 127.5, rel=0.15)


def test_a_picture_that_is_all_black_has_no_noise():
    assert noise_floor(np.zeros((31, 33, 3), np.uint8)) == 0
