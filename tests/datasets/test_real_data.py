"""Real data sets, none of which may be shipped: found by SURGAUG_TEST_DATA, or beside the repository."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from surgaug.datasets.dataset import open_masks, open_pairs
from surgaug.datasets.survey import survey
from surgaug.errors import DataError
from surgaug.labels.builtin_spaces import load_space
from surgaug.runtime.feedback import Silent

ROOT = Path(os.environ.get("SURGAUG_TEST_DATA", Path(__file__).parents[2].parent / "shared" / "data"))


def _need(name: str) -> Path:
    if not (ROOT / name).exists():
        pytest.skip(f"no real data: {ROOT / name} is not there (set SURGAUG_TEST_DATA)")
    return ROOT / name


def test_kvasir_jpeg_masks_are_two_classes() -> None:
    frames = open_pairs(_need("kvasir_seg") / "validation")
    assert len(frames) == 100 and frames.codec.encoding == "two-class"
    assert frames.space.names == ("background", "foreground")
    between, doubtful = frames.codec.ambiguous_pixels(frames.scans.values())
    assert (between, doubtful) == (210_859, 0)
    seen = survey(frames, Silent(), need_images=True)
    assert seen.sizes == {(352, 352): 100} and seen.presence.tolist() == [100, 100]
    with Image.open(frames.items[7].label) as stored:
        np.testing.assert_array_equal(frames.load_label(7), np.asarray(stored) >= 128)
    assert frames.load_image(7).shape == (352, 352, 3)


@pytest.mark.slow
def test_kvasir_as_a_whole_has_both_splits() -> None:
    frames = open_pairs(_need("kvasir_seg"))
    assert frames.layout == "splits" and len(frames) == 900
    assert survey(frames, Silent(), need_images=True).splits == {"train": 800, "val": 100}


def test_cataract1k_pairs_hold_0_and_1_in_three_equal_channels() -> None:
    frames = open_pairs(_need("cataract1k"))
    assert [i.split for i in frames.items] == ["train"] * 5 + ["val"] * 5
    assert frames.codec.encoding == "ids" and frames.space.ids == (0, 1)
    assert {i.video for i in frames.items} == {"case5013", "case5014", "case5316"}
    seen = survey(frames, Silent(), need_images=True)
    assert seen.sizes == {(768, 1024): 10} and seen.presence.tolist() == [10, 10]
    for i, item in enumerate(frames.items):
        with Image.open(item.label) as stored:
            np.testing.assert_array_equal(frames.load_label(i), np.asarray(stored)[..., 1])


def test_cadis_labels_in_grey_rgb_and_rgba_are_cadis() -> None:
    folder = _need("cadis_labels")
    maps = open_masks(folder)
    assert maps.space == load_space("cadis") and maps.codec.encoding == "ids" and len(maps) == 24
    modes = set()
    for i, item in enumerate(maps.items):
        with Image.open(item.label) as stored:
            modes.add(stored.mode)
            values = np.asarray(stored)
        np.testing.assert_array_equal(maps.load(i), values if values.ndim == 2 else values[..., 0])
    assert modes == {"L", "RGB", "RGBA"}
    seen = survey(maps, Silent(), need_images=False)
    present = {i: n for i, n in enumerate(seen.presence.tolist()) if n}
    assert present == {
        0: 23, 1: 14, 2: 9, 3: 14, 4: 24, 5: 24, 6: 24, 10: 3, 11: 1, 12: 2, 13: 4, 14: 2, 15: 5, 17: 5, 18: 1, 19: 5,
        20: 1, 25: 1, 33: 1, 35: 6,
    }  # fmt: skip
    assert seen.pixels.sum() == 24 * 540 * 960 and seen.ignored == 0


def test_cadis_labels_as_task_2() -> None:
    maps = open_masks(_need("cadis_labels"), classes="cadis-task2")
    plain = open_masks(_need("cadis_labels"))
    seen, original = survey(maps, Silent(), need_images=False), survey(plain, Silent(), need_images=False)
    assert maps.codec.remapped == "cadis"
    assert seen.ignored == original.pixels[[25, 26, 29, 30, 31, 34, 35]].sum() > 0
    assert seen.pixels[9] == original.pixels[[11, 33]].sum()
    i = next(k for k, item in enumerate(maps.items) if item.name == "Video8_frame018960")
    assert (maps.load(i)[plain.load(i) == 35] == 255).all()


def test_cadis_pair() -> None:
    frames = open_pairs(_need("cadis_pair"))
    assert frames.space.name == "auto" and frames.space.ids == (0, 1, 2, 3, 4, 5, 6, 11, 16, 23)
    named = open_pairs(_need("cadis_pair"), classes="cadis")
    seen = survey(named, Silent(), need_images=True)
    assert np.flatnonzero(seen.presence).tolist() == list(frames.space.ids)
    np.testing.assert_array_equal(frames.load_label(0), named.load_label(0))
    assert named.load_image(0).shape == (540, 960, 3)


def test_cadis_labels_are_no_pairs() -> None:
    with pytest.raises(DataError, match="no images with label maps"):
        open_pairs(_need("cadis_labels"))


@pytest.mark.slow
def test_cataract1k_maps_are_named_by_their_class_file() -> None:
    maps = open_masks(_need("cataract1k_maps"))
    assert len(maps) == 401 and maps.space == load_space("cataract1k")
    seen = survey(maps, Silent(), need_images=False)
    assert seen.sizes == {(768, 1024): 401} and seen.videos == 6
    assert seen.presence.tolist() == [401, 401, 401, 86, 5, 79, 5, 112, 100, 64, 13, 2, 0, 25]


def test_cataract1k_polygons_draw_the_published_maps_pixel_for_pixel() -> None:
    drawn = open_pairs(_need("cataract1k_supervisely"))
    assert drawn.layout == "supervisely" and len(drawn) == 120 and drawn.space == load_space("cataract1k")
    assert {i.video for i in drawn.items} == {"case_5051", "case_5300"}
    maps = _need("cataract1k_maps")
    stray = {
        i
        for i, item in enumerate(drawn.items)
        if "cornea1" in item.label.read_text() or "pupil1" in item.label.read_text()
    }
    assert len(stray) >= 5
    for i in sorted(stray | set(range(0, 120, 10))):
        with Image.open(maps / f"{drawn.items[i].name}.png") as stored:
            np.testing.assert_array_equal(drawn.load_label(i), np.asarray(stored))
    with pytest.raises(DataError, match="120 labels without image"):
        survey(drawn, Silent(), need_images=True)
    seen = survey(drawn, Silent(), need_images=False)
    assert seen.presence.tolist() == [120, 120, 120, 28, 0, 23, 0, 32, 28, 15, 4, 2, 0, 10]
