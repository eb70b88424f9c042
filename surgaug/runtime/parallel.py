"""The same function over many tasks, in worker processes, results in the order of the tasks."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

import cv2

from surgaug.errors import DataError

T = TypeVar("T")
R = TypeVar("R")
_AHEAD = 3  # tasks a worker that are handed out before the first result is taken: bounds the memory


def in_order(
    function: Callable[[Any, T], R],
    shared: Any,
    tasks: Sequence[T],
    workers: int,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[R]:
    """`function(shared, task)` of every task; ends early, with what was begun, once `stopped()`.

    With one worker all happens in this process. `function` must be a module's own, `shared` and the tasks picklable.
    Raises what `function` raises, and DataError when a worker is killed.
    """
    if workers <= 1:
        for task in tasks:
            if stopped():
                return
            yield function(shared, task)
        return
    # Not fork: the parent has threads by now (progress, reading), and their locks would come along.
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    waiting: deque = deque()
    with ProcessPoolExecutor(workers, multiprocessing.get_context(method), _start, (function, shared)) as pool:
        try:
            for task in tasks:
                if stopped():
                    break
                waiting.append(pool.submit(_call, task))
                if len(waiting) >= _AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise DataError(
                "a worker process died (out of memory?); the same line goes on, fewer --workers need less memory"
            ) from None
        finally:  # leaving by an exception, nothing that has not begun is waited for
            for future in waiting:
                future.cancel()


_work: tuple[Callable[[Any, Any], Any], Any] | None = None


def _start(function: Callable[[Any, Any], Any], shared: Any) -> None:
    """In a new worker: keep what is shared, leave Ctrl-C to the parent, one thread, no life after the parent's."""
    global _work
    _work = function, shared
    threading.Thread(target=_die_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)


def _die_with_parent() -> None:
    # A killed parent closes no queue that its workers wait on.
    if parent := multiprocessing.parent_process():
        parent.join()
    os._exit(1)


def _call(task: Any) -> Any:
    assert _work is not None, "a worker that was not started by `_start`"
    function, shared = _work
    return function(shared, task)
