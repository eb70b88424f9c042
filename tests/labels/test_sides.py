"""Left and right classes in mirror images."""

from __future__ import annotations

import numpy as np

from surgaug.labels.builtin_spaces import builtin_spaces, load_space
from surgaug.labels.label_space import LabelClass, LabelSpace
from surgaug.labels.sides import exchanged, has_sides, one_sided, other_sides


def space(*names: str) -> LabelSpace:
    return LabelSpace("own", tuple(LabelClass(10 * i, name) for i, name in enumerate(names)), 255)


SIDED = space("background", "Left vocal fold", "right vocal fold", "bright spot", "forceps_left", "forceps_right")


def test_names_that_differ_in_the_side_alone_are_exchanged():
    assert other_sides(SIDED)[:6].tolist() == [0, 2, 1, 3, 5, 4]
    assert other_sides(SIDED)[255] == 255 and not one_sided(SIDED)
    for dtype in (np.uint8, np.uint16):
        label_map = np.array([[0, 10, 20], [30, 40, 255]], dtype)
        turned = exchanged(label_map, SIDED)
        assert turned.tolist() == [[0, 20, 10], [30, 50, 255]] and turned.dtype == dtype
        assert (exchanged(turned, SIDED) == label_map).all()


def test_a_side_without_its_other_is_told():
    assert one_sided(space("left eye", "nose")) == ("left eye",)
    assert one_sided(space("upright", "leftover", "left and right lung")) == ("left and right lung",)


def test_no_known_label_space_names_sides():
    for name in builtin_spaces():
        known = load_space(name)
        assert not one_sided(known) and not has_sides(known), name
        label_map = np.array(known.ids, np.uint8)[None]
        assert exchanged(label_map, known) is label_map
