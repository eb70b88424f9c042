from __future__ import annotations

from collections import Counter
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from perturb_cases import CADIS, SPACES, TWO, WIDE, draw, dtype_of, eye, label_maps

from surgaug.labels.label_space import LabelClass, LabelSpace
from surgaug.perturb import NotApplicable, Rejected, ops
from surgaug.perturb.mixer import mix
from surgaug.perturb.recipe import parse_ops
from surgaug.perturb.scene.class_tables import tables
from surgaug.perturb.scene.scene import Scene

EVERY = ",".join(ops.names())


def sound(before, after, space):
    assert after.shape == before.shape and after.dtype == before.dtype
    assert set(np.unique(after)) <= {*space.ids, space.ignore}
    if space.ignore is not None:
        assert np.array_equal(before == space.ignore, after == space.ignore)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(label_maps(), st.sampled_from(ops.names()), st.integers(0, 2**32))
def test_every_operation_keeps_shape_type_ids_and_ignore(case, name, seed):
    label_map, space = case
    before = label_map.copy()
    scene = Scene(label_map, space)
    try:
        after, record = draw(name, scene, np.random.default_rng(seed))
    except Rejected as reason:
        assert str(reason)
        after = label_map
    else:
        assert all(isinstance(value, (int, float, str, list, bool)) for value in record.values())
    sound(before, after, space)
    assert np.array_equal(label_map, before), "the source was changed"


@pytest.mark.slow
@settings(deadline=None, max_examples=2000, suppress_health_check=list(HealthCheck))
@given(label_maps(), st.integers(0, 2**32))
def test_thousands_of_random_maps_through_every_operation(case, seed):
    label_map, space = case
    outcome = mix(Scene(label_map, space), parse_ops(EVERY), np.random.default_rng(seed))
    sound(label_map, outcome.label_map, space)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(label_maps(), st.integers(0, 2**32))
def test_the_same_map_for_the_same_seed_with_and_without_what_the_scene_remembers(case, seed):
    label_map, space = case
    scene = Scene(label_map, space)
    chosen = parse_ops(ops.USUAL)
    first = mix(scene, chosen, np.random.default_rng(seed))
    mix(scene, chosen, np.random.default_rng(seed + 1))
    second = mix(scene, chosen, np.random.default_rng(seed))
    fresh = mix(Scene(label_map.copy(), space), chosen, np.random.default_rng(seed))
    for other in (second, fresh):
        assert np.array_equal(first.label_map, other.label_map)
        assert (first.records, first.tries, first.refused) == (other.records, other.tries, other.refused)


@pytest.mark.parametrize("space", SPACES, ids=lambda s: f"{s.name}-{s.ignore}")
@pytest.mark.parametrize("name", ops.names())
def test_a_map_of_one_class_and_a_map_of_ignored_pixels(space, name):
    values = [space.ids[0]] + ([] if space.ignore is None else [space.ignore])
    for value in values:
        uniform = np.full((24, 32), value, dtype_of(space))
        try:
            after, _ = draw(name, Scene(uniform, space), np.random.default_rng(0))
        except Rejected:
            continue
        assert np.array_equal(after, uniform)


@pytest.mark.parametrize("name", ["shift", "rotate", "scale"])
def test_an_object_that_fills_the_frame_and_one_of_a_single_pixel(name):
    full = np.full((30, 40), 13, np.uint8)
    with pytest.raises(Rejected):
        draw(name, Scene(full, CADIS), np.random.default_rng(0))
    dot = np.full((30, 40), 6, np.uint8)
    dot[12, 17] = 13
    with pytest.raises(NotApplicable):
        draw(name, Scene(dot, CADIS), np.random.default_rng(0))


def tried(name, label_map, space, n=40):
    """The maps that `n` draws gave, with their records."""
    scene, found = Scene(label_map, space), []
    for seed in range(n):
        try:
            found.append(draw(name, scene, np.random.default_rng(seed)))
        except Rejected:
            continue
    assert len(found) >= n // 4, "hardly a try succeeds"
    return found


@pytest.mark.parametrize("name", ["shift", "rotate", "scale"])
def test_moved_instruments_come_from_the_border_with_their_handle(name):
    label_map = eye()
    for after, record in tried(name, label_map, CADIS):
        moved = set(record["classes"])
        assert moved in ({13, 21}, {17}), "tip and handle are one object"
        objects = {obj.class_ids: obj for obj in Scene(after, CADIS).objects}
        for class_ids, obj in objects.items():
            assert obj.entries, f"{class_ids} floats after {record}"
        assert (after == (17 if 13 in moved else 13)).sum() >= 0.9 * (label_map == (17 if 13 in moved else 13)).sum()
        assert {int(i) for i in np.unique(after)} <= {0, 4, 5, 6, 13, 17, 21}


@pytest.mark.parametrize("name", ["shift", "rotate", "scale"])
def test_what_an_instrument_leaves_is_the_eye_that_was_below_it(name):
    bare = eye()
    with_tool = bare.copy()
    for tool in (13, 17, 21):
        bare[bare == tool] = 255
    truth = np.where(bare == 255, eye_below(bare.shape), bare)
    for after, _ in tried(name, with_tool, CADIS, 12):
        shown = ~np.isin(after, (13, 17, 21))
        assert (after[shown] == truth[shown]).mean() > 0.998


def eye_below(hw):
    h, w = hw
    scene = np.full(hw, 5, np.uint8)
    cv2.ellipse(scene, (w // 2, h // 2), (int(0.48 * w), int(0.55 * h)), 0, 0, 360, 6, -1)
    cv2.ellipse(scene, (w // 2, h // 2), (int(0.35 * h), int(0.33 * h)), 0, 0, 360, 4, -1)
    cv2.ellipse(scene, (w // 2, h // 2), (int(0.22 * h), int(0.22 * h)), 0, 0, 360, 0, -1)
    return scene


def test_shift_moves_by_what_the_record_says():
    label_map = eye()
    for after, record in tried("shift", label_map, CADIS):
        tip = next(t for t in Scene(label_map, CADIS).objects if list(t.class_ids) == record["classes"]).tip
        now = next(t for t in Scene(after, CADIS).objects if list(t.class_ids) == record["classes"]).tip
        assert np.allclose(np.subtract(now, tip), (record["dy"], record["dx"]), atol=3)


def test_swap_changes_tip_and_handle_together_and_nothing_else():
    label_map = eye()
    pairs = Counter()
    for after, record in tried("swap", label_map, CADIS):
        changes = dict(zip(record["from"], record["to"], strict=True))
        expected = label_map.copy()
        for old, new in changes.items():
            expected[label_map == old] = new
            assert CADIS.by_id(old).group == CADIS.by_id(new).group
        assert np.array_equal(after, expected)
        pairs[tuple(record["to"])] += 1
    assert (15, 18) in pairs, "the I/A handpiece has a handle, so it can replace the phaco handpiece with its"
    assert all(len(to) == 2 and CADIS.by_id(to[1]).handle_of == to[0] for to in pairs if to[0] == 15)


def test_no_swap_of_a_tip_whose_handle_lies_behind_a_hand():
    label_map = eye()
    label_map[label_map == 17] = 6
    label_map[215:250] = 2
    label_map[250:][label_map[250:] == 13] = 21
    tip, handle = (next(o for o in Scene(label_map, CADIS).objects if o.class_ids == (i,)) for i in (13, 21))
    assert tip is not handle
    with pytest.raises(NotApplicable):
        draw("swap", Scene(label_map, CADIS), np.random.default_rng(0))


def test_depths_count_by_their_order_alone():
    deep = LabelSpace(CADIS.name, tuple(replace(c, depth=min(65535, c.depth * 7000)) for c in CADIS.classes))
    found = [tables(space, np.dtype(np.uint8)) for space in (CADIS, deep)]
    for name in ("instruments", "depths", "sources", "covers", "stiff"):
        assert np.array_equal(*(getattr(t, name) for t in found)), name


def test_flip_is_its_own_inverse_and_leaves_ignored_pixels():
    label_map = eye((40, 60))
    once, record = draw("flip", Scene(label_map, CADIS), np.random.default_rng(0))
    assert record == {"axis": "left-right"} and np.array_equal(once, label_map[:, ::-1])
    wide = np.where(label_map == 6, 300, 40000).astype(np.uint16)
    wide[:10, :10] = WIDE.ignore
    after, _ = draw("flip", Scene(wide, WIDE), np.random.default_rng(0))
    sound(wide, after, WIDE)
    settings = {"left_right": False, "up_down": True}.items()
    up, record = draw("flip", Scene(label_map, CADIS), np.random.default_rng(0), settings)
    assert record == {"axis": "up-down"} and np.array_equal(up, label_map[::-1])


def test_flip_exchanges_left_and_right_or_leaves_them_alone():
    def space(*names: str) -> LabelSpace:
        return LabelSpace("own", tuple(LabelClass(20 * i, name) for i, name in enumerate(names)), 255)

    label_map = np.zeros((30, 40), np.uint8)
    label_map[5:20, :10], label_map[5:20, 25:], label_map[0, 0] = 20, 40, 255
    after, _ = draw("flip", Scene(label_map, space("rest", "left fold", "right fold")), np.random.default_rng(0))
    expected = np.select([label_map == 20, label_map == 40], [40, 20], 0)[:, ::-1]
    expected[0, 0] = 255
    assert np.array_equal(after, expected)
    with pytest.raises(NotApplicable, match="left fold would be of the other side"):
        draw("flip", Scene(label_map, space("rest", "left fold", "tool")), np.random.default_rng(0))


def test_a_polyp_moves_whole_in_a_space_that_tells_nothing():
    label_map = np.zeros((88, 88), np.uint8)
    label_map[30:50, 40:60] = 1
    for after, record in tried("shift", label_map, TWO):
        assert record["classes"] == [1]
        assert np.array_equal(after, np.roll(label_map, (record["dy"], record["dx"]), (0, 1)))


def test_objects_above_hide_what_is_moved_below_them():
    label_map = eye()
    label_map[200:, 240:400] = 2  # a hand, which lies above instruments
    for after, _ in tried("shift", label_map, CADIS):
        assert np.array_equal(after == 2, label_map == 2)


def test_remove_takes_one_instrument_and_never_the_last_polyp():
    label_map = eye()
    gone = set()
    for seed in range(10):
        after, record = draw("remove", Scene(label_map, CADIS), np.random.default_rng(seed))
        assert not np.isin(after, record["classes"]).any()
        gone.add(tuple(record["classes"]))
    assert gone == {(13, 21), (17,)}
    polyp = np.zeros((88, 88), np.uint8)
    polyp[30:50, 40:60] = 1
    with pytest.raises(NotApplicable, match="too few"):
        draw("remove", Scene(polyp, TWO), np.random.default_rng(0))


def test_approach_moves_along_the_axis():
    for after, record in tried("approach", eye(), CADIS):
        obj = next(t for t in Scene(eye(), CADIS).objects if list(t.class_ids) == record["classes"])
        along = (record["dy"], record["dx"]) @ np.array(obj.axis)
        assert along == pytest.approx(record["displacement"], abs=1) and (after != eye()).any()
