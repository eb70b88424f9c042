"""Figures for people: how far a job is and how fast, numbers, times, plain tables. Pure, but for the clock."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

SECONDS = {"s": 1, "min": 60, "h": 3600}


class Meter:
    """How far a job is, how fast it goes lately, and how long it will take. Times in seconds, safe across threads."""

    def __init__(self, total: float | None, done: float = 0, now: float | None = None, window: float = 30) -> None:
        self.total, self.done = total, done
        self.fields: dict[str, Any] = {}
        self.start = time.monotonic() if now is None else now
        self._window = window
        self._recent = deque([(self.start, done)])
        self._lock = threading.Lock()

    def advance(self, n: float, fields: dict[str, Any], now: float | None = None) -> None:
        now = time.monotonic() if now is None else now
        with self._lock:
            self.done += n
            self.fields.update(fields)
            self._recent.append((now, self.done))
            while len(self._recent) > 2 and now - self._recent[1][0] > self._window:
                self._recent.popleft()

    @property
    def rate(self) -> float | None:
        """Units a second over the last `window` seconds (more where the units are slower than that)."""
        (t0, n0), (t1, n1) = self._recent[0], self._recent[-1]
        return (n1 - n0) / (t1 - t0) if t1 > t0 and n1 > n0 else None

    @property
    def remaining(self) -> float | None:
        """Seconds left."""
        return max(0.0, self.total - self.done) / self.rate if self.total is not None and self.rate else None

    def count(self, unit: str) -> str:
        """`12/60 images`, or `0:19/60:00` for a bar that runs in units of time."""
        if unit in SECONDS:
            return "/".join(clock(SECONDS[unit] * n) for n in (self.done, self.total) if n is not None)
        total = "" if self.total is None else f"/{number(self.total)}"
        return f"{number(self.done)}{total}{' ' * bool(unit)}{unit}"

    def speed(self, unit: str) -> str:
        """`12 step/s`, or `3 s/step`; nothing for a bar that runs in units of time."""
        if self.rate is None or unit in SECONDS:
            return ""
        each = unit.removesuffix("s")
        if self.rate >= 1 or not each:
            return f"{number(self.rate)} {each}/s".replace(" /", "/")
        return f"{number(1 / self.rate)} s/{each}"

    def notes(self) -> str:
        return " ".join(f"{key}={number(value)}" for key, value in self.fields.items())


def number(value: Any) -> str:
    """A figure for people: whole numbers whole, others with four significant digits; None as '-', text as it is."""
    if value is None:
        return "-"
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        return str(value)
    as_float = float(value)
    if abs(as_float) < 1e15 and as_float == int(as_float):
        return str(int(as_float))
    return f"{as_float:.4g}" if abs(as_float) < 1e4 else f"{as_float:.0f}"


def clock(seconds: float) -> str:
    """`M:SS` or `H:MM:SS`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def plain_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Columns two spaces apart, numbers to the right: for people and for awk. Never cut to a width."""
    cells = [list(columns), *([number(value) for value in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    right = [numeric(rows, i) for i in range(len(columns))]
    return "\n".join(
        "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)).rstrip()
        for row in cells
    )


def numeric(rows: Sequence[Sequence[Any]], index: int) -> bool:
    """Whether a column holds figures (percentages among them) and gaps only."""
    values = [row[index] for row in rows if row[index] not in (None, "", "-")]
    return bool(values) and all(hasattr(v, "__float__") or _is_figure(str(v)) for v in values)


def _is_figure(text: str) -> bool:
    return text.removesuffix("%").strip().lstrip("+-").replace(".", "", 1).isdigit()
