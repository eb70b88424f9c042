"""What is asked of an operation beyond its mere name, to bring a class in or to take it out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wish:
    """add: the class that must come in. drop: the class that must go. spare: classes that must not be taken for it."""

    add: int | None = None
    drop: int | None = None
    spare: frozenset[int] = frozenset()
