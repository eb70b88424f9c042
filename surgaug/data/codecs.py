"""How a folder's label maps encode class ids, decided from all of its files, and the decoding of one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from surgaug.data.label_space import LabelSpace
from surgaug.data.raster import Raw, read_raw
from surgaug.data.scan import Scan, scan_files
from surgaug.data.spaces import remap_of, stored_of
from surgaug.errors import DataError
from surgaug.feedback import Silent

Encoding = Literal["ids", "colors", "binary", "two-class", "polygons"]

_WHITES = (255, 65535)
_GREY = 0x010101
# Farther from black and from white than this, a pixel of a two-class mask is doubtful.
DOUBTFUL = 64
_MAX_DOUBTFUL_SHARE = 0.02


@dataclass(frozen=True)
class Codec:
    """Values in the files to class ids.

    encoding: "ids" (grey, palette index, or equal channels), "colors" (of the space), "binary" (0 and 255),
    "two-class" (nearer to 0 or to 255: JPEG). table: value (colours as 0xRRGGBB) to id. remapped: the label space
    that the files are in, where `space` regroups it.
    """

    encoding: Encoding
    space: LabelSpace
    table: dict[int, int] = field(repr=False)
    remapped: str | None = None
    snap_lossless: bool = False

    def decode(self, path: Path) -> np.ndarray:
        """Ids [H, W], uint8 (uint16 where the space has ids above 255).

        Raises DataError naming file, value and number of pixels for what is no id, and as `raster.read_raw` does.
        """
        raw = read_raw(path)
        values = self._values(raw, path)
        keys, table = self._lookup if self._may_snap(raw.lossy) else self._strict_lookup
        if self.encoding == "colors":
            place = np.minimum(np.searchsorted(keys, values), len(keys) - 1)
            ids = np.where(keys[place] == values, table[place], -1)
        elif raw.values.dtype == np.uint8:
            ids = table[values]
        else:
            ids = np.where(values < len(table), table[np.minimum(values, len(table) - 1)], -1)
        if ids.min() < 0:
            found, counts = np.unique(values[ids < 0], return_counts=True)
            raise DataError(f"{path}: {self.explain(dict(zip(found.tolist(), counts.tolist(), strict=True)))}")
        return ids.astype(self.dtype)

    def count_ids(self, scan: Scan) -> tuple[dict[int, int], dict[int, int]]:
        """Of a scanned file: pixels by id, and pixels by value of the values that are no id."""
        counts: Counter[int] = Counter()
        if scan.color and self.encoding != "colors":
            return {}, dict(scan.counts or {})
        values = self._scan_values(scan)
        unknown = self._unknown(values, scan.lossy)
        for value, n in values.items():
            if value not in unknown:
                counts[self.table[value]] += n
        return dict(counts), unknown

    def ambiguous_pixels(self, scans: Iterable[Scan]) -> tuple[int, int]:
        """Pixels strictly between black and white in two-class masks, and those of them that are doubtful (0, 0 else).

        Doubtful: at least `DOUBTFUL` grey levels from both.
        """
        if self.encoding != "two-class":
            return 0, 0
        counts = [item for s in scans for item in (s.counts or {}).items()]
        between = sum(n for v, n in counts if 0 < v < 255)
        return between, sum(n for v, n in counts if DOUBTFUL <= v <= 255 - DOUBTFUL)

    def explain(self, unknown: dict[int, int], color: bool = False) -> str:
        """Why these values (to pixels; colours 0xRRGGBB where `color`) are no ids of the space, and the cure."""
        colored = color or self.encoding == "colors"
        named = [f"{_color_text(v) if colored else v} ({_pixels(n)})" for v, n in sorted(unknown.items())[:8]]
        more = f" and {len(unknown) - 8} more" if len(unknown) > 8 else ""
        several = len(unknown) > 1
        what = ("colour" if colored else "value") + ("s" if several else "")
        be = "are" if several else "is"
        space = f"label space '{self.remapped or self.space.name}'"
        if self.encoding == "colors":
            cure = (
                f"{be} no colour of the {space}; correct the map, or give its classes and colours with --classes FILE"
            )
        elif colored:
            cure = f"{be} no id: the channels differ, and the other maps hold ids; save the map as ids like them"
        elif self.encoding in ("binary", "two-class"):
            cure = f"{be} neither 0 nor 255, and the other masks hold only those; save it like the others"
        else:
            cure = f"{be} outside the {space} ({self._ids_text}); correct the map, or give its classes with --classes"
        return f"{what} {', '.join(named)}{more} {cure}"

    @property
    def dtype(self) -> type:
        return np.uint8 if self.space.max_id < 256 else np.uint16

    @property
    def _ids_text(self) -> str:
        ids = sorted(self.table)
        span = f"{ids[0]}-{ids[-1]}" if ids == list(range(ids[0], ids[-1] + 1)) else ", ".join(map(str, ids[:40]))
        return f"ids {span}" if len(ids) > 1 else f"id {ids[0]}"

    @cached_property
    def _lookup(self) -> tuple[np.ndarray, np.ndarray]:
        return _arrays(self.table, dense=self.encoding != "colors")

    @cached_property
    def _strict_lookup(self) -> tuple[np.ndarray, np.ndarray]:
        return _arrays({v: self.table[v] for v in (0, 255)}, dense=True)

    def _values(self, raw: Raw, path: Path) -> np.ndarray:
        if self.encoding != "colors":
            if raw.color:
                values, counts = np.unique(raw.values, return_counts=True)
                unknown = dict(zip(values.tolist(), counts.tolist(), strict=True))
                raise DataError(f"{path}: {self.explain(unknown, color=True)}")
            return raw.values
        if raw.palette is not None:
            return raw.palette[np.minimum(raw.values, len(raw.palette) - 1)]
        return raw.values if raw.color else raw.values.astype(np.int32) * _GREY

    def _scan_values(self, scan: Scan) -> dict[int, int]:
        counts = scan.counts or {}
        if self.encoding != "colors" or scan.color:
            return counts
        merged: Counter[int] = Counter()
        for v, n in counts.items():
            merged[scan.palette.get(v, -1) if scan.palette is not None else v * _GREY] += n
        return dict(merged)

    def _unknown(self, counts: dict[int, int], lossy: bool) -> dict[int, int]:
        known = self.table if self._may_snap(lossy) else (0, 255)
        return {v: n for v, n in counts.items() if v not in known}

    def _may_snap(self, lossy: bool) -> bool:
        return self.encoding != "two-class" or lossy or self.snap_lossless


def detect(
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


def regrouped(table: dict[int, int], space: LabelSpace, given: LabelSpace) -> tuple[dict[int, int], str | None]:
    """A table to ids of `space` as one to ids of `given`, and the name of `space` if `given` regroups it."""
    remap = remap_of(given)
    if remap and remap[0].names == space.names:
        return {value: int(remap[1][i]) for value, i in table.items() if i in space.ids}, space.name
    return table, None


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
            f"colour {_color_text(_packed(shared))}; give each class its own"
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
        doubtful = sum(n for v, n in s.counts.items() if DOUBTFUL <= v <= 255 - DOUBTFUL)
        if doubtful > _MAX_DOUBTFUL_SHARE * sum(s.counts.values()):
            value = max((v for v in s.counts if DOUBTFUL <= v <= 255 - DOUBTFUL), key=s.counts.__getitem__)
            raise DataError(
                f"{s.path}: {doubtful:,} pixels of a lossy mask (JPEG, WebP) are neither near 0 nor near 255, most of "
                f"them about {value}; more than two classes cannot be told apart, save label maps as PNG"
            )
    low, high = sorted(space.ids)
    table = {v: low if v < 128 else high for v in range(256)}
    return Codec("two-class", space, table, snap_lossless=not lossy)


def _arrays(table: dict[int, int], dense: bool) -> tuple[np.ndarray, np.ndarray]:
    """Sorted values with their ids, or with ids by value (-1: none; at least 256 long) where `dense`."""
    keys = np.array(sorted(table), np.int32)
    ids = np.array([table[int(k)] for k in keys], np.int32)
    if not dense:
        return keys, ids
    by_value = np.full(max(256, int(keys[-1]) + 1), -1, np.int32)
    by_value[keys] = ids
    return keys, by_value


def _refuse_contradicting_palettes(space: LabelSpace, scans: Sequence[Scan]) -> None:
    colors = color_table(space) if has_distinct_colors(space) else {}
    for s in scans:
        if not s.palette or not all(c in colors for c in s.palette.values()):
            continue
        for index, color in s.palette.items():
            if colors[color] != index:
                raise DataError(
                    f"{s.path}: palette index {index} has the colour {_color_text(color)}, which is class "
                    f"{colors[color]} of the label space '{space.name}'; save the map as single-channel ids"
                )


def _ignore(space: LabelSpace) -> tuple[int, ...]:
    return () if space.ignore is None else (space.ignore,)


def _packed(color: tuple[int, int, int]) -> int:
    return color[0] << 16 | color[1] << 8 | color[2]


def _pixels(n: int) -> str:
    return "1 pixel" if n == 1 else f"{n:,} pixels"


def _color_text(packed: int) -> str:
    return f"({packed >> 16}, {packed >> 8 & 255}, {packed & 255})"
