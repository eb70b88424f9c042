from __future__ import annotations

import cv2
import numpy as np
import pytest
from perturb_cases import CADIS, MANY, TASK2, TWO, eye

from surgaug.labels.class_roles import roles
from surgaug.labels.label_space import LabelClass, LabelSpace
from surgaug.perturb.geometry.camera import view
from surgaug.perturb.geometry.place import move
from surgaug.perturb.scene.find_objects import find_again, find_objects
from surgaug.perturb.scene.scene import Scene
from surgaug.perturb.scene.sprites import apply, cut, put, shift_matrix, turn_matrix


def objects(label_map, space):
    return find_objects(label_map, roles(space), space.ignore)


def test_tip_and_handle_are_one_object_with_its_entry_axis_and_tip():
    found = {obj.class_ids: obj for obj in objects(eye(), CADIS)}
    assert set(found) == {(13, 21), (17,)}
    phaco = found[13, 21]
    assert phaco.entry.point[0] == 269 and 290 < phaco.entry.point[1] < 330
    assert np.hypot(phaco.tip[0] - 148, phaco.tip[1] - 240) < 12
    assert phaco.axis[0] < -0.7 and phaco.entry.direction[0] > 0.7
    assert found[17,].entry.point[1] == 0


def test_both_arms_of_a_forceps_are_one_object_and_two_far_instruments_are_two():
    label_map = np.full((200, 300), 6, np.uint8)
    cv2.line(label_map, (150, 199), (140, 100), 19, 4)
    cv2.line(label_map, (162, 199), (150, 100), 19, 4)
    cv2.line(label_map, (20, 0), (60, 60), 19, 4)
    assert sorted(len(obj.entries) for obj in objects(label_map, CADIS)) == [1, 2]


def test_a_handle_behind_another_instrument_is_joined_by_handle():
    """It was joined by the class with the lowest id, which is the tip's: a band of tip in the midst of the handle."""
    label_map = np.full((270, 480), 5, np.uint8)
    label_map[120:140, :160], label_map[122:138, 160:240] = 24, 14  # a lens injector from the left
    label_map[:200, 60:72] = 12  # a knife across its handle
    scene = Scene(label_map, CADIS)
    index = next(i for i, obj in enumerate(scene.objects) if obj.class_ids == (14, 24))
    whole = scene.whole(index)
    y0, x0 = whole.box[:2]
    assert (whole.ids[122 - y0 : 138 - y0, 60 - x0 : 72 - x0] == 24).all()
    hidden = whole.mask & ~scene.objects[index].mask
    assert hidden[:, 60 - x0 : 72 - x0].sum() == hidden.sum() > 200


def test_hooks_rings_marks_and_retractors_stay():
    for fastened in (35, 30, 31, 3):
        label_map = np.full((100, 100), 6, np.uint8)
        cv2.line(label_map, (0, 0), (50, 50), fastened, 5)
        assert objects(label_map, CADIS) == ()


def test_a_blade_that_frames_the_picture_stays_and_goes_on_beyond_the_frame():
    """As in laryngoscopy: along the upper border and round a corner of it, not in by its end."""
    space = LabelSpace("larynx", (LabelClass(0, "tissue", "anatomy"), LabelClass(1, "blade", "instrument", depth=2)))
    label_map = np.zeros((120, 160), np.uint8)
    label_map[:30], label_map[:70, 130:] = 1, 1
    cv2.line(label_map, (0, 100), (60, 80), 1, 6)
    thin, *more = find_objects(label_map, roles(space), None)
    assert not more and thin.box[0] > 70 and thin.box[1] == 0
    after = view(Scene(label_map, space), shift_matrix(20, -15))
    assert (after[:20] == 1).all() and (after[:80, -15:] == 1).all()


def test_objects_stay_objects_and_what_frames_the_picture_does_not_become_one():
    """A thin tool moved beside the blade, and one turned until it lies along the border."""
    space = LabelSpace("larynx", (LabelClass(0, "tissue", "anatomy"), LabelClass(1, "blade", "instrument", depth=2)))
    label_map = np.zeros((120, 160), np.uint8)
    label_map[:20] = 1
    cv2.line(label_map, (0, 100), (60, 80), 1, 6)
    scene = Scene(label_map, space)
    after = scene.with_objects(move(scene, 0, shift_matrix(-40, 0), 200))
    (tool,) = after.objects
    assert tool.box[0] > 20 and abs(tool.area - scene.objects[0].area) < 20
    flat = np.zeros((120, 160), np.uint8)
    flat[114:] = np.arange(160) < 90
    assert not find_objects(flat, roles(space), None)
    (again,) = Scene(label_map * (np.arange(120)[:, None] > 20), space).with_objects(flat).objects
    assert again.area == 6 * 90


def test_an_instrument_before_a_hand_stays_before_it_beyond_the_frame():
    label_map = eye()
    label_map[150:230, :30] = np.where(label_map[150:230, :30] == 17, 17, 2)
    after = view(Scene(label_map, CADIS), shift_matrix(0, 40))
    assert (label_map[:, 0] == 17).any() and (after[:, 0] == 17).any() and (after[:, 0] == 2).any()


def test_kinds_from_names_where_the_space_states_none():
    space = LabelSpace("mine", (LabelClass(0, "background"), LabelClass(1, "Lens"), LabelClass(2, "Lens Injector")))
    assert roles(space).movable == {2} and roles(space).discs == ((1,),)
    assert roles(TASK2).movable == set(range(7, 17))
    assert not roles(TWO).known and not roles(MANY).known


def test_where_nothing_is_known_thin_things_at_the_border_move_and_sheets_do_not():
    label_map = np.zeros((120, 160), np.uint8)
    label_map[:, :60] = 1
    cv2.circle(label_map, (110, 50), 20, 2, -1)
    cv2.line(label_map, (159, 119), (110, 60), 3, 4)
    assert [obj.class_ids for obj in objects(label_map, MANY)] == [(3,)]


@pytest.mark.parametrize("angle", [0, 40, 90, 145, 200, 290, 340])
def test_an_instrument_goes_on_beyond_the_frame_as_it_came_in(angle):
    """A bar cut off by the frame, moved inward, shows what a longer bar would show."""
    way = np.array([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))])
    middle = np.array([100.0, 100.0])

    def bar(offset):
        drawn = np.zeros((200, 200), np.uint8)
        start, end = middle + offset - 10 * way, middle + offset + 400 * way
        cv2.line(drawn, tuple(int(v) for v in start.round()), tuple(int(v) for v in end.round()), 13, 9)
        return drawn

    inward = -40 * way
    obj = objects(np.where(bar(0 * way) > 0, 13, 6).astype(np.uint8), CADIS)[0]
    placed = put(cut(obj, 150), shift_matrix(*inward[::-1]), (200, 200), np.uint8)
    shown = np.zeros((200, 200), np.uint8)
    y0, x0, y1, x1 = placed.box
    shown[y0:y1, x0:x1][placed.mask] = 13
    expected = bar(inward)
    overlap = ((shown > 0) & (expected > 0)).sum() / ((shown > 0) | (expected > 0)).sum()
    assert overlap > 0.85, overlap


@pytest.mark.parametrize("mirror", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
def test_arms_of_a_forceps_go_on_each_by_itself_past_a_corner_of_the_frame(mirror):
    """Two arms that leave the frame apart, one of them through its corner, seen from farther away."""
    large = np.full((540, 960), 6, np.uint8)
    for y in (320, 410):  # the frame's lower left corner, (240, 404), lies on the second
        corners = [(560, 366), (560, 372), (0, y + 40), (0, y)]
        cv2.fillPoly(large, [np.array(corners)], 11)
    frame = np.ascontiguousarray(large[135:405, 240:720][:: mirror[0], :: mirror[1]])
    (forceps,) = objects(frame, CADIS)
    assert len(forceps.entries) == 2 and max(np.ptp(entry.pixels, 0).min() for entry in forceps.entries) > 3
    matrix = turn_matrix(0, (135, 240), 0.7)
    expected = cv2.warpAffine(large, matrix @ np.array([[1, 0, -240], [0, 1, -135], [0, 0, 1]]), (480, 270), flags=0)
    expected = expected[:: mirror[0], :: mirror[1]] == 11
    shown = view(Scene(frame, CADIS), matrix) == 11
    beyond = cv2.warpAffine(np.ones_like(frame), matrix, (480, 270), flags=0) == 0
    assert 0.9 < shown[beyond].sum() / expected[beyond].sum() < 1.1
    assert (shown & expected & beyond).sum() > 0.85 * (expected & beyond).sum()


def test_a_blob_cut_by_the_frame_is_mirrored_and_one_that_touches_it_is_not():
    half = np.zeros((100, 100), np.uint8)
    cv2.circle(half, (50, 0), 25, 1, -1)
    touching = np.zeros((100, 100), np.uint8)
    cv2.circle(touching, (50, 26), 26, 1, -1)
    for label_map, rows in ((half, 51), (touching, 53)):
        placed = put(cut(objects(label_map, TWO)[0], 50), shift_matrix(40, 0), (100, 100), np.uint8)
        assert placed.box[2] - placed.box[0] == pytest.approx(rows, abs=2)


def test_matrices_move_points_as_they_say():
    assert apply(shift_matrix(3, -2), (10, 20)) == (13, 18)
    y, x = apply(turn_matrix(90, (10, 10)), (10, 15))
    assert (round(y), round(x)) == (15, 10), "clockwise on the screen, where y points down"
    y, x = apply(turn_matrix(0, (10, 10), 2.0), (12, 13))
    assert (y, x) == (14, 16)


def test_objects_of_a_changed_map_are_those_that_a_look_at_the_whole_map_finds():
    label_map = eye()
    cv2.line(label_map, (479, 30), (400, 60), 12, 6)
    scene = Scene(label_map, CADIS)
    for index, way in enumerate([(12, 0), (-9, 14), (20, -40)]):
        after = move(scene, index, shift_matrix(*way), 200)
        found = find_again(after, label_map, scene.objects, roles(CADIS), scene.bare)
        assert sum(any(obj is other for other in scene.objects) for obj in found) == 2
        looked = objects(after, CADIS)
        assert [(t.class_ids, t.box, t.area, t.entries) for t in found] == [
            (t.class_ids, t.box, t.area, t.entries) for t in looked
        ]
