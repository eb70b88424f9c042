"""How strongly an operation acts: its settings made larger or smaller together."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

# For a setting that is a factor (1 changes nothing): twice as strong is its square. Other fractions are multiplied.
FACTOR = {"factor": True}


def strengthened(params: Any, strength: float) -> Any:
    """An operation's `Params`, `strength` times as strong. Whole numbers and switches stay."""
    values = {f.name: (getattr(params, f.name), f.metadata.get("factor", False)) for f in fields(params)}
    changed = {
        name: value**strength if factor else value * strength
        for name, (value, factor) in values.items()
        if isinstance(value, float)
    }
    return replace(params, **changed)
