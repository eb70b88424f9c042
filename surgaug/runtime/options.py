"""What values of options and of settings files have in common: sizes, seeds, nearest names, TOML."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from surgaug.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["MAX_N", "MAX_SEED", "did_you_mean", "nearest", "parse_size", "parse_toml"]

MAX_SEED = 2**63 - 1  # of `--seed`
MAX_N = 100_000_000  # of `--n`: more would not fit into memory as numbers, nor into a folder as files

_BACKSLASH = "a backslash in double quotes stands for something else: write C:/data, or 'C:\\data' in single quotes"


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


def parse_toml(content: bytes) -> dict[str, Any]:
    """The tables of a TOML file, a byte order mark left out of account.

    Raises ValueError that says what to write: another encoding than UTF-8, Windows paths whose backslashes TOML takes
    for escapes ("C:\\new" holds a line end).
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError("UTF-16 text; save it as UTF-8")
    try:
        found = tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"no UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        hint = f"; {_BACKSLASH}" if b"\\" in content else ""
        raise ValueError(f"{error}{hint}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if b"\\" in content and (odd := _with_control_characters(found)):
        raise ValueError(f"{odd!r} holds a control character; {_BACKSLASH}")
    return found


def _with_control_characters(value: Any) -> str | None:
    """The first text within that holds one; a text of several lines may."""
    if isinstance(value, str):
        return value if any(ord(c) < 32 and c != "\n" for c in value) or re.match(r"[A-Za-z]:\n", value) else None
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((found for v in inner if (found := _with_control_characters(v))), None)


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
