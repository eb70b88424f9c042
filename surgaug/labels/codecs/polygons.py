"""Label maps as polygons (Supervisely's JSON annotations), drawn as Cataract-1K's are: lower depth first."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from surgaug.errors import DataError
from surgaug.io.images import MAX_PIXELS
from surgaug.labels.builtin_spaces import builtin_spaces, known_kinds, load_space
from surgaug.labels.class_file import distinct_color
from surgaug.labels.codec import DrawnCodec
from surgaug.labels.label_space import LabelClass, LabelSpace

# The data set that comes as polygons; others share names with it.
_POLYGONS = "cataract1k"
# Of the eye's parts, what lies in front; everything else lies above them.
_EYE = ("skin", "sclera", "cornea", "iris", "pupil", "lens")


@dataclass(frozen=True)
class Shape:
    """A polygon: class title as written, outline and holes as points (x, y) in pixels."""

    title: str
    exterior: tuple[tuple[float, float], ...]
    holes: tuple[tuple[tuple[float, float], ...], ...] = ()


@dataclass(frozen=True)
class PolygonCodec(DrawnCodec):
    """Draws annotation files of polygons as ids of `space`."""

    encoding: str = "polygons"

    def decode(self, path: Path) -> np.ndarray:
        """Ids [H, W]. Raises DataError for a damaged file or a title that is no class of the space."""
        hw, shapes = read_annotation(path)
        return draw(hw, shapes, self.space, path)


def read_annotation(path: Path) -> tuple[tuple[int, int], tuple[Shape, ...]]:
    """(H, W) and polygons of a Supervisely annotation file (rectangles become polygons).

    Raises DataError: not such a file, another geometry, a size that cannot be.
    """
    try:
        parsed = json.loads(path.read_text(encoding="utf-8"))
        hw = int(parsed["size"]["height"]), int(parsed["size"]["width"])
        shapes = tuple(_shape(o, path) for o in parsed["objects"])
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        reason = f"{error} missing" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{path}: not a Supervisely annotation ({reason}); restore or remove it") from error
    if min(hw) < 1 or hw[0] * hw[1] > MAX_PIXELS:
        raise DataError(f"{path}: size {hw[0]}x{hw[1]}; it must be between 1 and {MAX_PIXELS:,} pixels")
    return hw, shapes


def draw(hw: tuple[int, int], shapes: Sequence[Shape], space: LabelSpace, path: Path) -> np.ndarray:
    """Polygons as ids [H, W]: by depth of the class, then in the file's order; the rest is background.

    Raises DataError for a title that is no class of the space, or if nothing can stand for the rest.
    """
    titles = {c.name: c for c in space.classes}
    placed = []
    for shape in shapes:
        name = match_title(shape.title, titles)
        if name is None:
            raise DataError(
                f"{path}: title {shape.title!r} is no class of the label space '{space.name}' "
                f"({', '.join(space.names)}); correct it, or name the classes with --classes FILE"
            )
        placed.append((titles[name].depth, titles[name].id, shape))
    image = Image.new("I" if space.max_id > 255 else "L", hw[::-1], background_id(space, path))
    pen = ImageDraw.Draw(image)
    for _, class_id, shape in sorted(placed, key=lambda p: p[0]):
        if not shape.holes:
            pen.polygon(shape.exterior, fill=class_id)
            continue
        stencil = Image.new("1", image.size)
        cutter = ImageDraw.Draw(stencil)
        cutter.polygon(shape.exterior, fill=1)
        for hole in shape.holes:
            cutter.polygon(hole, fill=0)
        image.paste(class_id, mask=stencil)
    return np.asarray(image).astype(np.uint8 if space.max_id < 256 else np.uint16)


def match_title(title: str, names: Iterable[str]) -> str | None:
    """The class that a title means: the same but for case, or but for a number at its end (cornea1); None if none."""
    wanted = title.strip().lower()
    by_lower = {name.lower(): name for name in names}
    return by_lower.get(wanted) or by_lower.get(re.sub(r"[\s_-]*\d+$", "", wanted))


def titles_in(paths: Sequence[Path]) -> list[str]:
    """All titles that occur in annotation files, sorted. Files that cannot be read are passed over here."""
    titles: set[str] = set()
    for path in paths:
        try:
            titles.update(shape.title.strip() for shape in read_annotation(path)[1])
        except DataError:
            continue
    return sorted(titles)


def space_of_titles(titles: Sequence[str]) -> LabelSpace:
    """The built-in space (with a background) that has all titles; otherwise one of these titles, background 0.

    A title that is another one with a number at its end is that one. The eye's parts get their natural depth,
    everything else lies above them.
    """
    for space in map(load_space, sorted(builtin_spaces(), key=lambda name: name != _POLYGONS)):
        if "background" in space.names and titles and all(match_title(t, space.names) for t in titles):
            return space
    names: list[str] = []
    for title in sorted(titles, key=lambda t: (len(t), t)):
        if title.lower() not in ("", "background") and match_title(title, names) is None:
            names.append(title)
    names.sort(key=lambda n: (_depth(n), n.lower()))
    kinds = known_kinds()
    classes = [LabelClass(0, "background", color=distinct_color(0))]
    for i, name in enumerate(names, 1):
        classes.append(LabelClass(i, name, kinds.get(name.lower(), "other"), distinct_color(i), _depth(name)))
    return LabelSpace("supervisely", tuple(classes))


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


def _shape(parsed: dict[str, Any], path: Path) -> Shape:
    title, geometry = parsed["classTitle"], parsed["geometryType"]
    if geometry not in ("polygon", "rectangle"):
        raise DataError(
            f"{path}: {title!r} is a {geometry}; polygons and rectangles can be drawn. Export it as a polygon"
        )
    exterior = _points(parsed["points"]["exterior"])
    if geometry == "rectangle":
        (left, top), (right, bottom) = exterior
        exterior = ((left, top), (right, top), (right, bottom), (left, bottom))
    if len(exterior) < 2:
        raise DataError(f"{path}: {title!r} has {len(exterior)} points; a polygon has 3 or more. Correct or remove it")
    return Shape(str(title), exterior, tuple(_points(hole) for hole in parsed["points"]["interior"]))


def _points(parsed: Sequence[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in parsed)
