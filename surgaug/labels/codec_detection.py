"""Which encoding a folder's label maps have, decided from all of its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from surgaug.errors import DataError
from surgaug.labels.builtin_spaces import remap_of, stored_of
from surgaug.labels.codec import DOUBTFUL, Codec, color_text
from surgaug.labels.label_space import LabelSpace
from surgaug.labels.scan import Scan, scan_files
from surgaug.runtime.feedback import Silent

_WHITES = (255, 65535)
_MAX_DOUBTFUL_SHARE = 0.02


def detect_codec(
    paths: Sequence[Path], space: LabelSpace, *, prefer_remap: bool = False, scans: Sequence[Scan] | None = None
) -> Codec:
    """The codec of the label maps `paths`, which hold classes of `space`.

    `prefer_remap`: ids that could be both those of a regrouping (`cadis-task2`) and of what it regroups (`cadis`) are
    the latter. `scans`: of these files, if there are any already.

    Raises:
        DataError: no file can be read; lossy files of more than two classes; palettes that contradict the space;
            colours for a space in which two classes share one.
    """
    scans = scan_files(paths, Silent()) if scans is None else scans
    good = [s for s in scans if s.counts]
    if not good:
        raise DataError(scans[0].problem if scans else "no label map")
    remap = remap_of(space)
    known = {*space.ids, *_ignore(space)}
    colored, grey = [s for s in good if s.color], [s for s in good if not s.color]
    if colored:
        if grey and union(grey) <= known and not union(colored) <= color_table(space).keys():
            return Codec("ids", space, {i: i for i in known})  # the coloured ones are strays, refused as such
        return _color_codec(space, good)
    values = union(good)
    if any(s.lossy for s in good):
        return _two_class(space, good)
    if remap and values <= set(remap[0].ids) and (prefer_remap or not values <= known):
        source, table = remap
        return Codec("ids", space, {i: int(table[i]) for i in source.ids}, remapped=source.name)
    if values <= known:
        _refuse_contradicting_palettes(space, good)
        return Codec("ids", space, {i: i for i in known})
    if values <= stored_of(space).keys():
        return Codec("ids", space, stored_of(space))
    white = next((w for w in _WHITES if values <= {0, w}), None)
    if white and space.num_classes == 2:
        low, high = sorted(space.ids)
        return Codec("binary", space, {0: low, white: high})
    if space.num_classes == 2 and is_soft(good):
        return _two_class(space, good)
    if has_distinct_colors(space):
        colors = _color_codec(space, good)
        if not any(colors.count_ids(s)[1] for s in good):
            return colors
    return Codec("ids", space, {i: i for i in known})


def union(scans: Iterable[Scan]) -> set[int]:
    """All values that occur."""
    return {v for s in scans for v in s.counts or ()}


def is_soft(scans: Sequence[Scan]) -> bool:
    """Whether these are two-class masks with soft edges: nearly all black and white, and many greys in between."""
    total: Counter[int] = Counter()
    for s in scans:
        if s.color or s.palette is not None:
            return False
        total.update(s.counts or {})
    pixels, extreme = sum(total.values()), total[0] + total[255]
    greys = [v for v in total if DOUBTFUL <= v <= 255 - DOUBTFUL]
    return max(total) == 255 and total[255] > 0 and len(greys) > 8 and extreme >= 0.9 * pixels


def has_distinct_colors(space: LabelSpace) -> bool:
    """Whether no two classes share a colour."""
    return len({c.color for c in space.classes}) == space.num_classes


def color_table(space: LabelSpace) -> dict[int, int]:
    """Colour 0xRRGGBB to id; black is the ignore id where no class is black."""
    table = {_packed(c.color): c.id for c in space.classes}
    if space.ignore is not None:
        table.setdefault(0, space.ignore)
        if stored_of(space).get(255) == space.ignore:  # published with white seams
            table.setdefault(0xFFFFFF, space.ignore)
    if remap := remap_of(space):
        source, ids = remap
        table = {_packed(c.color): int(ids[c.id]) for c in source.classes} | table
    return table


def _color_codec(space: LabelSpace, scans: Sequence[Scan]) -> Codec:
    if lossy := [s for s in scans if s.lossy]:
        raise DataError(
            f"{lossy[0].path}: colours of a lossy file (JPEG, WebP) no longer tell the classes; save label maps as PNG"
        )
    if not has_distinct_colors(space):
        colors = Counter(c.color for c in space.classes)
        shared = colors.most_common(1)[0][0]
        names = [c.name for c in space.classes if c.color == shared]
        raise DataError(
            f"{scans[0].path}: colour-coded, but in the label space '{space.name}' {' and '.join(names)} share the "
            f"colour {color_text(_packed(shared))}; give each class its own"
        )
    return Codec("colors", space, color_table(space))


def _two_class(space: LabelSpace, scans: Sequence[Scan]) -> Codec:
    lossy = [s for s in scans if s.lossy]
    first = (lossy or scans)[0]
    if space.num_classes != 2:
        raise DataError(
            f"{first.path}: a lossy label map (JPEG, WebP) can tell two classes apart, black and white, and the label "
            f"space '{space.name}' has {space.num_classes}; save label maps as PNG"
        )
    top = max(union(scans))
    if 0 < top < DOUBTFUL:
        raise DataError(
            f"{first.path}: values from 0 to {top} in a lossy file (JPEG, WebP), so that ids cannot be told apart; "
            "save label maps as PNG, or masks of two classes as 0 and 255"
        )
    for s in lossy:
        counts = s.counts or {}
        between = {v: n for v, n in counts.items() if DOUBTFUL <= v <= 255 - DOUBTFUL}
        doubtful = sum(between.values())
        if doubtful > _MAX_DOUBTFUL_SHARE * sum(counts.values()):
            value = max(between, key=between.__getitem__)
            raise DataError(
                f"{s.path}: {doubtful:,} pixels of a lossy mask (JPEG, WebP) are neither near 0 nor near 255, most of "
                f"them about {value}; more than two classes cannot be told apart, save label maps as PNG"
            )
    low, high = sorted(space.ids)
    table = {v: low if v < 128 else high for v in range(256)}
    return Codec("two-class", space, table, snap_lossless=not lossy)


def _refuse_contradicting_palettes(space: LabelSpace, scans: Sequence[Scan]) -> None:
    colors = color_table(space) if has_distinct_colors(space) else {}
    for s in scans:
        if not s.palette or not all(c in colors for c in s.palette.values()):
            continue
        for index, color in s.palette.items():
            if colors[color] != index:
                raise DataError(
                    f"{s.path}: palette index {index} has the colour {color_text(color)}, which is class "
                    f"{colors[color]} of the label space '{space.name}'; save the map as single-channel ids"
                )


def _ignore(space: LabelSpace) -> tuple[int, ...]:
    return () if space.ignore is None else (space.ignore,)


def _packed(color: tuple[int, int, int]) -> int:
    return color[0] << 16 | color[1] << 8 | color[2]
