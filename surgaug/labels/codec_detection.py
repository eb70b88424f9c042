"""Which encoding a folder's label maps have, decided from all of its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from surgaug.errors import DataError
from surgaug.labels.builtin_spaces import remap_of, stored_of
from surgaug.labels.class_roles import NOTHING
from surgaug.labels.codec import DOUBTFUL, GREY, Codec
from surgaug.labels.label_space import LabelSpace
from surgaug.labels.scan import Scan, scan_files
from surgaug.labels.stored_values import (
    AS_STORED,
    DOUBTFUL_RAMPS,
    WHITES,
    ValueReading,
    black_and_white,
    color_number,
    color_text,
    find_reading,
    refuse_contradicting_palettes,
    soft_two_class,
    texture,
)
from surgaug.runtime.feedback import Silent

_MAX_DOUBTFUL_SHARE = 0.02
BLACK_AND_WHITE = {(0, 0, 0), (255, 255, 255)}
# Of a lossy mask, the share that may lie in areas of a dark grey (or a light one) before it is a class.
_MAX_GREY_AREA = 0.005


def detect_codec(
    paths: Sequence[Path], space: LabelSpace, *, prefer_remap: bool = False, scans: Sequence[Scan] | None = None
) -> Codec:
    """The codec of the label maps `paths`, which hold classes of `space`.

    `prefer_remap`: ids that could be both those of a regrouping (`cadis-task2`) and of what it regroups (`cadis`) are
    the latter. `scans`: of these files, if there are any already.

    Raises:
        DataError: no file can be read; lossy files of more than two classes; palettes that contradict the space or one
            another; colours for a space in which two classes share one, or that may be ids as well.
    """
    scans = scan_files(paths, Silent()) if scans is None else scans
    stored = [s for s in scans if s.counts]
    if not stored:
        raise DataError(scans[0].problem if scans else "no label map")
    remap = remap_of(space)
    known = {*space.ids, *space.ignored}
    colored, grey = [s for s in stored if s.color], [s for s in stored if not s.color]
    if colored:
        if grey and union(grey) <= known and not union(colored) <= color_table(space).keys():
            return Codec("ids", space, {i: i for i in known})  # the coloured ones are strays, refused as such
        return _color_codec(space, stored)
    reading = find_reading(stored, known | stored_of(space).keys() | set(remap[0].ids if remap else ()))
    if space.num_classes == 2 and {c.color for c in space.classes} != BLACK_AND_WHITE and black_and_white(stored):
        reading = replace(reading, greys=True)
    good = [reading.of_scan(s) for s in stored]
    values = union(good)
    if any(s.lossy for s in good):
        return _two_class(space, good)
    if remap and values <= set(remap[0].ids) and (prefer_remap or not values <= known):
        source, table = remap
        refuse_contradicting_palettes(good)
        return Codec("ids", space, {i: int(table[i]) for i in source.ids}, remapped=source.name, reading=reading)
    if values <= known:
        return _id_codec(space, known, good, reading)
    if values <= stored_of(space).keys():
        return Codec("ids", space, stored_of(space), reading=reading)
    white = next((w for w in WHITES if values <= {0, w}), None)
    if white and space.num_classes == 2:
        black, other = _black_and_white_ids(space, good[0].path)
        return Codec("binary", space, {0: black, white: other}, reading=reading)
    if space.num_classes == 2 and soft_two_class(good):
        return _two_class(space, good, reading)
    if has_distinct_colors(space):
        colors = _color_codec(space, stored)
        if not any(colors.count_ids(s)[1] for s in stored):
            return colors
    refuse_contradicting_palettes(good)
    return Codec("ids", space, {i: i for i in known}, reading=reading)


def find_doubts(codec: Codec, scans: Iterable[Scan]) -> list[str]:
    """What makes these files' labels doubtful though they are read: warnings that name the file with the most."""
    good = [codec.reading.of_scan(s) for s in scans if s.counts]
    if codec.encoding != "ids" or texture(good).ramp_share < DOUBTFUL_RAMPS:
        return []
    most = max(good, key=lambda s: s.ramps)
    ramps, steps = sum(s.ramps for s in good), sum(s.steps for s in good)
    return [
        f"{ramps:,} of {steps:,} pixels at edges hold a number between those beside them, as resizing with "
        f"interpolation leaves it, most in {most.path} ({most.ramps:,}): they are read as the classes of these "
        "numbers. Resize label maps by the nearest neighbour"
    ]


def union(scans: Iterable[Scan]) -> set[int]:
    """All values that occur."""
    return {v for s in scans for v in s.counts or ()}


def has_distinct_colors(space: LabelSpace) -> bool:
    """Whether no two classes share a colour."""
    return len({c.color for c in space.classes}) == space.num_classes


def color_table(space: LabelSpace) -> dict[int, int]:
    """Colour 0xRRGGBB to id; black is the ignore id where no class is black."""
    table = {color_number(c.color): c.id for c in space.classes}
    if space.ignore is not None:
        table.setdefault(0, space.ignore)
        if stored_of(space).get(255) == space.ignore:  # published with white seams
            table.setdefault(0xFFFFFF, space.ignore)
    if remap := remap_of(space):
        source, ids = remap
        table = {color_number(c.color): int(ids[c.id]) for c in source.classes} | table
    return table


def _id_codec(space: LabelSpace, known: set[int], scans: Sequence[Scan], reading: ValueReading) -> Codec:
    """Values that are ids, unless what else the files say contradicts that."""
    colors = color_table(space) if has_distinct_colors(space) else {}
    try:
        refuse_contradicting_palettes(scans)
    except DataError:
        if any(s.palette is None or not colors.keys() >= set(s.palette.values()) for s in scans):
            raise
        return _color_codec(space, scans)
    _refuse_palettes_against(space, colors, scans)
    values = union(scans)
    if all(s.channels == 3 for s in scans) and all(colors.get(v * GREY, v) != v for v in values):
        raise DataError(
            f"{scans[0].path}: {', '.join(map(str, sorted(values)[:6]))} in all three channels may be ids of the label "
            f"space '{space.name}', or the greys in which it draws other classes; save ids with a single channel"
        )
    return Codec("ids", space, {i: i for i in known}, reading=reading)


def _color_codec(space: LabelSpace, scans: Sequence[Scan]) -> Codec:
    if lossy := [s for s in scans if s.lossy]:
        raise DataError(
            f"{lossy[0].path}: colours of a lossy file (like JPEG) no longer tell the classes; save label maps as PNG"
        )
    if not has_distinct_colors(space):
        colors = Counter(c.color for c in space.classes)
        shared = colors.most_common(1)[0][0]
        names = [c.name for c in space.classes if c.color == shared]
        raise DataError(
            f"{scans[0].path}: colour-coded, but in the label space '{space.name}' {' and '.join(names)} share the "
            f"colour {color_text(color_number(shared))}; give each class its own"
        )
    table = color_table(space)
    for s in scans:
        if s.color or s.palette is not None or s.channels == 3:
            continue
        for value in s.counts or {}:
            if value in space.ids and table.get(value * GREY, value) != value:
                raise DataError(
                    f"{s.path}: {value} in a single channel among coloured maps may be the id {value}, or the colour "
                    f"{color_text(value * GREY)} of id {table[value * GREY]}; save it in colour like the others"
                )
    return Codec("colors", space, table)


def _two_class(space: LabelSpace, scans: Sequence[Scan], reading: ValueReading = AS_STORED) -> Codec:
    lossy = [s for s in scans if s.lossy]
    first = (lossy or scans)[0]
    if space.num_classes != 2:
        raise DataError(
            f"{first.path}: a lossy label map (like JPEG) can tell two classes apart, black and white, and the label "
            f"space '{space.name}' has {space.num_classes}; save label maps as PNG"
        )
    top = max(union(scans))
    for s in lossy:
        highest = max(s.counts or (0,))
        if 0 < highest < DOUBTFUL and (len(s.flat) > 1 or top < DOUBTFUL):  # black alone may be 1 in a JPEG
            raise DataError(
                f"{s.path}: values from 0 to {highest} in a lossy file (like JPEG), so that ids cannot be told apart; "
                "save label maps as PNG, or masks of two classes as 0 and 255"
            )
        _refuse_third_class(s)
    black, white = _black_and_white_ids(space, first.path)
    table = {v: black if v < 128 else white for v in range(256)}
    return Codec("two-class", space, table, snap_lossless=not lossy, reading=reading)


def _black_and_white_ids(space: LabelSpace, path: Path) -> tuple[int, int]:
    """The ids of what is black and what is white in masks of a space of two classes.

    Black is id 0, else the class that the space draws black, else the one that is called background. Raises DataError
    where nothing says it, and where black is ignored.
    """
    ids = sorted(space.ids)
    drawn = [c.id for c in space.classes if c.color == (0, 0, 0)]
    called = [c.id for c in space.classes if NOTHING.search(c.name.lower())]
    black = next((found[0] for found in ([0] if 0 in ids else [], drawn, called) if len(found) == 1), None)
    if black is None or 0 in space.ignored:
        first, second = (f"{i} {space.by_id(i).name}" for i in ids)
        raise DataError(
            f"{path}: black and white, and nothing says which of them is {first} and which {second} in the label space "
            f"'{space.name}'; save these ids, or give the class file a class 0, one of the colour 0,0,0, or one called "
            "background"
        )
    return black, next(i for i in ids if i != black)


def _refuse_third_class(scan: Scan) -> None:
    """Raises DataError for a lossy mask with an area, however small, of what is neither black nor white."""
    counts = scan.counts or {}
    between = {v: n for v, n in counts.items() if DOUBTFUL <= v <= 255 - DOUBTFUL}
    areas = {v: n for v, n in scan.flat.items() if 4 < v < 251}
    if sum(areas.values()) <= _MAX_GREY_AREA * sum(counts.values()):
        areas = scan.plateaus
    if sum(between.values()) > _MAX_DOUBTFUL_SHARE * sum(counts.values()):
        areas = between
    if areas:
        doubtful, value = sum(areas.values()), max(areas, key=areas.__getitem__)
        raise DataError(
            f"{scan.path}: {doubtful:,} pixels of a lossy mask (like JPEG) are neither near 0 nor near 255, most of "
            f"them about {value}; more than two classes cannot be told apart, save label maps as PNG"
        )


def _refuse_palettes_against(space: LabelSpace, colors: dict[int, int], scans: Sequence[Scan]) -> None:
    for s in scans:
        if not s.palette or not colors.keys() >= set(s.palette.values()):
            continue
        for index, color in s.palette.items():
            if colors[color] != index:
                raise DataError(
                    f"{s.path}: palette index {index} has the colour {color_text(color)}, which is class "
                    f"{colors[color]} of the label space '{space.name}'; save the map as single-channel ids"
                )
