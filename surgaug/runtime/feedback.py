"""What long jobs tell their caller. The terminal's version is `surgaug.cli.screen`; libraries use `Silent`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Task(Protocol):
    """One progress bar. Usable as a context manager."""

    def advance(self, n: float = 1, **fields: Any) -> None:
        """Move on by `n`; `fields` (loss=..., lr=...) are shown beside the bar."""

    def __enter__(self) -> Task: ...

    def __exit__(self, *exc: object) -> None: ...


class Feedback(Protocol):
    """Progress, messages and tables, all of which go to stderr."""

    def task(self, description: str, total: float | None, unit: str = "", done: float = 0) -> Task:
        """A progress bar from `done` to `total` (None: unknown) with rate and time left."""

    def info(self, message: str) -> None: ...

    def warn(self, message: str) -> None: ...

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "") -> None: ...


class _SilentTask:
    def advance(self, n: float = 1, **fields: Any) -> None:
        pass

    def __enter__(self) -> _SilentTask:
        return self

    def __exit__(self, *exc: object) -> None:
        pass


class Silent:
    """Says nothing."""

    def task(self, description: str, total: float | None, unit: str = "", done: float = 0) -> Task:
        return _SilentTask()

    def info(self, message: str) -> None:
        pass

    def warn(self, message: str) -> None:
        pass

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "") -> None:
        pass


class WithoutTables:
    """Passes on all but tables."""

    def __init__(self, feedback: Feedback):
        self.task, self.info, self.warn = feedback.task, feedback.info, feedback.warn

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "") -> None:
        pass
