"""What each class of a label space is to the perturbations: a thing that moves, a disc of the eye, or surroundings.

The label space's `kind` decides. A space that names no instrument is read by its class names; one that has no telling
names either (`auto`) is judged by each label map itself, in `surgaug.perturb.scene.objects`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from surgaug.labels.class_roles import TOOLS
from surgaug.labels.label_space import LabelSpace

_PUPIL, _IRIS = r"pupil", r"iris"
_DISCS = (r"lens|\biol\b", _PUPIL, _IRIS, r"cornea|limbus")  # inner to outer
# Instruments that are fastened to the anatomy and so stay where it is.
FASTENED = frozenset({"fastened", "hooks", "ring"})
_FASTENED_NAMES = re.compile(r"iris hooks?|\bring\b|marker|retract|speculum|spreader|suture|thread|clip")


@dataclass(frozen=True)
class Roles:
    """Class ids by role.

    movable: instruments that can be moved. handles: handle id to the id of the tip it belongs to. discs: ids of the
    concentric parts of the eye by level, inner to outer. pupil, iris: ids of those. hooks: what holds a pupil open.
    known: False where nothing tells what moves.
    """

    movable: frozenset[int]
    handles: dict[int, int]
    discs: tuple[tuple[int, ...], ...]
    pupil: tuple[int, ...]
    iris: tuple[int, ...]
    hooks: frozenset[int]
    known: bool


@lru_cache(maxsize=64)
def roles(space: LabelSpace) -> Roles:
    """The roles of the classes of `space`."""
    stated = any(c.kind == "instrument" for c in space.classes)
    tools = frozenset(
        c.id
        for c in space.classes
        if (c.kind == "instrument" if stated else c.kind == "other" and TOOLS.search(c.name.lower()))
    )
    movable = frozenset(
        i
        for i in tools
        if space.by_id(i).group not in FASTENED and not _FASTENED_NAMES.search(space.by_id(i).name.lower())
    )
    levels = tuple(
        tuple(c.id for c in space.classes if c.id not in tools and re.search(words, c.name.lower())) for words in _DISCS
    )
    discs = tuple(level for level in levels if level)
    handles = {c.id: c.handle_of for c in space.classes if c.handle_of is not None}
    named = dict(zip(_DISCS, levels, strict=True))
    hooks = frozenset(i for i in tools if space.by_id(i).group == "hooks" or "hook" in space.by_id(i).name.lower())
    return Roles(movable, handles, discs, named[_PUPIL], named[_IRIS], hooks, known=bool(movable) or bool(discs))
