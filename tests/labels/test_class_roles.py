from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from surgaug.datasets.dataset import open_masks
from surgaug.io.atomic import write_png
from surgaug.labels.class_roles import with_kinds
from surgaug.labels.label_space import LabelClass, LabelSpace
from surgaug.labels.resize import resize_label_map

DATA = Path(os.environ.get("SURGAUG_TEST_DATA", Path(__file__).resolve().parents[2].parent / "shared" / "data"))
FOUR = LabelSpace("auto", tuple(LabelClass(i, f"class {i}") for i in range(4)))


def scenes(n=6):
    """Ids: 0 around, 1 a disc in the middle, 2 a thin rod from ever another side, 3 a bar that always lies there."""
    rng = np.random.default_rng(0)
    for _ in range(n):
        scene = np.zeros((90, 120), np.uint8)
        scene[:6, 20:100] = 3
        cv2.circle(scene, (60, 45), 20, 1, -1)
        angle = rng.uniform(0, 2 * np.pi)
        end = (round(60 + 150 * np.cos(angle)), round(45 + 150 * np.sin(angle)))
        cv2.line(scene, (60, 45), end, 2, 3)
        yield scene


def instruments(space):
    return {c.id for c in space.classes if c.kind == "instrument"}


def test_what_is_thin_comes_from_the_border_and_moves_is_an_instrument():
    found = with_kinds(FOUR, scenes())
    assert instruments(found) == {2}
    assert found.by_id(2).depth > found.by_id(1).depth


def test_a_stated_kind_is_kept_and_no_map_is_read_for_it():
    stated = LabelSpace("mine", (LabelClass(0, "around"), LabelClass(1, "rod", "anatomy")))
    assert with_kinds(stated, iter(lambda: 1 / 0, None)) is stated


def test_names_of_tools_count():
    named = LabelSpace("mine", (LabelClass(0, "background"), LabelClass(1, "Lens Injector"), LabelClass(2, "Lens")))
    assert instruments(with_kinds(named, [])) == {1}


@pytest.mark.parametrize("label_map", [np.zeros((1, 1), np.uint8), np.full((5, 5), 3, np.uint8)])
def test_maps_that_tell_nothing(label_map):
    assert instruments(with_kinds(FOUR, [label_map])) == set()


def test_prongs_of_a_foreground_survive_a_smaller_size(tmp_path):
    for i, scene in enumerate(scenes()):
        write_png(tmp_path / f"{i}.png", (scene == 2).astype(np.uint8))
    maps = open_masks(tmp_path)
    assert instruments(maps.space) == {1} and maps.codec.space == maps.space
    small = resize_label_map(maps.load(0), (18, 24), maps.space)
    assert (small == 1).sum() > 8
    plain = LabelSpace("plain", (LabelClass(0, "a"), LabelClass(1, "b")))
    assert (small == 1).sum() > (resize_label_map(maps.load(0), (18, 24), plain) == 1).sum()


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data at {DATA}")
@pytest.mark.parametrize(
    ("folder", "expected"), [("cataract1k/train", {1}), ("cataract1k/val", {1}), ("kvasir_seg/validation", set())]
)
def test_real_masks(folder, expected):
    """Instruments of cataract operations are found; polyps are none."""
    assert instruments(open_masks(DATA / folder).space) == expected
