"""How a folder's label maps encode class ids, and the decoding of one of them.

Which encoding a folder has: `codec_detection`. Codecs for other files than one image of ids a frame (polygons, several
files) derive from `DrawnCodec`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from surgaug.errors import DataError
from surgaug.io.images import Raw, read_raw
from surgaug.labels.builtin_spaces import remap_of
from surgaug.labels.label_space import LabelSpace
from surgaug.labels.scan import Scan, count_values
from surgaug.labels.space_match import counterparts, same_class
from surgaug.labels.stored_values import AS_STORED, ValueReading, color_text

Encoding = Literal["ids", "colors", "binary", "two-class", "polygons"]

GREY = 0x010101  # times a grey: its colour as 0xRRGGBB
# Farther from black and from white than this, a pixel of a two-class mask is doubtful.
DOUBTFUL = 64


@dataclass(frozen=True)
class Codec:
    """Values in the files to class ids.

    encoding: "ids" (grey, palette index, or equal channels), "colors" (of the space), "binary" (0 and 255),
    "two-class" (nearer to 0 or to 255: JPEG). table: value (colours as 0xRRGGBB) to id. remapped: the label space
    that the files are in, where `space` regroups it. reading: how the numbers in the files become values.
    """

    encoding: Encoding
    space: LabelSpace
    table: dict[int, int] = field(repr=False)
    remapped: str | None = None
    snap_lossless: bool = False
    reading: ValueReading = AS_STORED

    def decode(self, path: Path) -> np.ndarray:
        """Ids [H, W], uint8 (uint16 where the space has ids above 255).

        Raises DataError naming file, value and number of pixels for what is no id, and as `images.read_raw` does.
        """
        raw = self.reading.of_raw(read_raw(path))
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
        return ids.astype(self.space.id_type)

    def count_ids(self, scan: Scan) -> tuple[dict[int, int], dict[int, int]]:
        """Of a scanned file: pixels by id, and pixels by value of the values that are no id."""
        counts: Counter[int] = Counter()
        scan = self.reading.of_scan(scan)
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
        named = [f"{color_text(v) if colored else v} ({_pixels(n)})" for v, n in sorted(unknown.items())[:8]]
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
        return raw.values if raw.color else raw.values.astype(np.int32) * GREY

    def _scan_values(self, scan: Scan) -> dict[int, int]:
        counts = scan.counts or {}
        if self.encoding != "colors" or scan.color:
            return counts
        merged: Counter[int] = Counter()
        for v, n in counts.items():
            merged[scan.palette.get(v, -1) if scan.palette is not None else v * GREY] += n
        return dict(merged)

    def _unknown(self, counts: dict[int, int], lossy: bool) -> dict[int, int]:
        known = self.table if self._may_snap(lossy) else (0, 255)
        return {v: n for v, n in counts.items() if v not in known}

    def _may_snap(self, lossy: bool) -> bool:
        return self.encoding != "two-class" or lossy or self.snap_lossless


@dataclass(frozen=True)
class DrawnCodec:
    """Makes label maps of `space`; what it makes always is of the space, so that a scan has nothing left to refuse."""

    space: LabelSpace
    encoding: str = "drawn"
    remapped: str | None = None

    def decode(self, path: Path) -> np.ndarray:
        """Ids [H, W]. Raises DataError for what cannot be read, or is no class of the space."""
        raise NotImplementedError

    def scan(self, path: Path) -> Scan:
        """The scan of the map made; a problem is recorded, not raised."""
        try:
            ids, overlap = self.drawn(path)
        except DataError as error:
            return Scan(path, problem=str(error), objects=self.count_objects(path))
        counts = count_values(Raw(ids, color=False, lossy=False))
        return Scan(path, ids.shape, counts, objects=self.count_objects(path), overlap=overlap)

    def drawn(self, path: Path) -> tuple[np.ndarray, int]:
        """As `decode`, with the number of pixels that several objects cover, where a codec counts them."""
        return self.decode(path), 0

    def doubts(self, scans: Sequence[Scan]) -> list[str]:
        """What makes the labels of these files doubtful though they are read: nothing."""
        return []

    def files(self, path: Path) -> tuple[Path, ...]:
        """The files that a label map is made from, by the one that stands for it."""
        return (path,)

    def count_objects(self, path: Path) -> int | None:
        """Annotated objects of a label map; None where they cannot be counted."""
        return None

    def count_ids(self, scan: Scan) -> tuple[dict[int, int], dict[int, int]]:
        """As `Codec.count_ids`."""
        return dict(scan.counts or {}), {}

    def explain(self, unknown: dict[int, int], color: bool = False) -> str:
        """As `Codec.explain`; never needed."""
        raise AssertionError(unknown)

    def ambiguous_pixels(self, scans: Iterable[Scan]) -> tuple[int, int]:
        """As `Codec.ambiguous_pixels`: none."""
        return 0, 0


def regrouped(
    table: dict[int, int], space: LabelSpace, given: LabelSpace, where: Path
) -> tuple[dict[int, int], str | None]:
    """A table to ids of `space` as one to ids of `given`, and the name of `space` if `given` regroups it.

    Classes meet by name where `given` has all of them, else by id. where: the file that says what the label maps hold.
    Raises DataError for classes that `given` has neither by name nor by id, or whose ids it calls otherwise.
    """
    remap = remap_of(given)
    if remap and remap[0].names == space.names:
        return {value: int(remap[1][i]) for value, i in table.items() if i in space.ids}, space.name
    by_name = counterparts(space, given)
    if not set(space.ids) <= by_name.keys():
        ignored = {i: by_name[i] for i in space.ignored if i in by_name}
        by_name = {i: i for i in given.ids} | ignored
        for c in space.classes:
            if c.id not in given.ids:
                raise DataError(
                    f"{where}: its label maps hold {c.name} (id {c.id}), which '{given.name}' has neither by name "
                    "nor by id. Leave --classes out, or name that class as well"
                )
            if not same_class(c.name, own := given.by_id(c.id).name):
                raise DataError(
                    f"{where}: in its label maps {c.id} is {c.name}; in '{given.name}' it is {own}. Leave --classes out"
                )
    return {value: by_name[i] for value, i in table.items() if i in by_name}, None


def _arrays(table: dict[int, int], dense: bool) -> tuple[np.ndarray, np.ndarray]:
    """Sorted values with their ids, or with ids by value (-1: none; at least 256 long) where `dense`."""
    keys = np.array(sorted(table), np.int32)
    ids = np.array([table[int(k)] for k in keys], np.int32)
    if not dense:
        return keys, ids
    by_value = np.full(max(256, int(keys[-1]) + 1), -1, np.int32)
    by_value[keys] = ids
    return keys, by_value


def _pixels(n: int) -> str:
    return "1 pixel" if n == 1 else f"{n:,} pixels"
