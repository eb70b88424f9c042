"""A label space from label maps (`--classes auto`): from what lies beside them, their names, or the ids they hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from surgaug.errors import DataError
from surgaug.labels.builtin_spaces import builtin_spaces, known_kinds, load_space, remap_of
from surgaug.labels.class_file import distinct_color, read_class_file
from surgaug.labels.codec_detection import color_table, has_distinct_colors, is_soft, union
from surgaug.labels.label_space import MAX_CLASSES, LabelClass, LabelSpace
from surgaug.labels.scan import Scan

CLASS_FILES = ("classes.json", "classes.toml", "classes.csv")
IGNORE = 255
_CADIS_NAME = re.compile(r"video\d{1,2}_frame\d{6}", re.IGNORECASE)
_MOST_VALUES = 128


def class_file_space(folders: Iterable[Path]) -> LabelSpace | None:
    """The label space of a classes.json, .toml or .csv in the first of `folders` that has one.

    It is the built-in one with the same ids and names, if there is one; otherwise kinds that the file leaves open come
    from the built-in spaces' names. Raises DataError for a bad class file.
    """
    for folder in folders:
        for name in CLASS_FILES:
            if (folder / name).is_file():
                return recognised(read_class_file(folder / name), folder.name)
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


def detect_space(
    scans: Sequence[Scan], named: LabelSpace | None, looks_like_cadis: bool
) -> tuple[LabelSpace, list[str]]:
    """The label space of scanned label maps, and what should be said about it.

    named: from a class file. looks_like_cadis: by file names. Otherwise the ids that occur, named "background" and
    "foreground" where there are two, 0 and 1 (or 0 and 255). 255 beside other ids is the ignore id.

    Raises:
        DataError: nothing readable, colours that no built-in space has, more values than a label map holds.
    """
    good = [s for s in scans if s.counts]
    if not good:
        raise DataError(scans[0].problem if scans else "no label map")
    if named is not None:
        values = union(good)
        ids_only = not any(s.color or s.lossy for s in good) and not is_soft(good)
        two_class = named.num_classes == 2 and values <= {0, IGNORE}
        if named.ignore is None and IGNORE in values - set(named.ids) and ids_only and not two_class:
            return replace(named, ignore=IGNORE), [f"{IGNORE} is not among the named classes: taken as ignore"]
        return named, []
    if any(s.color for s in good):
        return _by_color(good), []
    values = union(good)
    cadis = load_space("cadis")
    if looks_like_cadis and values <= set(cadis.ids):
        return cadis, ["file names as in CaDIS: its 36 classes"]
    if any(s.lossy for s in good) or any(values <= {0, w} for w in (1, 255, 65535)) or is_soft(good):
        return _anonymous((0, 1), ("background", "foreground"), None), []
    if few := next((s for s in good if len(s.counts or ()) > _MOST_VALUES), None):
        raise DataError(
            f"{few.path}: holds {len(few.counts or ())} different values, as a photograph does; if it is a label map, "
            "name its classes with --classes FILE"
        )
    ignore = IGNORE if IGNORE in values and len(values) > 2 and IGNORE - 1 not in values else None
    ids = sorted(values - {ignore})
    if len(ids) > MAX_CLASSES:
        raise DataError(f"{good[0].path.parent}: the maps hold {len(ids)} ids; at most {MAX_CLASSES} are possible")
    notes = [f"{len(ids)} ids found in the label maps ({_ranges(ids)}); name them with --classes FILE"]
    if ignore is not None:
        notes.append(f"{IGNORE} taken as ignore")
    return _anonymous(ids, [f"class {i}" for i in ids], ignore), notes


def _anonymous(ids: Sequence[int], names: Sequence[str], ignore: int | None) -> LabelSpace:
    classes = (LabelClass(i, n, color=distinct_color(k)) for k, (i, n) in enumerate(zip(ids, names, strict=True)))
    return LabelSpace("auto", tuple(classes), ignore)


def _by_color(scans: Sequence[Scan]) -> LabelSpace:
    colors = union(s for s in scans if s.color)
    for space in map(load_space, builtin_spaces()):
        if remap_of(space) is None and has_distinct_colors(space) and colors <= color_table(space).keys():
            return space
    first = next(s for s in scans if s.color)
    shown = ", ".join(f"#{c:06x}" for c in sorted(colors)[:8])
    more = f" and {len(colors) - 8} more" if len(colors) > 8 else ""
    raise DataError(
        f"{first.path}: the channels differ, so that it is colour-coded, and its colours ({shown}{more}) are not "
        "known; name classes and colours with --classes FILE (columns id, name, color)"
    )


def _ranges(ids: Sequence[int]) -> str:
    if len(ids) > 1 and list(ids) == list(range(ids[0], ids[-1] + 1)):
        return f"{ids[0]}-{ids[-1]}"
    return ", ".join(map(str, ids[:20])) + (", ..." if len(ids) > 20 else "")
