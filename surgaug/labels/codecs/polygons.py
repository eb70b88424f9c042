"""Label maps drawn from annotation files of one frame each, Supervisely's and labelme's: polygons, discs, bitmaps.

Drawn as Cataract-1K's and as labelme draws them, lower depth first, outlines filled. What is called background cuts
holes into what was drawn before it. Formats:
docs.supervisely.com/data-organization/Annotation-JSON-format, github.com/wkentaro/labelme (labelme/utils/shape.py).
"""

from __future__ import annotations

import base64
import io
import json
import math
import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PureWindowsPath
from typing import Any, TypeVar

import numpy as np
from PIL import Image, ImageDraw

from surgaug.errors import DataError
from surgaug.io.images import MAX_PIXELS, image_size
from surgaug.labels.builtin_spaces import builtin_spaces, known_kinds, load_space
from surgaug.labels.class_file import distinct_color
from surgaug.labels.codec import DrawnCodec
from surgaug.labels.label_space import IGNORE_INDEX, LabelClass, LabelSpace

Content = TypeVar("Content")
Hole = TypeVar("Hole")
# The data set that comes as polygons; others share names with it.
_POLYGONS = "cataract1k"
# Of the eye's parts, what lies in front; everything else lies above them.
_EYE = ("skin", "sclera", "cornea", "iris", "pupil", "lens")


_BACKGROUND = ("background", "_background_")
IGNORED = "__ignore__"  # labelme's name for pixels that are not to be looked at
_UNCOVERED = 1 << 16  # above every id
_FARTHEST = 1e6  # pixels; a point that lies farther is no point of the frame
_AREAS = {"polygon", "rectangle", "circle", "bitmap", "mask"}


@dataclass(frozen=True, eq=False)
class Shape:
    """An object: class title as written, outline and holes as points (x, y) in pixels.

    bitmap: instead of an outline, bool [h, w] whose first pixel lies at `exterior[0]`. disc: `exterior` is its centre
    and a point on its edge. layer: where the tool says what lies above what; counts before the depth of the class.
    """

    title: str
    exterior: tuple[tuple[float, float], ...]
    holes: tuple[tuple[tuple[float, float], ...], ...] = ()
    bitmap: np.ndarray | None = None
    disc: bool = False
    layer: int = 0


@dataclass(frozen=True)
class PolygonCodec(DrawnCodec):
    """Draws annotation files as ids of `space`."""

    encoding: str = "polygons"

    def decode(self, path: Path) -> np.ndarray:
        """Ids [H, W]. Raises DataError for a damaged file or a title that is no class of the space."""
        hw, shapes = read_annotation(path)
        return draw(hw, shapes, self.space, path)

    def count_objects(self, path: Path) -> int | None:
        """The objects that a file lists."""
        try:
            return len(_content(path)[1])
        except DataError:
            return None


def read_annotation(path: Path) -> tuple[tuple[int, int], tuple[Shape, ...]]:
    """(H, W) and objects of an annotation file of Supervisely or labelme.

    Raises DataError: not such a file, an object without area, a size that cannot be.
    """
    parsed, objects = _content(path)
    hw = _size(parsed, path)
    if min(hw) < 1 or hw[0] * hw[1] > MAX_PIXELS:
        raise DataError(f"{path}: size {hw[0]}x{hw[1]}; it must be between 1 and {MAX_PIXELS:,} pixels")
    read = _labelme_shape if "shapes" in parsed else _supervisely_shape
    return hw, tuple(_checked(read, parsed, hw, path) for parsed in objects)


def draw(hw: tuple[int, int], shapes: Sequence[Shape], space: LabelSpace, path: Path) -> np.ndarray:
    """Objects as ids [H, W]: by layer, then depth of the class, then in the file's order; the rest is background.

    Raises DataError for a title that is no class of the space, an object that covers no pixel or is cut away whole, or
    if there is a rest and nothing can stand for it.
    """
    titles = {c.name: c for c in space.classes}
    placed = []
    holes: list[tuple[int, Image.Image]] = []
    for number, shape in enumerate(shapes):
        name = match_title(shape.title, titles)
        if is_background(shape.title if name is None else name):
            placed.append((shape.layer, 0, number, background_id(space, path), shape))
            holes.append((number, _stencil(shape, hw)))
        elif name is not None:
            placed.append((shape.layer, titles[name].depth, number, titles[name].id, shape))
        elif shape.title == IGNORED and space.ignore is not None:
            placed.append((shape.layer, max(c.depth for c in space.classes), number, space.ignore, shape))
        else:
            raise DataError(
                f"{path}: title {shape.title!r} is no class of the label space '{space.name}' "
                f"({', '.join(space.names)}); correct it, or name the classes with --classes FILE"
            )
    rest = background_id(space, path) if has_rest(space) else _UNCOVERED
    image = Image.new("I" if max(space.max_id, rest) > 255 else "L", hw[::-1], rest)
    for _, _, number, class_id, shape in sorted(placed, key=lambda p: p[:3]):
        stencil = _stencil(shape, hw)
        if stencil.getbbox() is None:
            raise DataError(f"{path}: {shape.title!r} covers no pixel of {hw[0]}x{hw[1]}; correct or remove it")
        for hole in behind(number, holes):
            stencil.paste(0, mask=hole)
        if stencil.getbbox() is None:
            raise DataError(f"{path}: {shape.title!r} lies whole under background drawn after it; remove one of them")
        image.paste(class_id, mask=stencil)
    if rest == _UNCOVERED and image.getextrema()[1] == _UNCOVERED:
        background_id(space, path)  # raises
    return np.asarray(image).astype(space.id_type)


def _stencil(shape: Shape, hw: tuple[int, int]) -> Image.Image:
    """The pixels of an object, an image of one bit."""
    stencil = Image.new("1", hw[::-1])
    pen = ImageDraw.Draw(stencil)
    if shape.bitmap is not None:
        x, y = shape.exterior[0]
        stencil.paste(Image.fromarray(shape.bitmap), (int(x), int(y)))
    elif shape.disc:
        (x, y), edge = shape.exterior
        radius = math.hypot(edge[0] - x, edge[1] - y)
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=1)
    else:
        pen.polygon(shape.exterior, fill=1)
    for hole in shape.holes:
        pen.polygon(hole, fill=0)
    return stencil


def is_background(title: str) -> bool:
    """Whether a region of that title means that there is nothing: of an object drawn before it, it is a hole."""
    return title.strip().lower() in _BACKGROUND


def behind(number: int, holes: Iterable[tuple[int, Hole]]) -> list[Hole]:
    """The holes that come behind `number` in the order of objects: those cut into the object of that number."""
    return [hole for own, hole in holes if own > number]


def match_title(title: str, names: Iterable[str]) -> str | None:
    """The class that a title means: the same but for case, or but for a number at its end (cornea1); None if none."""
    plain = title.strip().lower()
    by_lower = {name.lower(): name for name in names}
    return by_lower.get(plain) or by_lower.get(re.sub(r"[\s_-]*\d+$", "", plain))


def titles_in(paths: Sequence[Path]) -> list[str]:
    """All titles that occur in annotation files, sorted. Files that cannot be read are passed over here."""
    titles: set[str] = set()
    for path in paths:
        try:
            titles.update(_title(entry).strip() for entry in _content(path)[1])
        except (DataError, KeyError):
            continue
    return sorted(titles)


def space_of_titles(titles: Sequence[str], listed: bool = False) -> LabelSpace:
    """The built-in space (with a background) that has all titles; otherwise one of these titles, background 0.

    A title that is another one with a number at its end is that one; of titles that are `listed` somewhere as classes
    only in a built-in space. Titles that differ in their numbers alone (tool1, tool2) are classes of their own. The
    eye's parts get their natural depth, everything else lies above them.
    """
    named = [title for title in titles if title.lower() not in (IGNORED, *_BACKGROUND)]
    for space in map(load_space, sorted(builtin_spaces(), key=lambda name: name != _POLYGONS)):
        if "background" in space.names and named and _are_of(named, space.names):
            return replace(space, ignore=IGNORE_INDEX) if IGNORED in titles else space
    names: list[str] = []
    for title in sorted(titles, key=lambda t: (len(t), t)):
        same = title.strip().lower() in (name.lower() for name in names) if listed else match_title(title, names)
        if title.lower() not in ("", IGNORED, *_BACKGROUND) and not same:
            names.append(title)
    names.sort(key=lambda n: (_depth(n), n.lower()))
    kinds = known_kinds()
    classes = [LabelClass(0, "background", color=distinct_color(0))]
    for i, name in enumerate(names, 1):
        classes.append(LabelClass(i, name, kinds.get(name.lower(), "other"), distinct_color(i), _depth(name)))
    return LabelSpace("own classes", tuple(classes), IGNORE_INDEX if IGNORED in titles else None)


def _are_of(titles: Sequence[str], names: Sequence[str]) -> bool:
    """Whether all titles mean classes of these names, and none but numbers tell those apart that mean the same one."""
    by_name: dict[str | None, set[str]] = {}
    for title in titles:
        by_name.setdefault(match_title(title, names), set()).add(title.strip().lower())
    return None not in by_name and all(len(t) == 1 or str(name).lower() in t for name, t in by_name.items())


def has_rest(space: LabelSpace) -> bool:
    """Whether what no object covers has an id: background, or to be ignored."""
    return space.ignore is not None or any(name.lower() == "background" for name in space.names)


def background_id(space: LabelSpace, path: Path) -> int:
    """The id of what no polygon covers: the class named background, or the ignore id."""
    for c in space.classes:
        if c.name.lower() == "background":
            return c.id
    if space.ignore is None:
        raise DataError(
            f"{path}: the label space '{space.name}' has neither a class 'background' nor an ignore id for what no "
            "polygon covers; add one"
        )
    return space.ignore


def _depth(name: str) -> int:
    return _EYE.index(name.lower()) + 1 if name.lower() in _EYE else len(_EYE) + 1


def as_stamped(parse: Callable[[Path, int], Content], path: Path) -> Content:
    """`parse(path, stamp)` of a file, where the stamp is the time of its last change: a parser that caches its results
    by both reads a changed file anew. DataError where it cannot be read.
    """
    try:
        return parse(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def _content(path: Path) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]:
    """A file's content, and its objects. DataError: not a file of Supervisely's or labelme's."""
    return as_stamped(_parse, path)


@lru_cache(maxsize=256)
def _parse(path: Path, stamp: int) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]:
    try:
        parsed = json.loads(path.read_bytes().decode("utf-8-sig"))
        objects = parsed["shapes" if "shapes" in parsed else "objects"]
        if not isinstance(objects, list) or not all(isinstance(entry, Mapping) for entry in objects):
            raise TypeError("its objects are no list of tables")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"{error} missing" if isinstance(error, KeyError) else str(error)
        raise DataError(
            f"{path}: not a Supervisely annotation, nor labelme's ({reason}); restore or remove it"
        ) from error
    return parsed, objects


def _size(parsed: Mapping[str, Any], path: Path) -> tuple[int, int]:
    """(H, W) as the file says; labelme's older files leave it to their image."""
    try:
        if "shapes" not in parsed:
            return int(parsed["size"]["height"]), int(parsed["size"]["width"])
        if parsed.get("imageHeight") is not None and parsed.get("imageWidth") is not None:
            return int(parsed["imageHeight"]), int(parsed["imageWidth"])
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        reason = f"{error} missing" if isinstance(error, KeyError) else str(error)
        raise DataError(
            f"{path}: not a Supervisely annotation, nor labelme's ({reason}); restore or remove it"
        ) from error
    return image_size(path.parent / PureWindowsPath(str(parsed.get("imagePath") or path.stem)).name)


def _checked(read: Any, parsed: Mapping[str, Any], hw: tuple[int, int], path: Path) -> Shape:
    """An object, of those that have an area."""
    try:
        shape = read(parsed, hw, path)
        points = [p for outline in (shape.exterior, *shape.holes) for p in outline]
        if not all(math.isfinite(v) and abs(v) < _FARTHEST for p in points for v in p):
            raise ValueError("a point that is no number, or far outside")
    except (ValueError, KeyError, TypeError, IndexError, OverflowError) as error:
        reason = f"{error} missing" if isinstance(error, KeyError) else str(error)
        raise DataError(
            f"{path}: not a Supervisely annotation, nor labelme's ({reason}); restore or remove it"
        ) from error
    return shape


def _title(parsed: Mapping[str, Any]) -> str:
    return str(parsed["classTitle"] if "classTitle" in parsed else parsed["label"])


def _supervisely_shape(parsed: Mapping[str, Any], hw: tuple[int, int], path: Path) -> Shape:
    title, geometry = _title(parsed), parsed["geometryType"]
    _refuse_without_area(title, geometry, path)
    if geometry == "bitmap":
        if "bitmap" not in parsed:
            raise DataError(f"{path}: {title!r} is a bitmap without its pixels; restore or remove it")
        x, y = parsed["bitmap"]["origin"]
        packed = base64.b64decode(parsed["bitmap"]["data"], validate=True)
        return Shape(title, ((int(x), int(y)),), bitmap=_bitmap(_unpacked(packed, hw), hw, title, path))
    exterior, interior = _points(parsed["points"]["exterior"]), parsed["points"].get("interior") or ()
    return _outlined(title, geometry, exterior, tuple(_points(hole) for hole in interior), path)


def _labelme_shape(parsed: Mapping[str, Any], hw: tuple[int, int], path: Path) -> Shape:
    title, geometry = _title(parsed), parsed.get("shape_type") or "polygon"
    _refuse_without_area(title, geometry, path)
    points = _points(parsed["points"])
    if geometry == "mask":
        packed = base64.b64decode(parsed["mask"], validate=True)
        return Shape(title, points[:1], bitmap=_bitmap(packed, hw, title, path))
    return _outlined(title, geometry, points, (), path)


def _refuse_without_area(title: str, geometry: Any, path: Path) -> None:
    if geometry not in _AREAS:
        raise DataError(
            f"{path}: {title!r} is a {geometry}; polygons, rectangles, discs and bitmaps can be drawn. Export it as a "
            "polygon, or remove it"
        )


def _outlined(title: str, geometry: str, points: tuple[tuple[float, float], ...], holes: Any, path: Path) -> Shape:
    if geometry == "rectangle" and len(points) == 2:
        (left, top), (right, bottom) = points
        points = ((left, top), (right, top), (right, bottom), (left, bottom))
    if len(points) < (2 if geometry == "circle" else 3):
        raise DataError(f"{path}: {title!r} has {len(points)} points; a polygon has 3 or more. Correct or remove it")
    if any(len(hole) < 3 for hole in holes):
        raise DataError(f"{path}: {title!r} has a hole of less than 3 points. Correct or remove it")
    return Shape(title, points, holes, disc=geometry == "circle")


def _points(parsed: Sequence[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in parsed)


def _unpacked(packed: bytes, hw: tuple[int, int]) -> bytes:
    """What zlib packed, as far as a bitmap of this size can need it."""
    most = 8 * hw[0] * hw[1] + 65536
    unpacker = zlib.decompressobj()
    try:
        found = unpacker.decompress(packed, most)
    except zlib.error as error:
        raise ValueError(f"a damaged bitmap: {error}") from None
    if not unpacker.eof:
        raise ValueError("a bitmap that breaks off, or is larger than the frame")
    return found


def _bitmap(content: bytes, hw: tuple[int, int], title: str, path: Path) -> np.ndarray:
    """bool [h, w] of a bitmap's image file: where it is opaque, or without transparency, where it is not 0."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.height > hw[0] or image.width > hw[1]:
                raise ValueError(f"the bitmap of {title!r} is larger than its frame")
            image.load()
            if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
                return np.asarray(image.convert("RGBA"))[..., 3] > 0
            if image.mode in ("1", "L", "P", "I;16", "I"):
                return np.asarray(image) > 0
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"the bitmap of {title!r} cannot be read: {error}") from None
    raise DataError(f"{path}: the bitmap of {title!r} is coloured and without transparency; export it anew")
