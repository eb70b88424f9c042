from __future__ import annotations

import numpy as np
import pytest

from surgaug.labels.contact_sheet import ContactSheet
from surgaug.labels.label_space import LabelClass, LabelSpace

SPACE = LabelSpace(
    "test", (LabelClass(0, "Pupil", color=(255, 0, 0)), LabelClass(7, "Cannula", color=(0, 200, 50))), ignore=255
)


@pytest.mark.parametrize("hw", [(16, 16), (64, 112), (540, 960), (300, 20)])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_pairs_stand_side_by_side_above_a_legend(hw, count):
    label = np.zeros(hw, np.uint8)
    label[: hw[0] // 2] = 7
    image = np.full((*hw, 3), 90, np.uint8)
    drawing = ContactSheet(SPACE, min(3, count), 1600)
    for i in range(count):
        drawing.add(f"a name {i}", [SPACE.colorize(label), image], [label])
    sheet = drawing.draw("title")
    assert sheet.dtype == np.uint8 and sheet.shape[1:] == (1600, 3)
    for color in ((255, 0, 0), (0, 200, 50)):
        place = np.argwhere((sheet == color).all(-1))
        assert place[:, 0].max() > sheet.shape[0] - 60, "the legend at the bottom shows the class"
        assert place[:, 0].min() < sheet.shape[0] - 60, "and so does the picture"
    gray = np.argwhere((sheet == 90).all(-1))
    red = np.argwhere((sheet == (255, 0, 0)).all(-1))
    assert gray[:, 1].min() > red[:, 1].min(), "the image is to the right of its label map"


@pytest.mark.parametrize("side", [30, 100, 700])
def test_panels_of_any_size_fill_their_share_of_the_width(side):
    drawing = ContactSheet(SPACE, 1, 420, 0)
    drawing.add("", [np.full((side, side, 3), 90, np.uint8)] * 2)
    assert (drawing.draw("") == 90).all(-1).sum() == 200 * 400


def test_the_legend_goes_by_id_and_ends_with_what_else_is_shown():
    drawing = ContactSheet(SPACE, 1, 400)
    label = np.full((4, 4), 7, np.uint8)
    label[0, 0] = 0
    drawing.add("", [SPACE.colorize(label)], [label])
    legend = drawing.draw("", [("changed", (20, 40, 90))])[-30:]
    places = [np.argwhere((legend == color).all(-1))[:, 1].min() for color in ((255, 0, 0), (0, 200, 50), (20, 40, 90))]
    assert places == sorted(places), "not the most frequent class first"
