"""Feedback on a terminal: rich's bars and tables. rich is imported only when something is drawn with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from surgaug.cli.figures import Meter, clock, number, numeric
from surgaug.cli.help import TWO_COLUMNS

NARROW = 72  # columns; below this a bar would leave no room for the figures


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

        lines = box.SIMPLE_HEAD if self._console.width >= TWO_COLUMNS else None  # a narrow one has no room for them
        table = Table(box=lines, padding=(0, 1, 0, 0), pad_edge=False)
        for index, column in enumerate(columns):
            table.add_column(column, justify="right" if numeric(rows, index) else "left", overflow="fold")
        for row in rows:
            table.add_row(*(number(value) for value in row))
        # Lines of their own: as title and caption, rich would wrap them at the table's width.
        self._console.print(title, style="italic")
        self._console.print(table)
        if caption:
            self._console.print(caption, style="dim italic")

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
