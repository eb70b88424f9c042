"""What a set of label maps means: its label space and its encoding, from one reading of all of its files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

import numpy as np

from surgaug.datasets.descriptions import common_description, description_of, drawn_by
from surgaug.datasets.item import Item
from surgaug.datasets.stored_ids import Declared, plain_values
from surgaug.errors import DataError
from surgaug.io.images import LOSSY
from surgaug.labels.builtin_spaces import load_space, remap_of
from surgaug.labels.class_roles import LOOKED_AT, with_kinds
from surgaug.labels.codec import Codec, DrawnCodec, regrouped
from surgaug.labels.codec_detection import detect_codec, find_doubts, union
from surgaug.labels.codecs.polygons import PolygonCodec, space_of_titles, titles_in
from surgaug.labels.label_space import LabelSpace
from surgaug.labels.scan import Scan, scan_files
from surgaug.labels.space_detection import cadis_named, class_file_space, detect_space, holds_cadis_ids
from surgaug.labels.space_match import is_named, plain_name
from surgaug.labels.stored_values import find_reading, refuse_contradicting_palettes
from surgaug.runtime.feedback import Feedback, Silent
from surgaug.runtime.spread import readable


@dataclass(frozen=True)
class LabelEncoding:
    """What label maps mean, and what each file holds. notes: what a user should hear; doubts: what to be warned of."""

    space: LabelSpace
    codec: Codec | DrawnCodec
    scans: dict[Path, Scan] = field(repr=False)
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def find_encoding(
    items: Sequence[Item],
    classes: str | Path | LabelSpace,
    roots: Sequence[Path],
    layout: ModuleType | None,
    feedback: Feedback | None,
) -> LabelEncoding:
    """Label space and codec of the items' label maps, from the scan of each file.

    classes: as in `dataset.open_pairs`. roots: where to look for class files besides the maps' own folders and those
    above them. layout: the layout's module, whose SPACE is the label space that it implies, and whose `codec` knows how
    its label maps are kept.
    Raises DataError as `detect_codec`, `detect_space` and `load_space` do.
    """
    feedback = feedback or Silent()
    paths = [item.label for item in items if item.label is not None]
    if not paths:
        raise DataError(f"{roots[0] if roots else items[0].image}: no label map")
    given = None if is_auto(classes) else classes if isinstance(classes, LabelSpace) else load_space(classes)
    folders = list(dict.fromkeys([*roots, *(f for p in paths for f in (p.parent, p.parent.parent))]))
    declared = common_description(paths, roots)
    if given is not None and declared:
        _refuse_other_classes(given, declared)
        given = _with_declared_ignore(given, declared)
    if given is None:
        _refuse_several_spaces(paths)
    if declared and declared.table != plain_values(declared.space):
        table, remapped = regrouped(declared.table, declared.space, given or declared.space, declared.path)
        return _of_numbers(Codec("ids", given or declared.space, table, remapped), scan_files(paths, feedback))
    home = roots[0] if roots else None
    if layout is None and declared and (drawn_in := drawn_by(declared)):
        layout, home = drawn_in, declared.path.parent
    if home and layout and hasattr(layout, "codec") and (own := layout.codec(home, items, given)):
        if isinstance(own, Codec):
            return _of_numbers(own, scan_files(paths, feedback))
        drawn_scans = scan_files(paths, feedback, own.scan)
        return LabelEncoding(own.space, own, _by_path(drawn_scans), doubts=tuple(own.doubts(drawn_scans)))
    if drawn := [p for p in paths if p.suffix.lower() == ".json"]:
        space = given or class_file_space(folders) or space_of_titles(titles_in(drawn))
        drawn_scans = scan_files(paths, feedback, PolygonCodec(space).scan)
        if not isinstance(classes, LabelSpace):
            space = with_kinds(space, _some(PolygonCodec(space), drawn_scans))
        return LabelEncoding(space, PolygonCodec(space), _by_path(drawn_scans))

    scans = scan_files(paths, feedback)
    layout_space = getattr(layout, "SPACE", None)
    looks_like_cadis = layout_space == "cadis" or cadis_named(path.stem for path in paths)
    notes: list[str] = []
    warned: list[str] = []
    if given is None and declared:
        space = declared.space
    elif given is None:
        named = class_file_space(folders)
        if looks_like_cadis and named is None and layout_space in (None, "cadis") and not holds_cadis_ids(scans):
            looks_like_cadis, layout_space = False, None
            warned.append(
                f"{folders[0]}: named like CaDIS's label maps, but the ids cover other shares of the frames than its "
                "classes do: not taken for those (if they are, say so with --classes cadis)"
            )
        if layout_space:
            space = load_space(layout_space)
        else:
            found = detect_space(scans, named, looks_like_cadis)
            space, notes = found.space, [*found.notes]
            warned += found.doubts
    else:
        space = given
        if not isinstance(classes, LabelSpace):
            warned += _other_names(given, paths)
    prefer_remap = declared.space != space if declared else looks_like_cadis
    codec = detect_codec(paths, space, prefer_remap=prefer_remap, scans=scans)
    if not isinstance(classes, LabelSpace) and not declared:
        space = with_kinds(space, _some(codec, scans))
        codec = replace(codec, space=space)
    if codec.remapped:
        notes.append(f"label maps hold the ids of '{codec.remapped}': regrouped to '{space.name}'")
    elif not declared and (remap := remap_of(space)) and codec.encoding == "ids":
        source, regroups = remap
        if all(v in source.ids for v in union(scans)) and any(regroups[v] != v for v in union(scans)):
            notes.append(f"label maps taken to hold the ids of '{space.name}', which could be those of '{source.name}'")
    return LabelEncoding(space, codec, _by_path(scans), tuple(notes), (*warned, *find_doubts(codec, scans)))


def _of_numbers(codec: Codec, scans: Sequence[Scan]) -> LabelEncoding:
    """Files known to hold the numbers of the codec's table, whatever program saved them last; lossy ones hold none."""
    scans = [replace(s, counts=None, problem=f"{s.path}: {LOSSY}") if s.lossy else s for s in scans]
    good = [s for s in scans if s.counts]
    reading = find_reading(good, set(codec.table))
    refuse_contradicting_palettes(reading.of_scan(s) for s in good)
    codec = replace(codec, reading=reading)
    return LabelEncoding(codec.space, codec, _by_path(scans), doubts=tuple(find_doubts(codec, good)))


def named_spaces(paths: Iterable[Path]) -> dict[Path, LabelSpace]:
    """By folder of these label maps, the label space that a class file or a description in it, or above it, names."""

    def within(folder: Path) -> LabelSpace | None:
        declared = description_of(folder)
        return declared.space if declared else class_file_space([folder]) or class_file_space([folder.parent])

    found = {folder: within(folder) for folder in dict.fromkeys(p.parent for p in paths)}
    return {folder: space for folder, space in found.items() if space is not None and is_named(space)}


def _refuse_several_spaces(paths: Sequence[Path]) -> None:
    """Raises DataError for label maps of several folders whose class files or descriptions give an id two names."""
    names: dict[int, tuple[str, Path]] = {}
    for folder, space in named_spaces(paths).items():
        for c in space.classes:
            name, there = names.setdefault(c.id, (c.name, folder))
            if plain_name(name) != plain_name(c.name):
                raise DataError(
                    f"{there} and {folder}: label maps of two label spaces: {c.id} is {name} in the first and {c.name} "
                    "in the second; give them one at a time, or both their classes with --classes"
                )


def _other_names(given: LabelSpace, paths: Sequence[Path]) -> list[str]:
    """A doubt where a class file beside or above these maps gives an id of `given` another name."""
    if remap_of(given):
        return []  # a task, whose maps may hold the ids of the whole
    try:
        spaces = named_spaces(paths)
    except DataError:  # several class files, or a damaged one: --classes is their cure
        return []
    for folder, space in spaces.items():
        for c in space.classes:
            if c.id in given.ids and plain_name(own := given.by_id(c.id).name) != plain_name(c.name):
                return [
                    f"{folder}: a class file there calls {c.id} {c.name}; --classes calls it {own}, which counts. "
                    "Leave --classes out if the file is right"
                ]
    return []


def _refuse_other_classes(given: LabelSpace, declared: Declared) -> None:
    remap, space = remap_of(given), declared.space
    if "auto" in (given.name, space.name) or (remap and remap[0].names == space.names):
        return
    for c in space.classes:
        if c.id in given.ids and given.by_id(c.id).name.lower() != c.name.lower():
            raise DataError(
                f"{declared.path}: its label maps are in the label space '{space.name}', where {c.id} is {c.name}; in "
                f"'{given.name}' it is {given.by_id(c.id).name}. Leave --classes out"
            )


def _with_declared_ignore(given: LabelSpace, declared: Declared) -> LabelSpace:
    """`given` with the ignore id of a data set of ours where it has none: of pixels that a judge did not trust, say."""
    ignore = declared.space.ignore
    if given.ignore is not None or ignore is None or ignore in given.ids or remap_of(given) is not None:
        return given
    return replace(given, ignore=ignore)


def is_auto(classes: object) -> bool:
    """Whether the label space is to be found from the maps."""
    return isinstance(classes, str) and classes == "auto"


def _some(codec: Codec | DrawnCodec, scans: Sequence[Scan]) -> Iterator[np.ndarray]:
    """Some of the label maps that can be read, ids [H, W], evenly over all."""
    good = [s.path for s in scans if not s.problem]
    return readable(lambda i: codec.decode(good[i]), len(good), LOOKED_AT)


def _by_path(scans: Iterable[Scan]) -> dict[Path, Scan]:
    return {scan.path: scan for scan in scans}
