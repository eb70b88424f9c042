"""COCO annotations: label maps from instances (polygons or run lengths) and from panoptic PNGs, and back.

Format: cocodataset.org/#format-data. A panoptic PNG holds segment ids as R + 256 G + 65536 B; 0 is unlabelled. Here a
segment id is 1000 (class index + 1) + number of the object, so that a PNG can be read by itself.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw
from pycocotools import mask as pycoco

from surgaug.errors import DataError
from surgaug.io.images import MAX_PIXELS, read_image
from surgaug.labels.codec import DrawnCodec
from surgaug.labels.codecs.polygons import as_stamped, background_id, behind, is_background, match_title
from surgaug.labels.label_space import LabelSpace

_KEYS = (b'"annotations"', b'"categories"', b'"images"')
OBJECTS = 1000  # segment ids a class
# Its Supervisely files fill the pixels that an outline runs through; so its COCO files are drawn like them.
_OUTLINE_FILLED = "cataract1k"


@dataclass(frozen=True)
class CocoImage:
    """An image entry with its annotations. fault: why it cannot be used; None if it can."""

    name: str
    file_name: str
    hw: tuple[int, int] | None
    annotations: tuple[Mapping[str, Any], ...] = ()
    fault: str | None = None


@dataclass(frozen=True)
class CocoFile:
    """A COCO annotation file. Ids are compared as text, since some tools write numbers and others "7".

    categories: name by id; a category that only groups others, and that nothing is annotated with, is left out.
    images: by name, which is the stem of the file name, with its folders before it where two share a stem.
    strays: of each annotation that belongs to no image, what is wrong.
    """

    path: Path
    panoptic: bool
    categories: Mapping[str, str]
    images: Mapping[str, CocoImage]
    strays: tuple[str, ...]


def segment_map(label_map: np.ndarray, space: LabelSpace) -> np.ndarray:
    """Ids [H, W] to segment ids int32 [H, W]: every connected part of an instrument class is an object of its own, the
    largest first; any other class is one segment. 0 where there is no label."""
    index_map = space.to_index(label_map)
    segments = np.zeros(label_map.shape, np.int32)
    for k, c in enumerate(space.classes):
        own = index_map == k
        if not own.any():
            continue
        segments[own] = OBJECTS * (k + 1)
        if c.kind == "instrument":
            count, parts, stats, _ = cv2.connectedComponentsWithStats(own.view(np.uint8), connectivity=8)
            order = 1 + np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable")
            number = np.zeros(count, np.int32)
            number[order] = np.minimum(np.arange(count - 1), OBJECTS - 1)
            segments[own] += number[parts[own]]
    return segments


def to_rgb(segments: np.ndarray) -> np.ndarray:
    """Segment ids [H, W] to a panoptic PNG's channels, uint8 [H, W, 3]."""
    return np.stack([segments & 255, segments >> 8 & 255, segments >> 16 & 255], axis=-1).astype(np.uint8)


def from_rgb(image: np.ndarray) -> np.ndarray:
    """The inverse of `to_rgb`, int32 [H, W]."""
    wide = image.astype(np.int32)
    return wide[..., 0] | wide[..., 1] << 8 | wide[..., 2] << 16


def is_coco(path: Path) -> bool:
    """Whether a JSON file looks like COCO annotations, without parsing it."""
    if path.name in ("dataset.json", "surgaug.json", "classes.json", "splits_final.json") or path.parent.name == "ann":
        return False
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    return all(key in content for key in _KEYS)


def read_coco(path: Path) -> CocoFile:
    """A COCO annotation file. DataError: not JSON, not of COCO's form, or ids that contradict each other."""
    return as_stamped(_read_coco, path)


@lru_cache(maxsize=32)
def _read_coco(path: Path, stamp: int) -> CocoFile:
    try:
        parsed = json.loads(path.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error}); restore it") from error
    entries = {key: _entries(parsed, key, path) for key in ("images", "annotations", "categories")}
    panoptic = any("segments_info" in a for a in entries["annotations"])
    ids = [_id(image, "id", f"{path}: image {number}") for number, image in enumerate(entries["images"])]
    of_image: dict[str, list[Mapping[str, Any]]] = {key: [] for key in ids}
    if len(of_image) < len(ids):
        raise DataError(f"{path}: two images have the id {Counter(ids).most_common(1)[0][0]}; give each its own")
    strays = []
    for number, annotation in enumerate(entries["annotations"]):
        where = f"{path}: annotation {annotation.get('id', number)}"
        image_id = _id(annotation, "image_id", where)
        if image_id in of_image:
            of_image[image_id].append(annotation)
        else:
            strays.append(f"{where} belongs to image {image_id}, which the file does not list")
    categories = _categories(entries, path)
    images = _named_images(entries["images"], of_image, path, panoptic)
    return CocoFile(path, panoptic, categories, {image.name: image for image in images}, tuple(strays))


def _entries(parsed: Any, key: str, path: Path) -> list[Mapping[str, Any]]:
    found = parsed.get(key) if isinstance(parsed, Mapping) else None
    if not isinstance(found, list) or not all(isinstance(entry, Mapping) for entry in found):
        raise DataError(f"{path}: not a COCO annotation file: '{key}' is no list of tables")
    return found


def _id(entry: Mapping[str, Any], key: str, where: str) -> str:
    """An id as text: 7, 7.0 and "7" are the same."""
    value = entry.get(key)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise DataError(f"{where}: {key} is {value!r}; a number is expected")
    return str(value).strip()


def _categories(entries: Mapping[str, Sequence[Mapping[str, Any]]], path: Path) -> dict[str, str]:
    names: dict[str, str] = {}
    for number, category in enumerate(entries["categories"]):
        key, name = _id(category, "id", f"{path}: category {number}"), category.get("name")
        if not isinstance(name, (str, int)) or not str(name).strip():
            raise DataError(f"{path}: category {key} has no name; give it one")
        if names.setdefault(key, str(name).strip()) != str(name).strip():
            raise DataError(f"{path}: category {key} is both {names[key]!r} and {name!r}; give each its own id")
    parts = [p for a in entries["annotations"] for p in objects_of(a)]
    used = {str(part.get("category_id")) for part in parts}
    groups = {str(c.get("supercategory")) for c in entries["categories"] if c.get("supercategory") != c.get("name")}
    return {key: name for key, name in names.items() if name not in groups or key in used}


def objects_of(annotation: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The objects of an annotation: itself, or its segments."""
    if "segments_info" not in annotation:
        return [annotation]
    segments = annotation["segments_info"]
    return [s for s in segments if isinstance(s, Mapping)] if isinstance(segments, list) else []


def _named_images(
    entries: Sequence[Mapping[str, Any]], of_image: Mapping[str, list[Mapping[str, Any]]], path: Path, panoptic: bool
) -> list[CocoImage]:
    files = []
    for entry in entries:
        file_name = entry.get("file_name")
        if not isinstance(file_name, str) or not PurePosixPath(file_name.replace("\\", "/")).name:
            raise DataError(f"{path}: image {entry.get('id')} has no file_name; correct it")
        files.append(PurePosixPath(file_name.replace("\\", "/")))
    stems = Counter(file.stem for file in files)
    names = [
        file.stem if stems[file.stem] == 1 else "_".join(p for p in file.with_suffix("").parts if p not in ("/", ".."))
        for file in files
    ]
    named, times = Counter(names), Counter(files)
    found = []
    for entry, file, name in zip(entries, files, names, strict=True):
        fault = None
        if named[name] > 1:
            name = f"{name}_{file.suffix[1:]}_{_id(entry, 'id', str(path))}"
        if times[file] > 1:
            fault = f"{path}: {file} is listed {times[file]} times; give each image one entry"
        elif panoptic and len(of_image[_id(entry, "id", str(path))]) > 1:
            fault = f"{path}: {file} has several lists of segments; keep one"
        hw = _size(entry)
        annotations = tuple(of_image[_id(entry, "id", str(path))])
        found.append(CocoImage(name, file.as_posix(), hw, annotations, fault))
    return found


def _size(entry: Mapping[str, Any]) -> tuple[int, int] | None:
    h, w = entry.get("height"), entry.get("width")
    try:
        return (int(h), int(w)) if h is not None and w is not None else None
    except (TypeError, ValueError, OverflowError):
        return None


@dataclass(frozen=True)
class PanopticCodec(DrawnCodec):
    """Decodes panoptic PNGs. tables: for each file, class id by segment id, or why the file cannot be used."""

    encoding: str = "panoptic"
    tables: Mapping[Path, Mapping[int, int] | str] = field(default_factory=dict, repr=False)

    def decode(self, path: Path) -> np.ndarray:
        """Ids [H, W]. Raises DataError: unreadable, a segment that the annotation file does not name."""
        table = self.tables[path]
        if isinstance(table, str):
            raise DataError(table)
        segments = from_rgb(read_image(path))
        present, inverse = np.unique(segments, return_inverse=True)
        if unknown := [int(s) for s in present if s and int(s) not in table]:
            raise DataError(f"{path}: segment {unknown[0]} is not named in the annotation file")
        if not present[0] and self.space.ignore is None:
            raise DataError(f"{path}: has unlabelled pixels, and the label space '{self.space.name}' has no ignore id")
        ids: np.ndarray = np.array([table[int(s)] if s else self.space.ignore for s in present], self.space.id_type)
        return ids[inverse].reshape(segments.shape)


def segment_classes(coco: CocoFile, image: CocoImage, space: LabelSpace) -> Mapping[int, int] | str:
    """Class id by segment id of one image, or why there is none (see `PanopticCodec`)."""
    if image.fault:
        return image.fault
    found = {}
    for annotation in image.annotations:
        if not isinstance(annotation.get("segments_info"), list):
            return f"{coco.path}: {image.file_name} has an annotation without segments_info"
        for segment in annotation["segments_info"]:
            try:
                if not isinstance(segment, Mapping):
                    raise DataError(f"{coco.path}: {image.file_name} has a segment that is no table")
                number = int(_id(segment, "id", f"{coco.path}: a segment of {image.file_name}"))
                found[number] = _class_of(segment, coco, space, f"segment {number} of {image.file_name}")
            except (DataError, ValueError) as error:
                return str(error) if isinstance(error, DataError) else f"{coco.path}: {image.file_name}: {error}"
    return found


@dataclass(frozen=True)
class InstancesCodec(DrawnCodec):
    """Draws the objects of an instances file, lower depth first, then in the file's order; by FILE.json/NAME.

    A category called background cuts holes into what stands before it.
    """

    encoding: str = "instances"

    def decode(self, path: Path) -> np.ndarray:
        """Ids [H, W]. Raises DataError: a category that is no class of the space, an object without a mask, with one
        that does not fit its image, or that is cut away whole."""
        coco = read_coco(path.parent)
        image = coco.images[path.name]
        if image.fault:
            raise DataError(image.fault)
        hw = image.hw
        if hw is None or min(hw) < 1 or hw[0] * hw[1] > MAX_PIXELS:
            size = f"size {hw[0]}x{hw[1]}" if hw else "no height and width"
            raise DataError(f"{path}: {size}; they must be between 1 and {MAX_PIXELS:,} pixels")
        placed = []
        for number, annotation in enumerate(image.annotations):
            what = f"annotation {annotation.get('id', number)} of {image.file_name}"
            class_id = _class_of(annotation, coco, self.space, what)
            try:
                shape = _bitmap(annotation, hw, self.space.name == _OUTLINE_FILLED)
            except DataError as error:
                raise DataError(f"{path.parent}: {what} ({self.space.by_id(class_id).name}) {error}") from None
            placed.append((self.space.by_id(class_id).depth, number, class_id, shape))
        ids: np.ndarray = np.full(hw, background_id(self.space, path.parent), self.space.id_type)
        holes = [(k, shape) for _, k, class_id, shape in placed if is_background(self.space.by_id(class_id).name)]
        for _, number, class_id, shape in sorted(placed, key=lambda p: p[:2]):
            for hole in behind(number, holes):
                shape = shape & ~hole
            if not shape.any():
                raise DataError(
                    f"{path.parent}: an object of {image.file_name} ({self.space.by_id(class_id).name}) lies whole "
                    "under background that stands after it; remove one of them"
                )
            ids[shape] = class_id
        return ids

    def count_objects(self, path: Path) -> int:
        """The annotations of an image."""
        return len(read_coco(path.parent).images[path.name].annotations)


def _class_of(entry: Mapping[str, Any], coco: CocoFile, space: LabelSpace, what: str) -> int:
    category = _id(entry, "category_id", f"{coco.path}: {what}")
    if category not in coco.categories:
        raise DataError(f"{coco.path}: {what} has the category {category}, which the file does not list; correct it")
    title = coco.categories[category]
    name = match_title(title, space.names)
    if name is None:
        raise DataError(f"{coco.path}: category {title!r} is no class of the label space '{space.name}'")
    return space.ids[space.names.index(name)]


def _bitmap(annotation: Mapping[str, Any], hw: tuple[int, int], fill_outline: bool) -> np.ndarray:
    """bool [H, W] of an annotation's segmentation. DataError, whose message does not name the file, where it is none or
    covers nothing."""
    shape = annotation.get("segmentation")
    if not shape:
        raise DataError("has a box and no mask; draw it, or remove it")
    if isinstance(shape, Mapping):
        return _run_lengths(shape, hw)
    try:
        polygons = [np.array(polygon, np.float64).ravel() for polygon in shape]
    except (TypeError, ValueError):
        raise DataError("has a segmentation that is no list of numbers; correct or remove it") from None
    for polygon in polygons:
        if len(polygon) % 2 or len(polygon) < 6 or not np.isfinite(polygon).all() or abs(polygon).max() > 1e6:
            raise DataError(f"has a polygon of {len(polygon)} numbers; 3 corners or more are needed, x and y of each")
    if fill_outline:
        canvas = Image.new("1", hw[::-1])
        pen = ImageDraw.Draw(canvas)
        for polygon in polygons:
            pen.polygon(polygon.tolist(), fill=1)
        found = np.asarray(canvas)
    else:
        found = pycoco.decode(pycoco.merge(pycoco.frPyObjects([p.tolist() for p in polygons], *hw))).view(bool)
    if not found.any():
        raise DataError(f"covers no pixel of its image ({hw[0]}x{hw[1]}); correct or remove it")
    return found


def _run_lengths(shape: Mapping[str, Any], hw: tuple[int, int]) -> np.ndarray:
    """bool [H, W] of run lengths. Not by pycocotools: where they are too short, it returns what its memory holds."""
    size, counts = shape.get("size"), shape.get("counts")
    if size != list(hw):
        raise DataError(f"has run lengths of the size {size}, its image {hw[0]}x{hw[1]}; correct it")
    if isinstance(counts, str):
        runs = _uncompressed(counts)
    elif isinstance(counts, list) and all(type(n) is int for n in counts):
        runs = counts
    else:
        raise DataError("has run lengths that are neither a list of numbers nor text; correct or remove it")
    if any(n < 0 for n in runs) or sum(runs) != hw[0] * hw[1]:
        raise DataError(f"has run lengths over {sum(runs)} of {hw[0] * hw[1]} pixels; correct or remove it")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(hw[::-1]).T


def _uncompressed(text: str) -> list[int]:
    """Run lengths from COCO's text. A character, less 48, holds 5 bits of a number, and its bit 6 says that more
    follow. Every number but the first three is stored as its difference to the last but one."""
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise DataError(f"has run lengths with the character {character!r}; correct or remove it")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    if shift:
        raise DataError("has run lengths that break off; correct or remove it")
    return runs
