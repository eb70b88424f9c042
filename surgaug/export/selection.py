"""Which frames a list keeps or leaves out: `--only` and `--without`, a name a line, as `surgaug browse` saves them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from surgaug.datasets.dataset import PairedFrames
from surgaug.errors import DataError
from surgaug.io.images import SUFFIXES
from surgaug.runtime.options import did_you_mean


def kept(sets: Sequence[PairedFrames], only: Path | None, without: Path | None) -> list[frozenset[int]] | None:
    """For each data set the numbers of the items that stay; None where there is no list.

    only: a data set of which the list names frames keeps these alone; the others stay whole. without: what is named
    goes. Raises DataError: a list that cannot be read, a name of no frame or of several data sets, nothing left.
    """
    if only is None and without is None:
        return None
    whole = [frozenset(range(len(frames))) for frames in sets]
    chosen = _find(sets, only) if only else [frozenset()] * len(sets)
    dropped = _find(sets, without) if without else [frozenset()] * len(sets)
    left = [(some or every) - gone for every, some, gone in zip(whole, chosen, dropped, strict=True)]
    if not any(left):
        raise DataError(f"{without or only}: no frame is left")
    return left


def read_names(file: Path) -> list[str]:
    """The names of a list: lines that are neither empty nor comments (#), without folder and image ending.

    Raises DataError where it cannot be read as UTF-8.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read as a list of names ({error})") from error
    return [_name(line.strip()) for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _name(line: str) -> str:
    path = PurePosixPath(line.replace("\\", "/"))
    return path.stem if path.suffix.lower() in SUFFIXES else path.name


def _find(sets: Sequence[PairedFrames], file: Path) -> list[frozenset[int]]:
    """The items that a list names, by data set."""
    numbers = [{item.name: i for i, item in enumerate(frames.items)} for frames in sets]
    found: list[set[int]] = [set() for _ in sets]
    for name in read_names(file):
        where = [k for k, by_name in enumerate(numbers) if name in by_name]
        if len(where) != 1:
            roots = " and ".join(str(sets[k].root) for k in where)
            known = [known for by_name in numbers for known in by_name]
            what = f"frames of {roots}; export them one by one" if where else f"no frame{did_you_mean(name, known)}"
            raise DataError(f"{file}: {name!r} names {what}")
        found[where[0]].add(numbers[where[0]][name])
    return [frozenset(some) for some in found]
