"""Files and folders that a caller names, looked at before anything heavy is imported."""

from __future__ import annotations

from pathlib import Path

from surgaug.errors import DataError
from surgaug.runtime.options import did_you_mean


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
