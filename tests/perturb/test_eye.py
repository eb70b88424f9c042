from __future__ import annotations

import cv2
import numpy as np
import pytest
from perturb_cases import CADIS, draw, eye

from surgaug.labels.label_space import LabelClass, LabelSpace
from surgaug.perturb import NotApplicable, Rejected, ops
from surgaug.perturb.geometry.camera import view
from surgaug.perturb.geometry.eye import move_eye, scale_pupil
from surgaug.perturb.scene.eye_discs import find_discs
from surgaug.perturb.scene.scene import Scene
from surgaug.perturb.scene.sprites import shift_matrix, turn_matrix

INSTRUMENTS = (13, 17, 21)


def bare(hw=(270, 480)):
    label_map = eye(hw)
    return np.where(np.isin(label_map, INSTRUMENTS), 6, label_map).astype(np.uint8)


def drawn(gaze=(0, 0), pupil=0.22, hw=(270, 480)):
    """The scene of `eye` without instruments, its discs elsewhere."""
    h, w = hw
    scene = np.full(hw, 5, np.uint8)
    cv2.ellipse(scene, (w // 2, h // 2), (int(0.48 * w), int(0.55 * h)), 0, 0, 360, 6, -1)
    middle = (w // 2 + gaze[1], h // 2 + gaze[0])
    cv2.ellipse(scene, middle, (int(0.35 * h), int(0.33 * h)), 0, 0, 360, 4, -1)
    cv2.ellipse(scene, middle, (round(pupil * h), round(pupil * h)), 0, 0, 360, 0, -1)
    return scene


def radius(label_map):
    """Of the pupil, and of the whole disc of the eye."""
    hidden = np.isin(label_map, INSTRUMENTS).astype(np.uint8)
    return [disc.mean_radius for disc in find_discs(label_map, ((0,), (4,)), hidden)]


@pytest.mark.parametrize("factor", [0.7, 1.3])
def test_the_pupil_gets_wider_the_iris_stays_and_instruments_stay_on_top(factor):
    label_map = eye()
    before = radius(label_map)
    after_map = scale_pupil(Scene(label_map, CADIS), factor)
    after = radius(after_map)
    assert after[0] == pytest.approx(factor * before[0], rel=0.03) and after[1] == pytest.approx(before[1], rel=0.02)
    for tool in INSTRUMENTS:
        assert np.array_equal(after_map == tool, label_map == tool)


@pytest.mark.parametrize("lens", [0, 1])
def test_what_an_instrument_hides_of_a_disc_is_of_the_class_that_is_seen_of_it(lens):
    """Of two classes that make up one disc the map shows one; the other was put in where an instrument had been."""
    names = ("Natural lens", "IOL", "Pupil", "Iris", "Cornea", "Skin")
    anatomy = tuple(LabelClass(i, name, "anatomy") for i, name in enumerate(names))
    space = LabelSpace("eye", (*anatomy, LabelClass(6, "Forceps", "instrument", depth=1)))
    label_map = drawn()
    label_map = np.array([2, 5, 5, 5, 3, 5, 4], np.uint8)[label_map]
    cv2.ellipse(label_map, (240, 135), (45, 45), 0, 0, 360, lens, -1)
    whole = label_map.copy()
    label_map[:140, 236:244] = 6
    scene = Scene(label_map, space)
    filled = scene.without(0)
    assert len(scene.discs) == 3 and set(np.unique(filled)) == set(np.unique(whole)) and (filled != whole).mean() < 1e-3
    for moved in (move_eye(scene, shift_matrix(6, -9)), scale_pupil(scene, 0.8), scale_pupil(scene, 1.2)):
        assert set(np.unique(moved)) == {lens, 2, 3, 4, 5, 6}


@pytest.mark.parametrize("degrees", [-20, -11, 7, 13])
def test_what_lies_beside_the_eye_does_not_turn_with_it(degrees):
    """Single pixels of it came along at the outline."""
    label_map = drawn()
    label_map[120:150, :190] = 3  # a retractor, which covers a part of the iris
    scene = Scene(label_map, CADIS)
    moved = move_eye(scene, turn_matrix(degrees, scene.discs[-1].centre))
    assert np.array_equal(moved == 3, label_map == 3)


def test_a_pupil_that_the_frame_cuts_constricts_to_a_disc():
    cut = np.ascontiguousarray(drawn(pupil=0.25)[80:])
    expected = drawn(pupil=0.25 * 0.7)[80:]
    after = scale_pupil(Scene(cut, CADIS), 0.7)
    assert (after != expected).mean() < 0.004


def test_a_pupil_never_gets_out_of_the_iris():
    with pytest.raises(Rejected, match="wider than"):
        scale_pupil(Scene(eye(), CADIS), 1.6)
    for seed in range(30):
        try:
            label_map, _ = draw("pupil", Scene(eye(), CADIS), np.random.default_rng(seed))
        except Rejected:
            continue
        touches = cv2.dilate((label_map == 0).view(np.uint8), np.ones((3, 3), np.uint8)).view(bool)
        assert not (touches & np.isin(label_map, (5, 6))).any()


@pytest.mark.parametrize("way", [(0, 25), (-20, -10), (18, 0)])
def test_the_eye_moves_whole_and_its_place_is_filled(way):
    after = move_eye(Scene(drawn(), CADIS), shift_matrix(*way))
    assert (after != drawn(gaze=way)).mean() < 0.004


def test_the_eye_glides_below_the_lid():
    label_map = drawn()
    label_map[:100] = 5
    after = move_eye(Scene(label_map, CADIS), shift_matrix(-20, 0))
    assert np.array_equal(after == 5, label_map == 5)
    revealed = move_eye(Scene(label_map, CADIS), shift_matrix(20, 0))
    expected = drawn(gaze=(20, 0))
    expected[:100] = 5
    assert (revealed != expected).mean() < 0.004


def test_a_turn_of_the_eye_and_back_is_nothing():
    label_map = drawn()
    turned = move_eye(Scene(label_map, CADIS), turn_matrix(30, (135, 240)))
    back = move_eye(Scene(turned, CADIS), turn_matrix(-30, (135, 240)))
    assert (turned != label_map).any() and (back != label_map).mean() < 0.006


def test_hooks_hold_the_pupil():
    label_map = drawn()
    cv2.line(label_map, (0, 0), (200, 100), 35, 3)
    for name in ("pupil", "gaze", "eye_rotation"):
        with pytest.raises(NotApplicable, match="hooks"):
            draw(name, Scene(label_map, CADIS), np.random.default_rng(0))


def test_lids_move_and_the_eye_and_the_instruments_do_not():
    label_map = eye()
    skin = []
    for seed in range(20):
        after, record = draw("lids", Scene(label_map, CADIS), np.random.default_rng(seed))
        skin.append(((after == 5).sum() - (label_map == 5).sum(), record["displacement"]))
        kept = np.isin(label_map, (0, 4, *INSTRUMENTS))
        assert (after[kept] == label_map[kept]).all()
    change, way = np.array(skin).T
    assert np.corrcoef(change, way)[0, 1] > 0.8, "toward the eye is closing"


def test_elastic_leaves_instruments_stiff():
    label_map = eye()
    after, record = draw("elastic", Scene(label_map, CADIS), np.random.default_rng(0))
    assert 0 < (after != label_map).mean() < 0.1 and record["displacement"] > 0
    for tool in INSTRUMENTS:
        assert np.array_equal(after == tool, label_map == tool)


@pytest.mark.parametrize("way", [(0, 60), (-40, 0), (30, -50)])
def test_a_shifted_view_shows_the_discs_beyond_the_frame(way):
    """A frame cut from a larger scene, shifted, shows what the larger scene shows there, eye and instruments."""
    large = eye((540, 960))
    frame = np.ascontiguousarray(large[150:420, 300:780])
    y, x = 150 - way[0], 300 - way[1]
    expected = large[y : y + 270, x : x + 480]
    after = view(Scene(frame, CADIS), shift_matrix(*way))
    of_eye = np.isin(expected, (0, 4)) | np.isin(after, (0, 4))
    assert (after[of_eye] == expected[of_eye]).mean() > 0.97
    assert (after != expected).mean() < 0.05


def test_zoom_in_is_a_crop():
    label_map = bare()
    after = view(Scene(label_map, CADIS), turn_matrix(0, (135, 240), 1.25))
    expected = cv2.resize(label_map[27:243, 48:432], (480, 270), interpolation=cv2.INTER_NEAREST)
    assert (after != expected).mean() < 0.01


def test_a_view_without_the_eye_is_refused():
    with pytest.raises(Rejected, match="eye"):
        view(Scene(eye(), CADIS), shift_matrix(0, 300))


@pytest.mark.parametrize("name", ["pupil", "gaze", "lids"])
def test_where_an_operation_says_it_leaves_the_discs_they_are(name):
    module, scene = ops.get(name), Scene(drawn(), CADIS)
    for seed in range(2, 6):
        after, record = draw(name, scene, np.random.default_rng(seed))
        said = module.discs_after(scene.discs, record, scene.roles)
        found = find_discs(after, ((0,), (4,)), np.zeros_like(after))
        for a, b in zip(said, found, strict=True):
            assert np.abs(a.outline - b.outline).max() < 3
