"""File names that every system takes: what is written on Linux is to be unpacked on Windows too.

Rules: learn.microsoft.com, "Naming Files, Paths, and Namespaces".
"""

from __future__ import annotations

import re

_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in "123456789¹²³")}


def portable(stem: str) -> str:
    """`stem` as part of a file name on Windows as well: forbidden characters become _, dots and spaces at the end go,
    and a device's name (CON, nul.2, COM1) gets a _ before it. A name that is fit stays as it is."""
    fit = _FORBIDDEN.sub("_", stem).rstrip(". ")
    device = fit.partition(".")[0].rstrip(" ").lower() in _DEVICES
    return f"_{fit}" if device or not fit else fit


def same_file(path: str) -> str:
    """A key that two paths share where they name one file on Windows or macOS, which do not heed case."""
    return path.casefold()
