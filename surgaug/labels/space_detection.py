"""A label space from label maps (`--classes auto`): from what lies beside them, their names, or the ids they hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from surgaug.errors import DataError
from surgaug.labels.builtin_spaces import (
    builtin_spaces,
    known_kinds,
    load_space,
    published_statistics,
    remap_of,
    spaces_with,
)
from surgaug.labels.class_file import class_file_in, distinct_color, read_class_file
from surgaug.labels.codec_detection import color_table, has_distinct_colors, union
from surgaug.labels.id_agreement import FAR, share_distance
from surgaug.labels.label_space import MAX_CLASSES, LabelClass, LabelSpace
from surgaug.labels.scan import Scan
from surgaug.labels.stored_values import (
    WHITES,
    Texture,
    file_with_most,
    find_reading,
    refuse_contradicting_palettes,
    soft_two_class,
    texture,
    visible_greys,
)

# The share of pixels dropped, snapped or ignored from which on a user is warned.
DOUBT = 0.001
_CADIS_NAME = re.compile(r"video\d{1,2}_frame\d{6}", re.IGNORECASE)
_MOST_VALUES = 128
_ENOUGH = 200  # frames; in each longer video of CaDIS at least 8 in 100 show an id above 16


def class_file_space(folders: Iterable[Path]) -> LabelSpace | None:
    """The label space of a class file (`class_file.class_file_in`) in the first of `folders` that has one.

    It is the built-in one with the same ids and names, if there is one; otherwise kinds that the file leaves open come
    from the built-in spaces' names. Raises DataError for a bad class file.
    """
    for folder in folders:
        if folder.is_dir() and (path := class_file_in(folder)):
            return recognised(read_class_file(path), folder.name)
    return None


def recognised(space: LabelSpace, name: str) -> LabelSpace:
    """The built-in space with the same ids and names; or `space`, called `name`, with kinds of known class names."""
    named = {c.id: c.name.lower() for c in space.classes}
    for builtin in map(load_space, builtin_spaces()):
        if named == {c.id: c.name.lower() for c in builtin.classes}:
            return builtin
    kinds = known_kinds()
    classes = (replace(c, kind=kinds.get(c.name.lower(), "other")) if c.kind == "other" else c for c in space.classes)
    return replace(space, name=name, classes=tuple(classes))


def cadis_named(names: Iterable[str]) -> bool:
    """Whether these are the stems of CaDIS's files (VideoN_frameNNNNNN), all of them."""
    names = list(names)
    return bool(names) and all(_CADIS_NAME.fullmatch(name) for name in names)


def holds_cadis_ids(scans: Sequence[Scan]) -> bool:
    """Whether scanned label maps whose names or folders are CaDIS's can hold its 36 ids.

    Masks of instruments and maps of fewer classes go by the same file names. In them, low ids cover most of the frame,
    as a background does; CaDIS has none.
    """
    cadis, known = load_space("cadis"), published_statistics("cadis")
    good = [s for s in scans if s.counts]
    values = union(good)
    if known is None or not values or any(s.color or s.lossy for s in good) or not values <= set(cadis.ids):
        return True  # nothing to doubt here: colours say what they are; other values, and photographs, are refused
    if max(values) > 24:
        return True
    if 7 <= max(values) <= 16 and len(good) >= _ENOUGH:
        return False  # of so many frames some show what has an id above 16; task 2 has none
    shares = np.zeros(cadis.num_classes)
    for scan in good:
        counts = scan.counts or {}
        shares[list(counts)] += np.array(list(counts.values())) / sum(counts.values())
    shares /= len(good)
    published = np.array([known.pixels[i] for i in cadis.ids])
    return shares[:4].sum() < 0.5 or share_distance(shares, published) <= FAR


@dataclass(frozen=True)
class Found:
    """A label space, what should be said of it (`notes`), and what may be wrong with it (`doubts`)."""

    space: LabelSpace
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def detect_space(scans: Sequence[Scan], named: LabelSpace | None, looks_like_cadis: bool) -> Found:
    """The label space of scanned label maps.

    named: from a class file. looks_like_cadis: by file names. Otherwise the ids that occur, named "background" and
    "foreground" where there are two, 0 and 1 (or 0 and 255). 255 (of 16 bits 65535) beside other ids is the ignore id,
    unless it is one of greys that are drawn to be seen (0, 128, 255).

    Raises:
        DataError: nothing readable, colours that no built-in space has, more values than a label map holds, values that
            nobody drew (soft edges of more than two classes), 255 of which it is open whether it is a class.
    """
    stored = [s for s in scans if s.counts]
    if not stored:
        raise DataError(scans[0].problem if scans else "no label map")
    if named is not None:
        return _named(stored, named)
    if any(s.color for s in stored):
        return Found(_by_color(stored))
    good = _with_one_palette(stored)
    if good is None:
        return Found(_by_color(stored))
    values = union(good)
    cadis = load_space("cadis")
    if looks_like_cadis and values <= set(cadis.ids):
        return Found(cadis, ("file names as in CaDIS: its 36 classes",))
    if any(s.lossy for s in good) or any(values <= {0, w} for w in (1, *WHITES)):
        return Found(_anonymous((0, 1), ("background", "foreground"), None))
    drawn = texture(good)
    if drawn.is_soft and soft_two_class(good):
        return Found(_anonymous((0, 1), ("background", "foreground"), None))
    if few := next((s for s in good if len(s.counts or ()) > _MOST_VALUES), None):
        raise DataError(
            f"{few.path}: holds {len(few.counts or ())} different values, as a photograph does; if it is a label map, "
            "name its classes with --classes FILE"
        )
    if drawn.is_soft:
        raise _soft(good, drawn)
    void, doubts = _void(good, set())
    ids = sorted(values - {void})
    if len(ids) > MAX_CLASSES:
        raise DataError(f"{good[0].path.parent}: the maps hold {len(ids)} ids; at most {MAX_CLASSES} are possible")
    builtin = f", or --classes {' or '.join(alike)} if they are its ids" if (alike := spaces_with(ids)) else ""
    notes = [f"{len(ids)} ids found in the label maps ({_ranges(ids)}); name them with --classes FILE{builtin}"]
    if void is not None:
        notes.append(f"{void} taken as ignore")
    doubts += [*_stray_values(good, drawn, void), *_instances(good, ids)]
    return Found(_anonymous(ids, [f"class {i}" for i in ids], void), tuple(notes), tuple(doubts))


def _named(stored: Sequence[Scan], named: LabelSpace) -> Found:
    """The space of a class file, with the ignore id that it does not tell."""
    good = [find_reading(stored, set(named.ids)).of_scan(s) for s in stored]
    values = union(good)
    soft = not values <= {*named.ids, *WHITES} and soft_two_class(good)
    plain = not any(s.color or s.lossy for s in good) and not soft
    two_class = named.num_classes == 2 and any(values <= {0, w} for w in WHITES)
    if named.ignore is not None or two_class or not plain:
        return Found(named)
    void, doubts = _void(good, set(named.ids))
    if void is None:
        return Found(named)
    note = f"{void} is not among the named classes: taken as ignore"
    return Found(replace(named, ignore=void), (note,), tuple(doubts))


def _with_one_palette(stored: Sequence[Scan]) -> list[Scan] | None:
    """The scans as they are meant, or None where palettes contradict each other and only colours are left to tell."""
    good = [find_reading(stored, None).of_scan(s) for s in stored]
    try:
        refuse_contradicting_palettes(good)
    except DataError:
        if any(s.palette is None for s in good) or _space_of_colors(_colors_of(good)) is None:
            raise
        return None
    return good


def _void(scans: Sequence[Scan], named: set[int]) -> tuple[int | None, list[str]]:
    """The value of pixels without a label, or None, and a warning where it holds many pixels.

    It is 255 (65535) beside two values or more, unless these and it are greys drawn to be seen, or it is named.
    Raises DataError where it holds more pixels than the classes: then it may be the object itself.
    """
    values = union(scans)
    white = next((w for w in reversed(WHITES) if w in values), None)
    others = values - {white}
    if white is None or white in named:
        return None, []
    if not named and (len(others) < 2 or white - 1 in others or visible_greys(others)):
        return None, []
    pixels = texture(scans).pixels
    total, void = sum(pixels.values()), pixels[white]
    most, in_most = file_with_most(scans, {white})
    share = f"{100 * void / total:.2g} %"
    if 2 * void > total or void > sum(pixels[v] for v in others - {0}):
        raise DataError(
            f"{most.path}: {white} holds {share} of all pixels, more than the classes beside it, so that it is open "
            f"whether it is a class or means no label; say so in a class file (--classes FILE), as a class of id "
            f'{white} or as "ignore": {white}'
        )
    if void <= DOUBT * total:
        return white, []
    return white, [
        f"{white} is taken as ignore: {void:,} pixels ({share}), most in {most.path} ({in_most:,}). If it is a class, "
        f"name it in a class file (--classes FILE)"
    ]


def _soft(scans: Sequence[Scan], drawn: Texture) -> DataError:
    """The refusal of values that nobody drew, for more than two classes."""
    edges = drawn.edges or drawn.areas
    most, count = file_with_most(scans, edges)
    ends, total = (min(drawn.pixels), max(drawn.pixels)), sum(drawn.pixels.values())
    likely = {*drawn.areas, *ends, *(v for v, n in drawn.pixels.items() if n > 0.02 * total)}
    what = f"{count:,} pixels hold values that fill no area ({len(edges)}: {_ranges(edges[:6])})"
    if not drawn.edges:
        what = "pixels at edges hold values between those beside them"
    return DataError(
        f"{most.path}: {what}, as resizing with interpolation or a lossy save leaves them; the values of classes seem "
        f"to be {_ranges(sorted(likely)[:12])}. Save the label maps with these alone (resize to the nearest pixel), "
        "or name every value with --classes FILE"
    )


def _stray_values(scans: Sequence[Scan], drawn: Texture, void: int | None) -> list[str]:
    """A warning of values that fill no area and hold few pixels, or any where edges are few: they may be no classes."""
    total = sum(drawn.pixels.values())
    strays = [v for v in drawn.edges if v != void and (drawn.too_few_edges or drawn.pixels[v] <= DOUBT * total)]
    if not strays or not drawn.areas or sum(drawn.flat.values()) < total / 2:
        return []
    most, _ = file_with_most(scans, strays)
    count = sum(drawn.pixels[v] for v in strays)
    return [
        f"{_ranges(strays)}: {count:,} pixels in all, in no area of 3x3 pixels, most in {most.path}; read as "
        f"{'a class' if len(strays) == 1 else 'classes'}. If strays, correct the maps; the classes are named with "
        "--classes FILE"
    ]


def _instances(scans: Sequence[Scan], ids: Sequence[int]) -> list[str]:
    """A warning of ids that look like numbers of objects: CLASS x 1000 + NUMBER."""
    numbers = [i for i in ids if i >= 1000]
    objects = [i for i in numbers if i % 1000 < 100]
    classes = {i // 1000 for i in objects}
    if len(objects) < 3 or len(objects) < 0.8 * len(numbers) or len(classes) == len(objects):
        return []
    most, _ = file_with_most(scans, objects)
    return [
        f"{_ranges(objects)} look like numbers of objects (class x 1000 + number), each read as a class of its own, "
        f"most pixels in {most.path}; save maps of class ids if so"
    ]


def _anonymous(ids: Sequence[int], names: Sequence[str], ignore: int | None) -> LabelSpace:
    classes = (LabelClass(i, n, color=distinct_color(k)) for k, (i, n) in enumerate(zip(ids, names, strict=True)))
    return LabelSpace("auto", tuple(classes), ignore)


def _by_color(scans: Sequence[Scan]) -> LabelSpace:
    colors = _colors_of(scans)
    if (space := _space_of_colors(colors)) is not None:
        return space
    first = next(s for s in scans if s.color)
    shown = ", ".join(f"#{c:06x}" for c in sorted(colors)[:8])
    more = f" and {len(colors) - 8} more" if len(colors) > 8 else ""
    raise DataError(
        f"{first.path}: the channels differ, so that it is colour-coded, and its colours ({shown}{more}) are not "
        "known; name classes and colours with --classes FILE (columns id, name, color)"
    )


def _colors_of(scans: Iterable[Scan]) -> set[int]:
    return {c for s in scans for c in (s.counts if s.color else (s.palette or {}).values()) or ()}


def _space_of_colors(colors: set[int]) -> LabelSpace | None:
    """The first built-in space that has all of these colours."""
    for space in map(load_space, builtin_spaces()):
        if remap_of(space) is None and has_distinct_colors(space) and colors <= color_table(space).keys():
            return space
    return None


def _ranges(ids: Sequence[int]) -> str:
    if len(ids) > 1 and list(ids) == list(range(ids[0], ids[-1] + 1)):
        return f"{ids[0]}-{ids[-1]}"
    return ", ".join(map(str, ids[:20])) + (", ..." if len(ids) > 20 else "")
