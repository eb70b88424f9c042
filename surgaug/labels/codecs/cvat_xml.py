"""CVAT's "CVAT for images 1.1": one XML file with the polygons, boxes and masks of many images.

Format: docs.cvat.ai, "XML annotation format". What has a higher z_order lies above, whatever its class; where all
have the same, depths of classes count.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

import numpy as np

from surgaug.errors import DataError
from surgaug.io.images import MAX_PIXELS
from surgaug.labels.codec import DrawnCodec
from surgaug.labels.codecs.polygons import Shape, as_stamped, draw

_AREAS = ("polygon", "box", "mask")
_WITHOUT_AREA = ("polyline", "points", "ellipse", "cuboid", "skeleton")


@dataclass(frozen=True)
class Frame:
    """An image of the file. file_name: with its folders, as the task has it. regions: kind and attributes of each."""

    file_name: str
    hw: tuple[int, int]
    subset: str
    regions: Sequence[tuple[str, Mapping[str, str]]] = field(repr=False)


@dataclass(frozen=True)
class CvatXmlCodec(DrawnCodec):
    """Draws images of the file as ids of `space`; a label map's path is FILE.xml/NAME."""

    encoding: str = "CVAT's XML"

    def decode(self, path: Path) -> np.ndarray:
        """Ids [H, W]. Raises DataError: a damaged region, one without area, a label that is no class of the space."""
        frame = read_frames(path.parent)[path.name]
        shown = path.parent / path.name
        if min(frame.hw) < 1 or frame.hw[0] * frame.hw[1] > MAX_PIXELS:
            raise DataError(f"{shown}: size {frame.hw[0]}x{frame.hw[1]}; at most {MAX_PIXELS:,} pixels are possible")
        regions = sorted(frame.regions, key=_z_order)
        shapes = [replace(_shape(*region, shown), layer=_z_order(region)) for region in regions]
        return draw(frame.hw, shapes, self.space, shown)

    def count_objects(self, path: Path) -> int:
        """The regions of an image."""
        return len(read_frames(path.parent)[path.name].regions)


def is_cvat_xml(path: Path) -> bool:
    """Whether a file begins as CVAT's XML does."""
    with path.open("rb") as file:
        start = file.read(2_000)
    return b"<annotations>" in start and b"<version>1.1</version>" in start


def read_frames(path: Path) -> dict[str, Frame]:
    """The images of a file by name: the stem, with its folders before it where two would be called the same.

    Raises DataError: damaged, of a video, two images of one name.
    """
    return as_stamped(_parse, path)


def titles_of(frame: Frame) -> list[str]:
    """The labels that an image uses."""
    return [told.get("label", "").strip() for _, told in frame.regions]


def mask_of(counts: str, height: int, width: int) -> np.ndarray:
    """bool [height, width] of a mask's run lengths, row by row, the first of pixels that are not in it.

    Raises ValueError where they do not fill it.
    """
    lengths = [int(count) for count in counts.split(",")]
    if min(lengths) < 0 or sum(lengths) != height * width:
        raise ValueError(f"run lengths of {sum(lengths)} pixels for a mask of {height}x{width}")
    inside = np.arange(len(lengths)) % 2 == 1
    return np.repeat(inside, lengths).reshape(height, width)


@lru_cache(maxsize=8)
def _parse(path: Path, stamp: int) -> dict[str, Frame]:
    try:
        root = ElementTree.fromstring(path.read_bytes())
        if root.find("track") is not None:
            raise DataError(f"{path}: tracks of a video; export it as 'CVAT for images 1.1'")
        frames = [_frame(image) for image in root.iter("image")]
    except (ElementTree.ParseError, KeyError, ValueError, RecursionError) as error:
        reason = f"{error} missing" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{path}: not CVAT's XML ({reason}); export it anew") from error
    stems = [PurePosixPath(frame.file_name).stem for frame in frames]
    names = stems if len(set(stems)) == len(stems) else [_with_folders(frame.file_name) for frame in frames]
    if len(by_name := dict(zip(names, frames, strict=True))) < len(frames):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{path}: two images are called {twice}; rename one of them")
    return by_name


def _frame(image: ElementTree.Element) -> Frame:
    told = image.attrib
    regions = [(region.tag, dict(region.attrib)) for region in image if region.tag in (*_AREAS, *_WITHOUT_AREA)]
    return Frame(
        told["name"].replace("\\", "/"), (int(told["height"]), int(told["width"])), told.get("subset", ""), regions
    )


def _with_folders(file_name: str) -> str:
    return "_".join(part for part in PurePosixPath(file_name).with_suffix("").parts if part not in ("/", "..", "."))


def _z_order(region: tuple[str, Mapping[str, str]]) -> int:
    order = region[1].get("z_order", "0")
    return int(order) if order.lstrip("-").isdecimal() else 0


def _shape(kind: str, told: Mapping[str, str], shown: Path) -> Shape:
    """A region. Raises DataError for what has no area that could be drawn, and for a damaged one."""
    if kind in _WITHOUT_AREA:
        raise DataError(f"{shown}: {told.get('label')!r} is of the kind {kind}; polygons, boxes and masks can be drawn")
    try:
        title = told["label"].strip()
        if kind == "mask":
            left, top, width, height = (int(told[key]) for key in ("left", "top", "width", "height"))
            return Shape(title, ((left, top),), bitmap=mask_of(told["rle"], height, width))
        if kind == "box":
            if float(told.get("rotation", 0)):
                raise ValueError("a turned box; draw a polygon in its place")
            left_, top_, right, bottom = (float(told[key]) for key in ("xtl", "ytl", "xbr", "ybr"))
            exterior = ((left_, top_), (right, top_), (right, bottom), (left_, bottom))
        else:
            exterior = tuple(tuple(map(float, point.split(","))) for point in told["points"].split(";"))  # type: ignore[assignment]
        if len(exterior) < 3 or not all(len(p) == 2 and all(map(math.isfinite, p)) for p in exterior):
            raise ValueError("a polygon needs three points or more")
    except (ValueError, KeyError, OverflowError) as error:
        reason = f"{error} missing" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{shown}: a damaged {kind} ({reason}); correct it, and export anew") from error
    return Shape(title, exterior)
