"""Label spaces by name: those that ship (`spaces/*.json`), and those of class files."""

from __future__ import annotations

import json
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

import numpy as np

from surgaug.errors import DataError
from surgaug.labels.class_file import SUFFIXES, label_space, read_class_file
from surgaug.labels.class_statistics import ClassStatistics
from surgaug.labels.label_space import Kind, LabelSpace
from surgaug.runtime.options import did_you_mean

_FOLDER = Path(__file__).with_name("spaces")


def builtin_spaces() -> list[str]:
    """Names of the label spaces that ship, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.json"))


def spaces_with(ids: Collection[int]) -> list[str]:
    """Names of the label spaces that ship and have all of `ids`, at least half of theirs being among these, sorted."""
    spaces = map(_builtin, builtin_spaces())
    return [s.name for s in spaces if set(ids) <= set(s.ids) and 2 * len(ids) >= s.num_classes]


def load_space(spec: str | Path) -> LabelSpace:
    """A built-in label space by name, or that of a class file (see `class_file.read_class_file`).

    Raises DataError for an unknown name or a bad file. "auto" is no space: it is found from label maps.
    """
    name = str(spec)
    if name in builtin_spaces():
        return _builtin(name)
    if Path(name).suffix.lower() in SUFFIXES or Path(name).is_file():
        return read_class_file(Path(name))
    known = ["auto", *builtin_spaces()]
    raise DataError(
        f"{name}: no label space of that name ({', '.join(known)}) and no class file ({', '.join(SUFFIXES)})"
        + did_you_mean(name, known)
    )


@lru_cache(maxsize=16)
def remap_of(space: LabelSpace) -> tuple[LabelSpace, np.ndarray] | None:
    """For a built-in space that regroups another: that other one, and its ids' new ids (uint8 [max id + 1])."""
    if not _is_builtin(space):
        return None
    remap = _parsed(space.name).get("remap")
    return (_builtin(remap["of"]), np.array(remap["to"], np.uint8)) if remap else None


@lru_cache(maxsize=16)
def stored_of(space: LabelSpace) -> dict[int, int]:
    """For a built-in space whose published label maps hold other values than its ids: id by value; empty for others."""
    if not _is_builtin(space):
        return {}
    return {int(value): int(i) for value, i in _parsed(space.name).get("stored", {}).items()}


@lru_cache(maxsize=16)
def published_statistics(name: str) -> ClassStatistics | None:
    """Of a built-in space's published data set, where they are known; `source` in its file says whence."""
    kept = _parsed(name).get("statistics")
    return ClassStatistics.from_dict(kept, _builtin(name).ids) if kept else None


@lru_cache(maxsize=1)
def known_kinds() -> dict[str, Kind]:
    """Kind by lower-case class name, over all built-in spaces."""
    return {c.name.lower(): c.kind for name in builtin_spaces() for c in _builtin(name).classes}


def _is_builtin(space: LabelSpace) -> bool:
    """Whether a space is the built-in one of its name: by ids and names, since older files may have other depths."""
    if space.name not in builtin_spaces():
        return False
    builtin = _builtin(space.name)
    return (space.ids, space.names, space.ignore) == (builtin.ids, builtin.names, builtin.ignore)


@lru_cache(maxsize=16)
def _builtin(name: str) -> LabelSpace:
    return label_space(_parsed(name), name, where=name)


def _parsed(name: str) -> dict:
    return json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
