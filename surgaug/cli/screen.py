"""The terminal: progress, messages and tables on stderr, results on stdout.

A terminal gets rich's bars and tables; a file or a pipe gets plain lines, ever rarer as a job goes on; `--quiet` gets
nothing but results and errors. `feedback()` picks. rich is imported only when something is drawn with it.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from surgaug.cli import encodings
from surgaug.cli.figures import Meter, clock, number, numeric, plain_table
from surgaug.cli.help import Page, render
from surgaug.feedback import Feedback, Silent
from surgaug.torchrun import place

_settings = {"quiet": False, "debug": False}
_terminal: Terminal | None = None
NARROW = 72  # columns; below this a bar would leave no room for the figures


def configure(*, quiet: bool, debug: bool) -> None:
    """What `--quiet` and `--debug` set."""
    _settings.update(quiet=quiet, debug=debug)


def quiet() -> bool:
    return _settings["quiet"] or not place().leads


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
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def error(message: str, label: str = "error: ") -> None:
    """Write `surgaug: error: message` to stderr, after the traceback of the current exception with `--debug`."""
    if debug():
        import traceback

        traceback.print_exc()
    label = f"\x1b[1;31m{label}\x1b[0m" if label and colour(sys.stderr) else label
    sys.stderr.write(f"surgaug: {label}{message}\n")


class Lines:
    """Feedback where stderr is no terminal: whole lines, no control characters."""

    def task(self, description: str, total: float | None, unit: str = "", done: float = 0) -> LinesTask:
        return LinesTask(description, Meter(total, done), unit)

    def info(self, message: str) -> None:
        _write(message)

    def warn(self, message: str) -> None:
        _write(f"warning: {message}")

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "") -> None:
        _write("\n".join(part for part in (title, plain_table(columns, rows), caption) if part))


class LinesTask:
    """A job that reports in lines: after three seconds, then whenever a twentieth of its time so far has passed."""

    def __init__(self, description: str, meter: Meter, unit: str) -> None:
        self._description, self._meter, self._unit = description, meter, unit
        self._last = meter.start
        self._lock = threading.Lock()

    def advance(self, n: float = 1, **fields: Any) -> None:
        self._meter.advance(n, fields)
        with self._lock:
            now = time.monotonic()
            if now - self._last < min(60.0, max(3.0, (now - self._meter.start) / 20)):
                return
            self._last = now
        meter = self._meter
        share = f"{min(100, 100 * meter.done / meter.total):.0f}%" if meter.total else ""
        left = "" if meter.remaining is None else f"{clock(meter.remaining)} left"
        self._line(share, meter.speed(self._unit), left)

    def __enter__(self) -> LinesTask:
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        self._line(f"{'done' if kind is None else 'stopped'} after {clock(time.monotonic() - self._meter.start)}")

    def _line(self, *parts: str) -> None:
        _write(
            "  ".join(p for p in (self._description, self._meter.count(self._unit), *parts, self._meter.notes()) if p)
        )


class Terminal:
    """Feedback on a terminal: bars that stay at the bottom while messages and tables scroll above them."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._progress: Any = None
        self._running = 0
        self._lock = threading.Lock()

    @property
    def drawing(self) -> bool:
        return self._running > 0

    def task(self, description: str, total: float | None, unit: str = "", done: float = 0) -> TerminalTask:
        return TerminalTask(self, description, Meter(total, done), unit)

    def info(self, message: str) -> None:
        self._console.print(message)

    def warn(self, message: str) -> None:
        from rich.text import Text

        self._console.print(Text("warning: ", style="bold yellow").append(message, style="not bold default"))

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "") -> None:
        from rich import box
        from rich.table import Table

        table = Table(title=title, caption=caption or None, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        table.title_justify = table.caption_justify = "left"
        for index, column in enumerate(columns):
            table.add_column(column, justify="right" if numeric(rows, index) else "left", overflow="fold")
        for row in rows:
            table.add_row(*(number(value) for value in row))
        self._console.print(table)

    def above(self, line: str) -> None:
        """Print one line above the bars, unwrapped."""
        self._console.print(line, soft_wrap=True)

    def enter(self, description: str, meter: Meter, unit: str) -> Any:
        """Add a bar, and start drawing with the first."""
        with self._lock:
            if self._running == 0:
                self._progress = _progress(self._console)
                self._progress.start()
            self._running += 1
            return self._progress.add_task(description, total=meter.total, completed=meter.done, meter=meter, unit=unit)

    def update(self, bar: Any, meter: Meter) -> None:
        self._progress.update(bar, completed=meter.done)

    def leave(self, bar: Any) -> None:
        """Remove an inner bar; leave the last one on the screen as it ended."""
        with self._lock:
            self._running -= 1
            if self._running:
                self._progress.remove_task(bar)
            else:
                self._progress.stop()


class TerminalTask:
    """One bar of a Terminal."""

    def __init__(self, terminal: Terminal, description: str, meter: Meter, unit: str) -> None:
        self._terminal, self._description, self._meter, self._unit = terminal, description, meter, unit
        self._bar: Any = None

    def advance(self, n: float = 1, **fields: Any) -> None:
        self._meter.advance(n, fields)
        if self._bar is not None:
            self._terminal.update(self._bar, self._meter)

    def __enter__(self) -> TerminalTask:
        self._bar = self._terminal.enter(self._description, self._meter, self._unit)
        return self

    def __exit__(self, *exc: object) -> None:
        self._terminal.leave(self._bar)
        self._bar = None


def _progress(console: Any) -> Any:
    """A rich Progress whose figures come from each task's Meter."""
    from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn
    from rich.table import Column
    from rich.text import Text

    class Figures(ProgressColumn):
        def render(self, task: Any) -> Text:
            meter, unit = task.fields["meter"], task.fields["unit"]
            elapsed = time.monotonic() - meter.start
            if task.finished:
                parts = [meter.count(unit), f"in {clock(task.finished_time or elapsed)}"]
            else:
                left = "" if meter.remaining is None else f"{clock(meter.remaining)} left"
                parts = [meter.count(unit), meter.speed(unit), left or clock(elapsed)]
            return Text("  ".join(p for p in (*parts, meter.notes()) if p), no_wrap=True, overflow="ellipsis")

    wide = console.width >= NARROW
    return Progress(
        SpinnerColumn("dots" if console.encoding.startswith("utf") else "line", finished_text=" "),
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
        *([BarColumn(bar_width=min(40, console.width // 5))] if wide else []),
        Figures(table_column=Column(no_wrap=True, overflow="ellipsis")),
        console=console,
        redirect_stdout=False,  # rich would move stdout's results to stderr
        refresh_per_second=8,
    )


def _write(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
