"""Manifests: JSON lines, a row a file that was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MANIFEST = "manifest.jsonl"


def read_manifest(path: Path) -> tuple[list[dict[str, Any]], list[int]]:
    """The rows, and the numbers (from 1) of the lines that are none, such as the half row of a killed run."""
    rows, damaged = [], []
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise ValueError
                rows.append(row)
            except ValueError:
                damaged.append(number)
    return rows, damaged
