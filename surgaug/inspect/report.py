"""What an inspection found, for people (facts, tables, problems) and for programs (plain JSON types)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from surgaug.inspect.run_log import RunLog

if TYPE_CHECKING:
    from surgaug.datasets.dataset import LabelMaps
    from surgaug.inspect.audit import Audit

Table = tuple[str, list[str], list[list[Any]]]
BARS = "▁▂▃▄▅▆▇█"


@dataclass
class Report:
    """kind: "data set", "label maps", "model", "run", "image", "label map", "manifest" or "class file".

    problems: what keeps it from being used, a line each. notes: what is worth knowing.
    doubts: what may be wrong with its labels though they were read. details: more, for programs.
    frames: those of a data set. audit: what its labels look like to a segmenter, if that was asked. logs: what a run,
    or each stage of one, left to be drawn.
    """

    path: Path
    kind: str
    facts: list[tuple[str, str]] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    frames: LabelMaps | None = field(default=None, repr=False)
    audit: Audit | None = field(default=None, repr=False)
    logs: list[RunLog] = field(default_factory=list, repr=False)

    def add(self, name: str, value: object) -> None:
        """One more fact, unless there is nothing to say."""
        if value not in (None, "", [], {}):
            self.facts.append((name, str(value)))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        tables = [
            {"title": title, "rows": [dict(zip(columns, row, strict=True)) for row in rows]}
            for title, columns, rows in self.tables
        ]
        return {
            "format": "surgaug-inspect-1",
            "path": str(self.path),
            "kind": self.kind,
            "facts": dict(self.facts),
            "tables": tables,
            "notes": self.notes,
            "doubts": self.doubts,
            "problems": self.problems,
            **self.details,
        }


def shortened(problems: list[str], most: int = 10) -> list[str]:
    """For people: of each kind of problem (what stands before its colon) the first `most`, and how many more."""
    kinds = Counter(problem.partition(": ")[0] for problem in problems)
    shown: Counter[str] = Counter()
    lines = []
    for problem in problems:
        kind = problem.partition(": ")[0]
        shown[kind] += 1
        if shown[kind] <= most:
            lines.append(problem)
        elif shown[kind] == kinds[kind]:
            lines.append(f"{kind}: and {kinds[kind] - most} more (--json names all)")
    return lines


def sparkline(values: Sequence[float], width: int = 60) -> str:
    """A curve in one line of text: means over `width` equal parts, from the lowest value to the highest."""
    if not values:
        return ""
    parts = min(width, len(values))
    edges = [round(i * len(values) / parts) for i in range(parts + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = min(means), max(means)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0
    return "".join(BARS[round((m - low) * scale)] for m in means)
