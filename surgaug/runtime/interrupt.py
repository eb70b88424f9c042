"""Ctrl-C once: finish the piece of work at hand, save, say how to go on. Twice: stop at once. SIGTERM: as once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Stop:
    """`requested` turns true when the user (or the job scheduler) asks to stop."""

    requested = False


_before = Stop()  # requested by a Ctrl-C before the work that `graceful` guards


def heed() -> None:
    """Remember every Ctrl-C from here on, so that none is lost before `graceful` begins. For the command line.

    Python drops the KeyboardInterrupt of a Ctrl-C that arrives in a finalizer or in a callback of an import. With this,
    the first `graceful` afterwards stops at once. A process that ignores Ctrl-C goes on ignoring it.
    """

    def handle(signum: int, frame: object) -> None:
        _before.requested = True
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, handle)


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
    stop.requested |= _before.requested
    try:
        yield stop
    finally:
        for s, handler in before.items():
            signal.signal(s, handler)
