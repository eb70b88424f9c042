from __future__ import annotations

import cv2
import numpy as np
import pytest
from perturb_cases import CADIS

from surgaug.perturb import NotApplicable
from surgaug.perturb.scene.eye_discs import find_discs
from surgaug.perturb.scene.inpaint import bridge, fill
from surgaug.perturb.scene.scene import Scene

EVERYTHING = np.ones(256, bool)


def test_an_edge_that_crosses_a_hole_is_continued_straight():
    truth = np.zeros((100, 200), np.uint8)
    truth[:, 100:] = 1
    hole = np.zeros((40, 120), bool)
    hole[5:35, 10:110] = True
    broken = truth.copy()
    broken[30:70, 40:160][hole] = 9
    filled = fill(broken, hole, (30, 40), EVERYTHING, ())
    assert (filled != truth[30:70, 40:160]).sum() <= 0.03 * hole.sum()
    assert np.array_equal(filled[~hole], truth[30:70, 40:160][~hole])


def test_a_slanted_edge_through_a_wide_hole_beats_the_nearest_label():
    truth = (np.add.outer(np.arange(150), np.arange(200)) > 170).astype(np.uint8)
    hole = np.zeros((150, 60), bool)
    hole[20:130] = True
    broken = truth.copy()
    broken[:, 70:130][hole] = 9
    filled = fill(broken, hole, (0, 70), EVERYTHING, ())
    wrong = (filled != truth[:, 70:130]).sum()
    nearest = np.where(np.arange(70, 130)[None] < 100, truth[:, 69:70], truth[:, 130:131])
    assert wrong < 0.6 * (np.where(hole, nearest, truth[:, 70:130]) != truth[:, 70:130]).sum()
    assert wrong < 0.07 * hole.sum()


def test_only_sources_spread():
    label_map = np.full((30, 30), 3, np.uint8)
    label_map[:, :14] = 5
    hole = np.ones((10, 10), bool)
    sources = np.zeros(256, bool)
    sources[3] = True
    assert (fill(label_map, hole, (10, 10), sources, ()) == 3).all()


def test_nothing_to_fill_with():
    with pytest.raises(NotApplicable):
        fill(np.full((10, 10), 3, np.uint8), np.ones((10, 10), bool), (0, 0), EVERYTHING, ())


@pytest.mark.parametrize("axes", [(80, 80), (95, 60)])
@pytest.mark.parametrize("start", [0, 130, 250])
def test_a_disc_is_completed_as_an_ellipse(axes, start):
    truth = np.full((240, 320), 6, np.uint8)
    cv2.ellipse(truth, (150, 120), axes, 20, 0, 360, 0, -1)
    hidden = np.zeros_like(truth)
    cv2.ellipse(hidden, (150, 120), (200, 200), 0, start, start + 80, 1, -1)
    covered = np.where(hidden > 0, 13, truth).astype(np.uint8)
    (disc,) = find_discs(covered, ((0,),), hidden)
    y, x = np.mgrid[:240, :320]
    inside = disc.contains(y, x)
    assert (inside != (truth == 0)).mean() < 0.006
    assert disc.nearness((120, 150)) < 0.1 and disc.nearness((120, 319)) > 1


def test_a_pupil_that_hooks_pull_into_a_square_stays_square():
    truth = np.full((200, 200), 4, np.uint8)
    truth[60:140, 60:140] = 0
    hidden = np.zeros_like(truth)
    hidden[95:105, :100] = 1
    (disc,) = find_discs(np.where(hidden > 0, 13, truth).astype(np.uint8), ((0,),), hidden)
    y, x = np.mgrid[:200, :200]
    assert (disc.contains(y, x) != (truth == 0)).mean() < 0.006


def test_what_is_no_disc_is_left_to_the_surroundings():
    label_map = np.full((120, 300), 6, np.uint8)
    label_map[100:, 40:280] = 0
    label_map[20:, 250:280] = 0
    assert find_discs(label_map, ((0,),), np.zeros_like(label_map)) == ()


def test_thin_things_go_on_behind_what_crosses_them():
    own = np.zeros((60, 80), bool)
    own[28:32, :] = True
    over = np.zeros_like(own)
    over[:, 30:50] = True
    visible = own & ~over
    assert np.array_equal(bridge(visible, over) | visible, own)
    ended = visible.copy()
    ended[:, 50:] = False
    assert not bridge(ended, over).any()


def test_taking_an_instrument_away_restores_the_hook_below_it():
    truth = np.full((200, 300), 6, np.uint8)
    cv2.line(truth, (0, 20), (200, 120), 35, 3)
    covered = truth.copy()
    cv2.line(covered, (80, 199), (130, 40), 13, 14)
    scene = Scene(covered, CADIS)
    assert [obj.class_ids for obj in scene.objects] == [(13,)]
    assert (scene.without(0) != truth).mean() < 0.0008
