"""Hold-outs: whole groups, as many frames as were asked for, and never all of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surgaug.datasets.item import Item
from surgaug.datasets.splits import group_of, hold_out


def test_the_group_is_the_video_or_else_the_frame():
    assert group_of(Item("a", None, None, "video 1")) == "video 1"
    assert group_of(Item("a", None, None)) == "a"


@pytest.mark.parametrize(
    ("frames", "most", "held"),
    [(0, None, set()), (1, None, {"b"}), (3, None, {"b"}), (4, None, {"a", "b"}), (9, None, {"a", "b"}), (2, 2, {"a"})],
)
def test_groups_are_taken_in_order_until_there_are_enough(frames, most, held):
    groups = ["a"] * 2 + ["b"] * 3 + ["c"] * 4
    assert hold_out(groups, ["b", "a", "c"], frames, most) == held


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), st.floats(0, 1), st.integers(0, 99))
def test_something_is_left_to_train_on(videos, share, seed):
    groups = [str(v) for v in videos]
    order = np.random.default_rng(seed).permutation(sorted(set(groups))).tolist()
    held = hold_out(groups, order, share * len(groups))
    assert held < set(groups)
    taken = sum(g in held for g in groups)
    # As many frames as were asked for, or every group but those that would leave nothing.
    assert taken >= share * len(groups) or all(taken + groups.count(g) >= len(groups) for g in set(groups) - held)
