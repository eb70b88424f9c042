"""Ctrl-C once: finish the piece of work at hand, save, say how to go on. Twice: stop at once.

SIGTERM is as the first one, however often it comes: schedulers send it to a launcher and to the processes to which the
launcher sends it again, and end what does not end with SIGKILL."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# What asks a process to stop, and what Python does of itself.
_USUAL = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


class Stop:
    """`requested` turns true when the user (or the job scheduler) asks to stop."""

    requested = False


_before = Stop()  # requested before the work that `graceful` guards


def heed() -> None:
    """Let SIGTERM, too, raise KeyboardInterrupt, and remember both from here on. For the command line.

    Python drops a KeyboardInterrupt that arrives in a finalizer or in a callback of an import. With this, the first
    `graceful` afterwards stops at once. A process that ignores one of them goes on ignoring it.
    """

    def handle(signum: int, frame: object) -> None:
        _before.requested = True
        raise KeyboardInterrupt

    for signum, usual in _USUAL.items():
        if signal.getsignal(signum) == usual:
            signal.signal(signum, handle)


def ignore() -> None:
    """Ignore both from here on."""
    for signum in _USUAL:
        signal.signal(signum, signal.SIG_IGN)


@contextmanager
def graceful() -> Iterator[Stop]:
    """While inside, SIGINT or SIGTERM only sets `Stop.requested`; a SIGINT that follows ends at once. Outside the main
    thread: no effect."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {s: signal.getsignal(s) for s in _USUAL}

    def handle(signum: int, frame: object) -> None:
        if stop.requested and signum == signal.SIGINT:
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
