"""The screen: progress, messages and tables on stderr, results on stdout.

A terminal gets bars and tables; a file or a pipe gets plain lines, one a minute once a job is under way; `--quiet` gets
nothing but results and errors. `feedback()` picks.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from surgaug.cli import encodings
from surgaug.cli.figures import Meter, clock, plain_table
from surgaug.cli.help import Page, render
from surgaug.cli.terminal import Terminal
from surgaug.runtime.distributed import torchrun_group
from surgaug.runtime.feedback import Feedback, Silent

_settings = {"quiet": False, "debug": False}
_terminal: Terminal | None = None


def configure(*, quiet: bool, debug: bool) -> None:
    """What `--quiet` and `--debug` set."""
    _settings.update(quiet=quiet, debug=debug)


def quiet() -> bool:
    return _settings["quiet"] or not torchrun_group().is_main


def debug() -> bool:
    return _settings["debug"]


def feedback() -> Feedback:
    """The Feedback for this run: silent, a terminal's, or plain lines."""
    global _terminal
    if quiet():
        return Silent()
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        _terminal = _terminal or Terminal()
        return _terminal
    return Lines()


def open_streams() -> None:
    """Give a standard stream that the shell has closed (`>&-`) the null device, in its own place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  (until the end)


def any_encoding() -> None:
    """Let results, messages and help through, whatever characters the locale knows."""
    sys.stdout.reconfigure(errors=encodings.BYTES)  # type: ignore[union-attr]
    sys.stderr.reconfigure(errors=encodings.LOOKALIKES)  # type: ignore[union-attr]


def colour(stream: Any) -> bool:
    """Whether colours are wanted there: on a terminal that has them, without NO_COLOR (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def help_page(page: Page) -> str:
    """The page as wide as the terminal."""
    return render(page, shutil.get_terminal_size().columns, bold=colour(sys.stdout))


def result(line: object) -> None:
    """Write one line of result (a path, or JSON) to stdout, at once, so that the next command in a pipe can start."""
    if _terminal is not None and _terminal.drawing and sys.stdout.isatty():
        _terminal.above(str(line))  # stdout and stderr are one screen here: the bar must make room
        return
    try:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    except OSError as failure:
        failure.filename = "standard output"
        drop_results()
        raise


def drop_results() -> None:
    """Let stdout take everything from here on, and keep nothing: Python writes out what is left as it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def error(message: str, label: str = "error: ") -> None:
    """Write `surgaug: error: message` to stderr, after the traceback of the current exception with `--debug`."""
    if debug():
        import traceback

        traceback.print_exc()
    label = f"\x1b[1;31m{label}\x1b[0m" if label and colour(sys.stderr) else label
    sys.stderr.write(f"surgaug: {label}{message}\n")


class Lines:
    """Feedback where stderr is no terminal: whole lines, no control characters."""

    def __init__(self) -> None:
        self._pace = Pace()

    def task(self, description: str, total: float | None, unit: str = "", done: float = 0) -> LinesTask:
        return LinesTask(description, Meter(total, done), unit, self._pace)

    def info(self, message: str) -> None:
        _write(message)

    def warn(self, message: str) -> None:
        _write(f"warning: {message}")

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "") -> None:
        _write("\n".join(part for part in (title, plain_table(columns, rows), caption) if part))


class Pace:
    """When another line of progress is due: every three seconds in the first minute, then once a minute.

    All jobs of a command share it, so that what runs a hundred times within a long one does not fill the log.
    """

    FIRST, LATER = 3.0, 60.0  # seconds between lines in the first minute, and after it

    def __init__(self) -> None:
        self._start = self._last = time.monotonic()
        self._running = 0
        self._lock = threading.Lock()

    def due(self, early: bool = False) -> bool:
        """Whether a line may be written now; if so, it counts as written. early: in the first minute, at any time."""
        with self._lock:
            now = time.monotonic()
            wait = self.LATER if now - self._start > self.LATER else 0 if early else self.FIRST
            if now - self._last < wait:
                return False
            self._last = now
            return True

    def enter(self) -> None:
        """A job begins."""
        with self._lock:
            self._running += 1

    def leave(self) -> bool:
        """A job ends; whether it ran within another one."""
        with self._lock:
            self._running -= 1
            return self._running > 0


class LinesTask:
    """A job that reports in lines, as often as the command's pace allows; its end is told unless it is a part."""

    def __init__(self, description: str, meter: Meter, unit: str, pace: Pace) -> None:
        self._description, self._meter, self._unit, self._pace = description, meter, unit, pace

    def advance(self, n: float = 1, **fields: Any) -> None:
        self._meter.advance(n, fields)
        if not self._pace.due():
            return
        meter = self._meter
        share = f"{min(100, 100 * meter.done / meter.total):.0f}%" if meter.total else ""
        left = "" if meter.remaining is None else f"{clock(meter.remaining)} left"
        self._line(share, meter.speed(self._unit), left)

    def __enter__(self) -> LinesTask:
        self._pace.enter()
        return self

    def __exit__(self, *exc: object) -> None:
        is_part = self._pace.leave()
        if is_part and exc[0] is None and not self._pace.due(early=True):
            return
        self._line(f"{'done' if exc[0] is None else 'stopped'} after {clock(time.monotonic() - self._meter.start)}")

    def _line(self, *parts: str) -> None:
        _write(
            "  ".join(p for p in (self._description, self._meter.count(self._unit), *parts, self._meter.notes()) if p)
        )


def _write(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
