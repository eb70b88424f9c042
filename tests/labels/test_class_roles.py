from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from surgaug.datasets.dataset import open_masks
from surgaug.io.atomic import write_png
from surgaug.labels.builtin_spaces import builtin_spaces, load_space
from surgaug.labels.class_file import label_space
from surgaug.labels.class_roles import axis_lengths, movable_in, roles, shape_of, with_kinds
from surgaug.labels.label_space import LabelClass, LabelSpace
from surgaug.labels.resize import resize_label_map
from surgaug.labels.space_detection import recognised

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


FOLDS = ("void", "vocal folds", "other tissue", "glottal space", "pathology", "surgical tool", "intubation")


def larynxes(n=12, size=128):
    """Stand-ins of laryngoscopy: the glottis (3) between folds (1) in tissue (2), a dark seam (0) that winds round them
    from the border and back to it, a growth (4), a tube from below (6) and, on most, a broad instrument
    at the upper border (5)."""
    rng = np.random.default_rng(0)
    for k in range(n):
        scene = np.full((size, size), 2, np.uint8)
        x, y = (size // 2 + rng.integers(-12, 13, 2) + np.array([0, 24])).tolist()
        cv2.ellipse(scene, (x, y), (44, 52), 0, 0, 360, 0, -1)
        cv2.ellipse(scene, (x + 2, y + 2), (40, 48), 0, 0, 360, 1, -1)
        cv2.fillPoly(scene, [np.array([(x, y - 34), (x - 12, size), (x + 12, size)])], 3)
        cv2.circle(scene, (x - 16, y + 12), 6, 4, -1)
        cv2.ellipse(scene, (x, size), (11, 30), 0, 0, 360, 6, -1)
        if k % 4:
            cv2.ellipse(scene, (x, -20), (70, 20 + int(rng.integers(4, 24))), 0, 0, 360, 5, -1)
        yield scene


def test_tool_and_tube_are_instruments_by_their_names_and_what_lies_at_the_border_is_none():
    published = dict(enumerate(FOLDS))
    assert recognised(label_space(published, "mine", where=""), "mine") == load_space("vocalfolds")
    others = LabelSpace("mine", tuple(LabelClass(i, name.title()) for i, name in enumerate(FOLDS)))
    assert instruments(with_kinds(others, larynxes())) == {5, 6}
    for space in (others, load_space("vocalfolds")):
        assert roles(with_kinds(space, larynxes())).movable == {5}, "the tube stays between the folds"


def test_without_names_neither_seams_nor_tissue_are_instruments():
    bare = LabelSpace("auto", tuple(LabelClass(i, f"class {i}") for i in range(7)))
    assert instruments(with_kinds(bare, larynxes())) <= {5, 6}


@pytest.mark.parametrize("name", ["vocalfolds", "cholecseg8k", "endovis2017-parts", "endovis2017-types", "endovis2018"])
def test_built_in_spaces_say_what_is_an_instrument_and_what_lies_above_what(name):
    space = load_space(name)
    tools = [c for c in space.classes if c.kind == "instrument"]
    assert tools and all(c.group for c in space.classes)
    assert min(c.depth for c in tools) > max((c.depth for c in space.classes if c.kind == "anatomy"), default=0)
    assert roles(space).known and roles(space).movable


def test_a_robots_tool_is_one_object_of_three_classes_and_every_type_of_it_moves():
    for name, clasper in (("endovis2017-parts", 3), ("endovis2018", 2)):
        space = load_space(name)
        assert set(roles(space).handles.values()) == {clasper} and len(roles(space).handles) == 2
    assert roles(load_space("endovis2017-types")).movable == set(range(1, 8))
    assert roles(load_space("endovis2018")).movable == {1, 2, 3, 9, 11}, "clamps and needles stay where they are"


def test_fastened_instruments_of_every_built_in_space_stay():
    fastened = {
        name: {load_space(name).by_id(i).name for i in known.instruments - known.movable}
        for name in builtin_spaces()
        if (known := roles(load_space(name))).instruments > known.movable
    }
    assert fastened == {
        "cadis": {"Suture Needle", "Mendez Ring", "Marker", "Iris Hooks"},
        "endovis2018": {"clamps", "suturing-needle"},
        "vocalfolds": {"intubation"},
    }


def test_axes_are_those_of_scikit_image():
    from skimage.measure import regionprops

    mask = np.zeros((80, 120), np.uint8)
    cv2.line(mask, (5, 70), (110, 10), 1, 9)
    cv2.circle(mask, (60, 50), 14, 1, -1)
    (region,) = regionprops(mask)
    assert axis_lengths(mask.astype(bool)) == pytest.approx((region.axis_major_length, region.axis_minor_length))


def test_a_rod_is_an_instrument_where_it_comes_in_by_its_end_and_not_where_it_lies_along_the_border():
    rod, disc = np.ones((60, 6), bool), cv2.circle(np.zeros((41, 41), np.uint8), (20, 20), 20, 1, -1).astype(bool)
    assert shape_of(rod, 6) == "instrument"
    assert shape_of(rod, 0) == shape_of(rod, 60) == shape_of(disc, 5) == "blob"


def test_candidates_of_a_single_map():
    scene = next(scenes())
    assert movable_in(scene, None) == ([1, 2, 3], False)
    assert movable_in(np.where(scene == 1, 3, scene).astype(np.uint8)[:40], None) == ([2], False), "3 fills the border"
    assert movable_in((scene == 1).astype(np.uint8), None) == ([1], True)
    assert movable_in(np.full((9, 9), 255, np.uint8), 255) == ([], True)


@pytest.mark.skipif(not (DATA / "vocalfolds").is_dir(), reason=f"no real data at {DATA}")
@pytest.mark.parametrize("split", ["train", "val"])
def test_real_larynxes(split):
    folder = DATA / "vocalfolds" / split
    assert instruments(open_masks(folder).space) <= {5, 6}
    assert instruments(open_masks(folder, classes="vocalfolds").space) == {5, 6}
