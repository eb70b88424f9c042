"""Paths that a line leaves out: found where data usually lies, and told with the line as it would be in full."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TypeVar

from surgaug.cli import screen
from surgaug.errors import UsageError

Given = TypeVar("Given")


def fill(*flags: tuple[str, Given | None, str]) -> list[Given | Path]:
    """The value of each flag: as given, else what lies in the working folder.

    flags: (flag, value or None, what is looked for: a key of `datasets.usual_places.FINDERS`). What was found is told
    with its reason. Raises UsageError naming the flag where nothing, or more than one thing, can be meant.
    """
    found: dict[str, Path] = {}
    values = [value if value is not None else found.setdefault(flag, _find(flag, what)) for flag, value, what in flags]
    if found:
        added = [word for flag, path in found.items() for word in (flag, str(path))]
        screen.feedback().info(f"in full: {shlex.join(['surgaug', *sys.argv[1:], *added])}")
    return values


def _find(flag: str, what: str) -> Path:
    from surgaug.datasets.usual_places import FINDERS

    try:
        place = FINDERS[what](Path())
    except UsageError as error:
        raise UsageError(f"{flag}: {error}; name it with {flag} DIR, or in surgaug.toml") from None
    screen.feedback().info(f"{flag} {place.path}: {place.why}")
    return place.path
