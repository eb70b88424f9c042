"""Some of many, evenly spread."""

from __future__ import annotations

from surgaug.errors import DataError
from surgaug.runtime.spread import readable, spread, spread_over


def test_numbers_are_spread_evenly():
    assert spread(5, 24) == [0, 1, 2, 3, 4]
    assert spread(1000, 5) == [0, 250, 500, 749, 999]
    assert len(spread(5000, 24)) == 24
    assert spread(0, 5) == []


def test_items_are_those_of_the_numbers():
    assert spread_over("abcdefgh", 3) == ["a", "e", "h"]


def test_what_cannot_be_read_is_passed_over():
    def load(i: int) -> int:
        if i == 499:
            raise DataError("broken")
        return i

    assert list(readable(load, 1000, 5)) == [0, 250, 500, 749, 999]
    assert list(readable(load, 999, 3)) == [0, 998]
