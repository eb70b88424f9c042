from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surgaug.errors import UsageError
from surgaug.synthesis.plan import Shard, arrange, assign_masks, batches, rank_rare_first, sample_name, take_shard


@settings(deadline=None)
@given(st.integers(0, 200), st.integers(1, 40), st.integers(0, 2**63 - 1))
def test_masks_are_used_equally_and_do_not_depend_on_n(n, num_masks, seed):
    masks = assign_masks(n, num_masks, seed)
    counts = np.bincount(masks, minlength=num_masks)
    assert counts.max() - counts.min() <= 1
    assert np.array_equal(masks, assign_masks(n + 17, num_masks, seed)[:n])


def test_few_samples_are_spread_over_the_masks_and_differ_by_seed():
    first = assign_masks(50, 1000, seed=0)
    assert first.max() > 800 and first.min() < 200
    assert not np.array_equal(first, assign_masks(50, 1000, seed=1))


def test_rare_first():
    # class 0 is everywhere, class 1 in two masks, class 2 in one
    presence = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0], [1, 1, 1]], bool)
    ranking = rank_rare_first(presence)
    assert ranking.tolist() == [3, 1, 0, 2]
    assert assign_masks(6, 4, 0, ranking).tolist() == [3, 1, 0, 2, 3, 1]
    # two masks share their rarest class: the second rarest decides
    presence = np.array([[1, 0, 1, 0], [1, 1, 1, 0], [1, 1, 0, 1], [1, 1, 0, 1], [1, 1, 0, 1]], bool)
    assert rank_rare_first(presence).tolist()[:2] == [1, 0]
    assert rank_rare_first(np.zeros((3, 0), bool)).tolist() == [0, 1, 2]


@settings(deadline=None)
@given(st.integers(0, 300), st.integers(1, 30), st.integers(1, 9))
def test_shards_partition_the_samples_and_keep_masks_together(n, num_masks, count):
    masks = assign_masks(n, num_masks, 3)
    order = arrange(masks)
    assert sorted(order.tolist()) == list(range(n))
    runs = 1 + np.count_nonzero(np.diff(masks[order])) if n else 0
    assert runs == len(set(masks.tolist()))
    parts = [take_shard(order, Shard(i, count)) for i in range(1, count + 1)]
    assert np.array_equal(np.concatenate(parts), order)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_arrange_keeps_the_order_in_which_masks_come_up():
    assert arrange(np.array([2, 0, 1, 2, 0, 1])).tolist() == [0, 3, 1, 4, 2, 5]


def test_batches_are_of_one_size_and_the_limit_may_fall():
    sizes = {5: "small", 6: "large", 7: "small", 8: "small", 9: "large"}
    limit = {"small": 2, "large": 1}
    cut = batches(sizes, sizes.get, limit.get)
    assert next(cut) == [6]
    assert next(cut) == [5, 7]
    limit["small"] = 1
    assert list(cut) == [[8], [9]]
    assert list(batches([1, 2, 3], lambda _: 0, lambda _: 2)) == [[1, 2], [3]]


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "a/b", "-1/4", "1/0", ""])
def test_a_wrong_shard_says_what_is_expected(text):
    with pytest.raises(UsageError, match="from 1 to N"):
        Shard.parse(text)


def test_shard_and_name():
    assert Shard.parse("2/8") == Shard(2, 8) and str(Shard(2, 8)) == "2/8"
    assert sample_name("Video1_frame000030", 7) == "Video1_frame000030_000007"
    assert sample_name("case_1/0001", 7) == "case_1_0001_000007"
