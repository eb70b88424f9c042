"""The same function over many tasks, in threads or in worker processes, with results in the order of the tasks."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import cv2

from surgaug.errors import DataError
from surgaug.runtime.feedback import Feedback, Silent

T = TypeVar("T")
R = TypeVar("R")
_AHEAD = 4  # results a thread that may wait to be taken: bounds the memory
_AHEAD_OF_PROCESSES = 3
_UNKNOWN_MEMORY = 8 * 2**30
_MEMORY_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_THREADS = 8  # reading files gains nothing from more


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processes_here() -> int:
    """Processes of this training on this machine, as torchrun says; 1 without it."""
    told = os.environ.get("LOCAL_WORLD_SIZE", "1")
    return max(1, int(told)) if told.isdecimal() else 1


def memory() -> int:
    """Bytes of memory that this process may use: the machine's, or its control group's where that allows less."""
    try:
        found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows
        return _UNKNOWN_MEMORY
    for limit in _MEMORY_LIMITS:
        try:
            found = min(found, int(limit.read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return found


def in_threads(
    function: Callable[[T], R],
    tasks: Iterable[T],
    workers: int = 0,
    feedback: Feedback | None = None,
    title: str = "",
    unit: str = "files",
) -> Iterator[R]:
    """`function(task)` of every task, computed ahead in threads; at most four results a thread wait to be taken.

    workers: threads; 0: as many as cores, at most 8. feedback: shows a progress bar with `title`. Ctrl-C, or leaving
    early, drops what has not begun. Raises what `function` raises.
    """
    workers = workers or min(_THREADS, cores())
    total = len(tasks) if isinstance(tasks, Sequence) else None
    left = iter(tasks)
    with (
        (feedback or Silent()).task(title, total, unit) as bar,
        ThreadPoolExecutor(workers, thread_name_prefix="surgaug") as pool,
    ):
        waiting = deque(pool.submit(function, task) for task in islice(left, _AHEAD * workers))
        try:
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(function, task) for task in islice(left, 1))
                bar.advance()
                yield result
        finally:
            for future in waiting:
                future.cancel()


def in_processes(
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
                if len(waiting) >= _AHEAD_OF_PROCESSES * workers:
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
    """Prepare a new worker: keep `shared`, leave Ctrl-C to the parent, use one thread, and end when the parent ends."""
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
