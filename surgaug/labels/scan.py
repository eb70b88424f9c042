"""One pass over label map files: sizes and value counts, from which everything else about a folder is decided."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from surgaug.errors import DataError
from surgaug.io.images import Raw, read_raw
from surgaug.runtime.feedback import Feedback
from surgaug.runtime.parallel import in_threads

MAX_COLORS = 4096
# A middle grey of a lossy two-class mask lies between these, and a plateau of one varies by this at most. Edges have
# none: not one in the 900 masks of Kvasir-SEG; a third class of 5x5 pixels has one down to JPEG quality 50.
_PLATEAU = (32, 223)
_PLATEAU_RANGE = 48
_SPECK = 12
_ROW = np.ones((1, 3), np.uint8)
_KEPT = threading.local()
_SQUARE = np.ones((3, 3), np.uint8)


@dataclass(frozen=True)
class Scan:
    """What one label file holds: pixels by value (see `images.Raw`), or the `problem` that keeps it from being read.

    palette: colour 0xRRGGBB of the palette indices in use, None for a file without palette; full_palette: of all;
    grey_palette: all are greys, those in use different ones. bits, channels: as `images.Raw`.
    objects: how many annotated objects the label map is drawn from; None for one that is stored, or where they cannot
    be counted. overlap: pixels that several of these objects' masks cover, of which one counts.

    Of grey and palette files, how the values lie: flat: pixels in the middle of 3x3 equal ones, by value. steps: pixels
    that differ from a neighbour in their row, and in their column; ramps: those of them whose value lies between their
    two neighbours'; specks: those that are a little lighter than both. plateaus: pixels amid 3x3 of nearly one
    middle grey, by value. The last two are of files of 8 bits that hold white, or are lossy.
    """

    path: Path
    hw: tuple[int, int] = (0, 0)
    counts: dict[int, int] | None = None
    color: bool = False
    lossy: bool = False
    palette: dict[int, int] | None = None
    problem: str | None = None
    objects: int | None = None
    overlap: int = 0
    full_palette: tuple[int, ...] = field(default=(), repr=False)
    grey_palette: bool = False
    bits: int = 8
    channels: int = 1
    flat: dict[int, int] = field(default_factory=dict, repr=False)
    steps: int = 0
    ramps: int = 0
    specks: int = 0
    plateaus: dict[int, int] = field(default_factory=dict, repr=False)


def scan_files(paths: Sequence[Path], feedback: Feedback, scan: Callable[[Path], Scan] | None = None) -> list[Scan]:
    """Scan label files in threads, with progress; in the order of `paths`. Problems are recorded, not raised."""
    return list(in_threads(scan or scan_raster, paths, feedback=feedback, title="reading label maps"))


def scan_raster(path: Path) -> Scan:
    """The scan of a label map that is an image file."""
    try:
        raw = read_raw(path)
        counts = count_values(raw)
    except DataError as error:
        return Scan(path, problem=str(error))
    if raw.color and len(counts) > MAX_COLORS:
        problem = f"{path}: holds {len(counts):,} colours, as a photograph does; a label map holds one colour a class"
        return Scan(path, raw.values.shape, problem=problem)
    scan = Scan(path, raw.values.shape, counts, raw.color, raw.lossy, bits=raw.bits, channels=raw.channels)
    if raw.color:
        return scan
    flat, steps, ramps = _texture(raw.values, counts)
    scan = replace(scan, flat=flat, steps=steps, ramps=ramps)
    if raw.values.dtype == np.uint8 and (raw.lossy or max(counts) > _PLATEAU[1]) and counts.keys() - {0, 255}:
        scan = replace(scan, specks=_specks(raw.values), plateaus=_plateaus(raw.values))
    return scan if raw.palette is None else _with_palette(scan, raw.palette)


def count_values(raw: Raw) -> dict[int, int]:
    """Pixels by value."""
    flat = raw.values.ravel()
    if not raw.color:
        if raw.values.dtype == np.uint8:
            counts = cv2.calcHist([raw.values], [0], None, [256], [0, 256]).ravel()  # exact up to 2**24 pixels a bin
            counts = counts if flat.size < 2**24 else np.bincount(flat)
        else:
            counts = np.bincount(flat)
        return {int(v): int(counts[v]) for v in np.flatnonzero(counts)}
    # Label maps are long runs of one colour: sorting the runs takes a hundredth of sorting the pixels.
    starts = np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]]))
    values, inverse = np.unique(flat[starts], return_inverse=True)
    counts = np.bincount(inverse, weights=np.diff(np.append(starts, flat.size)))
    return {int(v): int(n) for v, n in zip(values, counts, strict=True)}


def _texture(values: np.ndarray, counts: dict[int, int]) -> tuple[dict[int, int], int, int]:
    """`flat`, `steps` and `ramps` of a `Scan`, from values [H, W] uint8 or uint16 and pixels by value; in OpenCV, being
    faster."""
    kept = _scratch("low", values), _scratch("high", values)
    found, other = _scratch("found", values, np.uint8), _scratch("other", values, np.uint8)
    steps = ramps = 0
    for kernel in (_ROW, _ROW.T):
        low, high = _extremes(values, kernel, *kept)
        steps += cv2.countNonZero(cv2.compare(low, high, cv2.CMP_NE, found))
        above, below = cv2.compare(low, values, cv2.CMP_LT, found), cv2.compare(values, high, cv2.CMP_LT, other)
        ramps += cv2.countNonZero(cv2.bitwise_and(above, below, found))
    low, high = _extremes(values, _SQUARE, *kept)
    # Few pixels lie at edges: these are counted, and all others are flat.
    edges = cv2.compare(low, high, cv2.CMP_NE, found).reshape(values.shape)
    edges = np.bitwise_and(edges, 1, out=edges).view(bool)
    at_edges = np.bincount(values[edges], minlength=max(counts) + 1).tolist()
    return {v: n - at_edges[v] for v, n in counts.items() if n > at_edges[v]}, steps, ramps


def _specks(values: np.ndarray) -> int:
    count = 0
    for before, middle, after in (
        (values[:, :-2], values[:, 1:-1], values[:, 2:]),
        (values[:-2], values[1:-1], values[2:]),
    ):
        peaks = (middle > before) & (middle > after)
        count += int(np.count_nonzero(peaks & (middle - np.minimum(before, after) <= _SPECK)))
    return count


def _plateaus(values: np.ndarray) -> dict[int, int]:
    low, high = _extremes(values, _SQUARE)
    found = (low >= _PLATEAU[0]) & (high <= _PLATEAU[1]) & (high - low <= _PLATEAU_RANGE)  # high >= low, so no wrap
    counts = np.bincount(values[found])
    return {int(v): int(counts[v]) for v in np.flatnonzero(counts)}


def _extremes(
    values: np.ndarray, kernel: np.ndarray, low: np.ndarray | None = None, high: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest value about each pixel, in the arrays given, if any."""
    border = cv2.BORDER_REPLICATE
    return cv2.erode(values, kernel, low, borderType=border), cv2.dilate(values, kernel, high, borderType=border)


def _scratch(name: str, like: np.ndarray, dtype: type | None = None) -> np.ndarray:
    """An array of the size of `like`, kept by this thread: to get its memory anew takes longer than to fill it."""
    kept, kind = getattr(_KEPT, name, None), like.dtype if dtype is None else np.dtype(dtype)
    if kept is None or kept.shape != like.shape or kept.dtype != kind:
        kept = np.empty(like.shape, kind)
        setattr(_KEPT, name, kept)
    return kept


def _with_palette(scan: Scan, palette: np.ndarray) -> Scan:
    used = {v: int(palette[v]) for v in scan.counts or () if v < len(palette)}
    grey = bool(((palette >> 16 == palette & 255) & (palette >> 8 & 255 == palette & 255)).all())
    distinct = len(set(used.values())) == len(scan.counts or ())
    return replace(scan, palette=used, full_palette=tuple(map(int, palette)), grey_palette=grey and distinct)
