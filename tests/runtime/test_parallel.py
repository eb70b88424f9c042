from __future__ import annotations

import threading
import time

import pytest

from surgaug.runtime.parallel import in_processes, in_threads


def test_threads_keep_the_order_and_run_no_further_ahead_than_memory_allows():
    begun, order = [], []

    def work(i: int) -> int:
        begun.append(i)
        time.sleep(0.002 * (i % 3))
        return i * i

    for n, result in enumerate(in_threads(work, range(50), workers=2)):
        order.append(result)
        time.sleep(0.001)
        assert max(begun) <= n + 1 + 4 * 2
    assert order == [i * i for i in range(50)]


def test_what_has_not_begun_is_dropped_when_one_fails():
    begun, gate = [], threading.Event()

    def work(i: int) -> None:
        begun.append(i)
        if i == 0:
            raise ValueError("first")
        gate.wait(0.05)

    with pytest.raises(ValueError, match="first"):
        list(in_threads(work, range(1000), workers=2))
    assert len(begun) < 20


def _add(shared: int, task: int) -> int:
    return shared + task


@pytest.mark.parametrize("workers", [1, 2])
def test_processes_give_the_same_in_the_same_order(workers):
    assert list(in_processes(_add, 10, range(20), workers)) == list(range(10, 30))
