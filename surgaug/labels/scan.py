"""One pass over label map files: sizes and value counts, from which everything else about a folder is decided."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from surgaug.errors import DataError
from surgaug.io.images import Raw, read_raw
from surgaug.runtime.feedback import Feedback
from surgaug.runtime.parallel import in_threads

MAX_COLORS = 4096


@dataclass(frozen=True)
class Scan:
    """What one label file holds: pixels by value (see `images.Raw`), or the `problem` that keeps it from being read.

    palette: colour 0xRRGGBB of the palette indices in use, None for a file without palette. objects: how many annotated
    objects the label map is drawn from; None for one that is stored, or where they cannot be counted.
    """

    path: Path
    hw: tuple[int, int] = (0, 0)
    counts: dict[int, int] | None = None
    color: bool = False
    lossy: bool = False
    palette: dict[int, int] | None = None
    problem: str | None = None
    objects: int | None = None


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
    palette = None
    if raw.palette is not None:
        palette = {v: int(raw.palette[v]) for v in counts if v < len(raw.palette)}
    return Scan(path, raw.values.shape, counts, raw.color, raw.lossy, palette)


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
