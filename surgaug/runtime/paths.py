"""Paths: those that a caller names, names that every system takes, and where things are kept."""

from __future__ import annotations

import os
import re
from pathlib import Path

from surgaug.errors import DataError
from surgaug.runtime.options import did_you_mean

# learn.microsoft.com, "Naming Files, Paths, and Namespaces": what is written on Linux is to be unpacked on Windows too.
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in "123456789¹²³")}


def refuse_missing(option: str, *paths: Path | None) -> None:
    """Raises DataError for the first path that is not there, with the nearest name beside it. None is passed over.

    option: the flag that named them, for the message.
    """
    for path in paths:
        if path is not None and not path.exists():
            raise DataError(f"{option} {path}: no such file or folder{did_you_mean(path.name, _beside(path))}")


def _beside(path: Path) -> list[str]:
    """The names in the folder where the path should be."""
    try:
        return [neighbour.name for neighbour in path.parent.iterdir()]
    except OSError:
        return []


def portable(stem: str) -> str:
    """`stem` as part of a file name on Windows as well: forbidden characters become _, dots and spaces at the end go,
    and a device's name (CON, nul.2, COM1) gets a _ before it. A name that is fit stays as it is."""
    fit = _FORBIDDEN.sub("_", stem).rstrip(". ")
    device = fit.partition(".")[0].rstrip(" ").lower() in _DEVICES
    return f"_{fit}" if device or not fit else fit


def same_file(path: str) -> str:
    """A key that two paths share where they name one file on Windows or macOS, which do not heed case."""
    return path.casefold()


def cache_folder() -> Path:
    """Where features, trained segmenters and downloaded weights lie: $SURGAUG_CACHE, or the user's cache folder."""
    if "SURGAUG_CACHE" in os.environ:
        return Path(os.environ["SURGAUG_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "surgaug"
