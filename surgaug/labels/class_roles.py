"""What a class is: an instrument, a part of the eye, or what surrounds them. The one place that says so.

The label space's `kind` decides where it is given; `with_kinds` finds instruments where no class has one, by names and
by how classes lie in the label maps; `roles` sorts the classes of a space; `movable_in` and `shape_of` look at a single
map, where a space tells nothing. An instrument is long and thin, comes in from the frame's border by its end, covers
little of the border, and is now here, now there.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from surgaug.labels.label_space import LabelSpace

LOOKED_AT = 24  # maps; more tell little more
# A tool's name often holds an organ's ("lens injector"), so tools are looked for first.
TOOLS = re.compile(
    r"instrument|tool|forceps|knife|cannula|cystotome|handpiece|handle|injector|manipulator|needle|holder|gauge|spatula"
    r"|phaco|aspiration|irrigat|vitrect|scissor|grasper|hook|probe|clip|stapler|cauter|suction|catheter|trocar|scalpel"
    r"|tweezer|spreader|retract|speculum|suture|thread|drill|scope|wire|blade|chopper|marker|cotton|swab|intubat"
)
# What is no part of the scene, or of no class; it lies at the border, as instruments do.
NOTHING = re.compile(r"background|\b(back|bg|void)\b|unlabel|unknown|undefined|vignette|\bborder\b")
# Instruments that are fastened to the anatomy and so stay where it is.
_FASTENED = frozenset({"fastened", "hooks", "ring"})
_FASTENED_NAMES = re.compile(
    r"iris hooks?|\bring\b|marker|(?<!grasping )retract|speculum|spreader|suture|thread|clip|intubat"
)
_PUPIL, _IRIS = r"pupil", r"iris"
_DISCS = (r"lens|\biol\b", _PUPIL, _IRIS, r"cornea|limbus")  # inner to outer
_MIN_PIXELS = 12
_FROM_BORDER = 0.6  # of the maps that show the class
_THIN = 3.0  # length to width
_BY_ITS_END = 0.5  # of its length that may lie along the frame's border
_RIM = 0.1  # of the frame's border, on average
_STAYS = 0.5  # overlap of a place with the mean place, from which a class does not move
_FEW = 4  # maps; fewer do not tell whether something moves
_GRID = (32, 24)
_BACKGROUND_RIM = 0.2  # of the border of a single map, from which a class is background


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
class _Seen:
    """The largest part of a class in one map: length to width, and the share of its length that lies along the frame's
    border (0: not at the border). Of the whole class: its share of the border, and where it is, float32 [24, 32]."""

    elongation: float
    along_border: float
    rim: float
    place: np.ndarray


def with_kinds(space: LabelSpace, label_maps: Iterable[np.ndarray]) -> LabelSpace:
    """`space` with its instruments found, where none of its classes has a kind yet; otherwise `space` itself.

    label_maps: ids [H, W], read only if needed. Instruments come to lie above the rest (depth 1); other kinds stay
    "other". Classes named "background", "void" and the like, or else the one that fills most of the frame's border, are
    none.
    """
    if any(c.kind != "other" for c in space.classes):
        return space
    seen: dict[int, list[_Seen]] = defaultdict(list)
    for label_map in label_maps:
        for class_id, largest in _largest_parts(label_map, space.ids).items():
            seen[class_id].append(largest)
    background = {c.id for c in space.classes if NOTHING.search(c.name.lower())}
    if not background and seen:
        background = {max(seen, key=lambda i: sum(s.rim for s in seen[i]))}
    found = {
        c.id
        for c in space.classes
        if c.id not in background and (TOOLS.search(c.name.lower()) or _is_instrument(seen.get(c.id, [])))
    }
    classes = (replace(c, kind="instrument", depth=max(c.depth, 1)) if c.id in found else c for c in space.classes)
    return replace(space, classes=tuple(classes))


def _largest_parts(label_map: np.ndarray, ids: Iterable[int]) -> dict[int, _Seen]:
    """Of every class of `ids` that a map [H, W] shows with a part large enough, that part."""
    from skimage.measure import label, regionprops  # a second to import, and needed where no kinds are given

    parts = label(label_map.astype(np.int32) + 1, connectivity=2)
    regions, rim = regionprops(parts), perimeter(parts)
    largest: dict[int, Any] = {}
    for region in sorted(regions, key=lambda r: -r.area):
        y, x = region.coords[0]
        largest.setdefault(int(label_map[y, x]), region)
    found = {}
    for class_id in ids:
        region = largest.get(class_id)
        if region is None or region.area < _MIN_PIXELS:
            continue
        own = (label_map == class_id).astype(np.float32)
        length = max(region.axis_major_length, 1.0)
        found[class_id] = _Seen(
            length / max(region.axis_minor_length, 1.0),
            float(np.count_nonzero(rim == region.label) / length),
            float(perimeter(own).mean()),
            cv2.resize(own, _GRID, interpolation=cv2.INTER_AREA),
        )
    return found


def _is_instrument(seen: list[_Seen]) -> bool:
    if not seen:
        return False
    places = np.stack([s.place for s in seen])
    mean = places.mean(0)
    stays = float(np.minimum(places, mean).sum() / max(np.maximum(places, mean).sum(), 1e-9))
    along_border = [s.along_border for s in seen if s.along_border > 0]
    return (
        len(along_border) >= _FROM_BORDER * len(seen)
        and float(np.median(along_border)) <= _BY_ITS_END
        and float(np.median([s.elongation for s in seen])) >= _THIN
        and float(np.mean([s.rim for s in seen])) <= _RIM
        and (len(seen) < _FEW or stays < _STAYS)
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


def shape_of(mask: np.ndarray, at_border: int) -> str:
    """ "instrument" for an object that is long and thin and comes in from the frame's border by its end, else "blob".

    mask: bool [h, w]. at_border: how many of its pixels lie on the frame's border.
    """
    length, width = axis_lengths(mask)
    thin = length >= _THIN * max(width, 1.0)
    return "instrument" if thin and at_border and not lies_along(length, at_border) else "blob"


def lies_along(length: float, at_border: int) -> bool:
    """Whether an object of that length (see `axis_lengths`) lies along the frame's border by more than its end."""
    return at_border > _BY_ITS_END * length


def axis_lengths(mask: np.ndarray) -> tuple[float, float]:
    """The axes of the ellipse with the second moments of a mask bool [h, w], the longer one first, in pixels.

    As `axis_major_length` and `axis_minor_length` of scikit-image's regionprops, in a quarter of the time: objects are
    looked for in every map that is tried.
    """
    m = cv2.moments(mask.view(np.uint8), binaryImage=True)
    yy, xx, xy = (m[key] / m["m00"] for key in ("mu02", "mu20", "mu11"))
    middle, spread = (yy + xx) / 2, float(np.hypot((yy - xx) / 2, xy))
    return 4 * (middle + spread) ** 0.5, 4 * max(middle - spread, 0.0) ** 0.5


def perimeter(array: np.ndarray) -> np.ndarray:
    """The border pixels of [H, W] in clockwise order from the top left, each once."""
    if min(array.shape) == 1:
        return array.ravel()
    return np.concatenate([array[0], array[1:, -1], array[-1, -2::-1], array[-2:0:-1, 0]])
