"""Ctrl-C once: finish the piece of work at hand, save, say how to go on. Twice: now. SIGTERM counts as once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Stop:
    """`requested` turns true when the user (or the job scheduler) asks to stop."""

    requested = False


_before = Stop()  # a Ctrl-C from before the work that `graceful` guards


def heed() -> None:
    """From here on a Ctrl-C is never lost, for a program that is nothing but one command.

    Python drops the KeyboardInterrupt of a Ctrl-C that falls into a finalizer or a callback, as imports have them. This
    remembers it, so that `graceful` stops at its first chance. Where Ctrl-C is ignored it stays so.
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
