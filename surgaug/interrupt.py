"""Ctrl-C once: finish the piece of work at hand, save, say how to go on. Twice: now. SIGTERM counts as once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Stop:
    """`requested` turns true when the user (or the job scheduler) asks to stop."""

    requested = False


@contextmanager
def graceful() -> Iterator[Stop]:
    """While inside, the first SIGINT or SIGTERM only sets `Stop.requested`. Outside the main thread: no effect."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}

    def handle(signum: int, frame: object) -> None:
        if stop.requested:
            raise KeyboardInterrupt
        stop.requested = True

    for s in before:
        signal.signal(s, handle)
    try:
        yield stop
    finally:
        for s, handler in before.items():
            signal.signal(s, handler)
