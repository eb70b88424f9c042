"""A lock on a folder, held by the operating system for as long as the process lives: a dead one holds nothing."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from surgaug.errors import DataError
from surgaug.runtime.feedback import Feedback

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
    import msvcrt

_NO_LOCKS_HERE = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}


@contextmanager
def folder_lock(folder: Path, feedback: Feedback, part: str | None = None) -> Iterator[None]:
    """Hold `folder` alone, or, with `part`, that part alone beside the holders of other parts.

    The files `.lock` and `.lock-PART` stay behind and mean nothing by themselves. Raises DataError naming the process
    that holds the lock. On a file system that knows no locks it warns and goes on.
    """
    with ExitStack() as stack:
        stack.enter_context(_hold(folder / ".lock", feedback, shared=part is not None))
        if part is not None:
            stack.enter_context(_hold(folder / f".lock-{part}", feedback, shared=False))
        yield


@contextmanager
def in_turn(folder: Path, feedback: Feedback) -> Iterator[None]:
    """Wait until no other shard is in the same passage."""
    with _hold(folder / ".lock-turn", feedback, shared=False, wait=True):
        yield


@contextmanager
def _hold(path: Path, feedback: Feedback, *, shared: bool, wait: bool = False) -> Iterator[None]:
    # Not inherited by child processes (PEP 446), so that none keeps it beyond our death.
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            _lock(handle, shared, wait)
        except OSError as error:
            if error.errno in _NO_LOCKS_HERE:
                feedback.warn(f"{path.parent}: this file system has no locks; let no second run write here")
            elif error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
                holder = path.read_text(errors="replace").strip() or "another shard of it"
                raise DataError(
                    f"{path.parent}: another run is writing here ({holder}); wait for it, or give another --out"
                ) from None
            else:
                raise
        if not shared:
            os.ftruncate(handle, 0)
            os.write(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        yield
        if not shared:
            os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _lock(handle: int, shared: bool, wait: bool) -> None:
    if fcntl is not None:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    elif not shared:
        # A byte far behind the text, since Windows forbids others to read what is locked.
        os.lseek(handle, 1 << 20, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        os.lseek(handle, 0, os.SEEK_SET)
