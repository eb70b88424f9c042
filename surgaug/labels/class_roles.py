"""What a class is: an instrument, a part of the eye, or what surrounds them. The one place that says so.

The label space's `kind` decides where it is given; `with_kinds` finds instruments where no class has one, by names and
by how classes lie in the label maps; `roles` sorts the classes of a space; `movable_in` and `shape_of` look at a single
map, where a space tells nothing. An instrument comes in from the frame's border, is thin, covers little of the border,
and is now here, now there.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

from surgaug.labels.label_space import LabelSpace

LOOKED_AT = 24  # maps; more tell little more
# A tool's name often holds an organ's ("lens injector"), so tools are looked for first.
TOOLS = re.compile(
    r"instrument|tool|forceps|knife|cannula|cystotome|handpiece|handle|injector|manipulator|needle|holder|gauge|spatula"
    r"|phaco|aspiration|irrigat|vitrect|scissor|grasper|hook|probe|clip|stapler|cauter|suction|catheter|trocar|scalpel"
    r"|tweezer|spreader|retract|speculum|suture|thread|drill|scope|wire|blade|chopper|marker|cotton|swab"
)
# Instruments that are fastened to the anatomy and so stay where it is.
_FASTENED = frozenset({"fastened", "hooks", "ring"})
_FASTENED_NAMES = re.compile(r"iris hooks?|\bring\b|marker|retract|speculum|spreader|suture|thread|clip")
_PUPIL, _IRIS = r"pupil", r"iris"
_DISCS = (r"lens|\biol\b", _PUPIL, _IRIS, r"cornea|limbus")  # inner to outer
_MIN_PIXELS = 12
_FROM_BORDER = 0.6  # of the maps that show the class
_THIN = 5.0  # median of length to width
_RIM = 0.1  # of the frame's border, on average
_STAYS = 0.5  # overlap of a place with the mean place, from which a class does not move
_FEW = 4  # maps; fewer do not tell whether something moves
_GRID = (32, 24)
# Of a single map: less is asked of the shape, since it is looked at where nothing else tells what moves.
_THIN_IN_ONE = 3.0
_BACKGROUND_RIM = 0.2  # of the frame's border, from which a class is background


@dataclass(frozen=True)
class Roles:
    """Class ids by role.

    instruments: all of them. movable: those that are not fastened to the anatomy. handles: handle id to the id of the
    tip it belongs to. discs: ids of the concentric parts of the eye by level, inner to outer. pupil, iris: ids of
    those. hooks: what holds a pupil open. known: False where nothing tells what moves.
    """

    instruments: frozenset[int]
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
        if space.by_id(i).group not in _FASTENED and not _FASTENED_NAMES.search(space.by_id(i).name.lower())
    )
    levels = tuple(
        tuple(c.id for c in space.classes if c.id not in tools and re.search(words, c.name.lower())) for words in _DISCS
    )
    discs = tuple(level for level in levels if level)
    handles = {c.id: c.handle_of for c in space.classes if c.handle_of is not None}
    named = dict(zip(_DISCS, levels, strict=True))
    hooks = frozenset(i for i in tools if space.by_id(i).group == "hooks" or "hook" in space.by_id(i).name.lower())
    return Roles(tools, movable, handles, discs, named[_PUPIL], named[_IRIS], hooks, known=bool(movable) or bool(discs))


@dataclass(frozen=True)
class _Look:
    """The largest part of a class in one map: whether it touches the border, its length to width, its share of the
    border, and where it is, float32 [24, 32]."""

    at_border: bool
    elongation: float
    rim: float
    place: np.ndarray


def with_kinds(space: LabelSpace, label_maps: Iterable[np.ndarray]) -> LabelSpace:
    """`space` with its instruments found, where none of its classes has a kind yet; otherwise `space` itself.

    label_maps: ids [H, W], read only if needed. Instruments come to lie above the rest (depth 1); other kinds stay
    "other". The class named "background", or else the one that fills most of the frame's border, is none.
    """
    if any(c.kind != "other" for c in space.classes):
        return space
    looks: dict[int, list[_Look]] = defaultdict(list)
    for label_map in label_maps:
        for class_id in space.ids:
            if (seen := _look(label_map, class_id)) is not None:
                looks[class_id].append(seen)
    named = [c.id for c in space.classes if c.name.lower() == "background"]
    background = named[0] if named else max(looks, key=lambda i: sum(s.rim for s in looks[i]), default=None)
    found = {
        c.id
        for c in space.classes
        if c.id != background and (TOOLS.search(c.name.lower()) or _is_instrument(looks.get(c.id, [])))
    }
    classes = (replace(c, kind="instrument", depth=max(c.depth, 1)) if c.id in found else c for c in space.classes)
    return replace(space, classes=tuple(classes))


def _look(label_map: np.ndarray, class_id: int) -> _Look | None:
    own = (label_map == class_id).view(np.uint8)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(own, connectivity=8)
    if count < 2:
        return None
    part = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    x, y, w, h, area = (int(v) for v in stats[part])
    if area < _MIN_PIXELS:
        return None
    height, width = label_map.shape
    points = np.argwhere(parts[y : y + h, x : x + w] == part).astype(np.float64)
    points -= points.mean(0)
    along = points @ np.linalg.eigh(points.T @ points)[1][:, -1]
    rim = np.concatenate([own[0], own[-1], own[:, 0], own[:, -1]])
    at_border = x == 0 or y == 0 or x + w == width or y + h == height
    place = cv2.resize(own.astype(np.float32), _GRID, interpolation=cv2.INTER_AREA)
    return _Look(at_border, float(np.ptp(along) + 1) ** 2 / area, float(rim.mean()), place)


def _is_instrument(looks: list[_Look]) -> bool:
    if not looks:
        return False
    places = np.stack([look.place for look in looks])
    mean = places.mean(0)
    stays = float(np.minimum(places, mean).sum() / max(np.maximum(places, mean).sum(), 1e-9))
    return (
        float(np.mean([look.at_border for look in looks])) >= _FROM_BORDER
        and float(np.median([look.elongation for look in looks])) >= _THIN
        and float(np.mean([look.rim for look in looks])) <= _RIM
        and (len(looks) < _FEW or stays < _STAYS)
    )


def movable_in(label_map: np.ndarray, ignore: int | None) -> tuple[list[int], bool]:
    """The classes of a map [H, W] that may be objects where its space tells nothing, and whether any shape will do.

    What fills most of the map and of its border is background. A single class beside it is the object, whatever its
    shape (a polyp, say); of more those that cover little of the border may be, and only where they have an instrument's
    shape.
    """
    rim = perimeter(label_map)
    present, counts = np.unique(label_map[label_map != ignore] if ignore is not None else label_map, return_counts=True)
    if len(present) < 2:
        return [], True
    on_rim = {int(i): float(np.mean(rim == i)) for i in present}
    background = int(max(zip(present, counts, strict=True), key=lambda p: p[1] * (on_rim[int(p[0])] + 1e-3))[0])
    foreground = [int(i) for i in present if i != background]
    if len(foreground) == 1:
        return foreground, True
    return [i for i in foreground if on_rim[i] < _BACKGROUND_RIM], False


def shape_of(at_border: bool, length: float, width: float) -> str:
    """ "instrument" for something long and thin that comes in from the frame's border, "blob" for anything else."""
    return "instrument" if at_border and length > _THIN_IN_ONE * width else "blob"


def perimeter(array: np.ndarray) -> np.ndarray:
    """The border pixels of [H, W] in clockwise order from the top left, each once."""
    if min(array.shape) == 1:
        return array.ravel()
    return np.concatenate([array[0], array[1:, -1], array[-1, -2::-1], array[-2:0:-1, 0]])
