"""Feedback that keeps what a job says, for tests that ask what was said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from surgaug.runtime.feedback import Silent, Task


class Heard(Silent):
    """said: all messages in their order; infos, warnings: those of either kind. tables: (columns, rows) by title. bars:
    [done, total] of each progress bar by its description, the newest where several have the same."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.infos: list[str] = []
        self.warnings: list[str] = []
        self.tables: dict[str, tuple[Sequence[str], Sequence[Sequence[Any]]]] = {}
        self.bars: dict[str, list[float | None]] = {}

    def info(self, message: str) -> None:
        self.said.append(message)
        self.infos.append(message)

    def warn(self, message: str) -> None:
        self.said.append(message)
        self.warnings.append(message)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "") -> None:
        self.tables[title] = (columns, rows)

    def task(self, description: str, total: float | None, unit: str = "", done: float = 0) -> Task:
        self.bars[description] = bar = [done, total]

        class Bar:
            def advance(self, n: float = 1, **fields: Any) -> None:
                bar[0] += n

            def __enter__(self) -> Bar:
                return self

            def __exit__(self, *exc: object) -> None: ...

        return Bar()
