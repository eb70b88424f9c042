"""What values of options and of settings files have in common: sizes, nearest names, TOML."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from difflib import get_close_matches

from surgaug.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["did_you_mean", "nearest", "parse_size", "tomllib"]


def parse_size(text: str, option: str = "--size", least: int = 1, other: str = "") -> tuple[int, int]:
    """ "64x112" to (H, W) = (64, 112).

    least: smallest height and width. other: a word that the option takes besides, for the message. Raises UsageError,
    beginning with `option`.
    """
    height, _, width = text.strip().lower().partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise UsageError(f"{option} {text}: expected HxW, for example 64x112" + (f", or {other}" if other else ""))
    if min(int(height), int(width)) < least:
        raise UsageError(f"{option} {text}: at least {least}x{least}")
    return int(height), int(width)


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name that `name` was probably meant to be, whatever its case; None when none is like it.

    cutoff: how like, from 0 (anything) to 1 (equal).
    """
    by_lower = {k.lower(): k for k in known}
    found = get_close_matches(name.lower(), list(by_lower), n=1, cutoff=cutoff)
    return by_lower[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: "; did you mean ...?", or nothing."""
    found = nearest(name, known)
    return f"; did you mean {found}?" if found else ""
