"""COCO annotations: label maps from instances (polygons or RLE) and from panoptic PNGs, and back.

Format: cocodataset.org/#format-data. A panoptic PNG holds segment ids as R + 256 G + 65536 B; 0 is unlabelled. Here a
segment id is 1000 (class index + 1) + number of the object, so that a PNG can be read by itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw
from pycocotools import mask as masks

from surgaug.errors import DataError
from surgaug.io.images import MAX_PIXELS, read_image
from surgaug.labels.codec import DrawnCodec
from surgaug.labels.codecs.polygons import Shape, background_id, match_title
from surgaug.labels.label_space import LabelSpace

_KEYS = (b'"annotations"', b'"categories"', b'"images"')
OBJECTS = 1000  # segment ids a class


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
    content = path.read_bytes()
    return all(key in content for key in _KEYS)


def read_json(path: Path) -> Mapping[str, Any]:
    """A COCO annotation file. DataError: not JSON, or not of COCO's form."""
    return _read_json(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=32)
def _read_json(path: Path, stamp: int) -> Mapping[str, Any]:
    try:
        parsed = json.loads(path.read_text(encoding="utf-8"))
        _ = parsed["images"], parsed["annotations"], parsed["categories"]
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a COCO annotation file ({error})") from error
    return parsed


def category_names(parsed: Mapping[str, Any]) -> dict[int, str]:
    """Category name by id."""
    return {int(c["id"]): str(c["name"]).strip() for c in parsed["categories"]}


@dataclass(frozen=True)
class PanopticCodec(DrawnCodec):
    """Decodes panoptic PNGs; `tables`: class id by segment id, for each file."""

    encoding: str = "panoptic"
    tables: Mapping[Path, Mapping[int, int]] = field(default_factory=dict, repr=False)

    def decode(self, path: Path) -> np.ndarray:
        """Ids [H, W]. Raises DataError: unreadable, a segment that the annotation file does not name."""
        segments = from_rgb(read_image(path))
        present, inverse = np.unique(segments, return_inverse=True)
        table = self.tables[path]
        if unknown := [int(s) for s in present if s and int(s) not in table]:
            raise DataError(f"{path}: segment {unknown[0]} is not named in the annotation file")
        if not present[0] and self.space.ignore is None:
            raise DataError(f"{path}: has unlabelled pixels, and the label space '{self.space.name}' has no ignore id")
        ids: np.ndarray = np.array([table[int(s)] if s else self.space.ignore for s in present], self.dtype)
        return ids[inverse].reshape(segments.shape)


@dataclass(frozen=True)
class InstancesCodec(DrawnCodec):
    """Draws the objects of an instances file, lower depth first, then in the file's order; by FILE.json/NAME."""

    encoding: str = "instances"

    def decode(self, path: Path) -> np.ndarray:
        """Ids [H, W]. Raises DataError: a category that is no class of the space, a segmentation that cannot be."""
        image, annotations = images_of(path.parent)[path.name]
        hw, names = (int(image["height"]), int(image["width"])), category_names(read_json(path.parent))
        if min(hw) < 1 or hw[0] * hw[1] > MAX_PIXELS:
            raise DataError(f"{path}: size {hw[0]}x{hw[1]}; it must be between 1 and {MAX_PIXELS:,} pixels")
        classes = {c.name: c for c in self.space.classes}
        placed = []
        for annotation in annotations:
            title = names.get(int(annotation["category_id"]), "")
            name = match_title(title, classes)
            if name is None:
                raise DataError(f"{path.parent}: category {title!r} is no class of the label space '{self.space.name}'")
            placed.append((classes[name], annotation["segmentation"]))
        ids: np.ndarray = np.full(hw, background_id(self.space, path.parent), self.dtype)
        for c, shape in sorted(placed, key=lambda p: p[0].depth):
            ids[_bitmap(shape, hw, path)] = c.id
        return ids


def images_of(path: Path) -> dict[str, tuple[Mapping[str, Any], list[Mapping[str, Any]]]]:
    """Image entries of an instances file with their annotations, by the stem of the image's file name."""
    return _images_of(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=32)
def _images_of(path: Path, stamp: int) -> dict[str, tuple[Mapping[str, Any], list[Mapping[str, Any]]]]:
    parsed = read_json(path)
    by_id: dict[Any, tuple[Any, list[Any]]] = {image["id"]: (image, []) for image in parsed["images"]}
    for annotation in parsed["annotations"]:
        if annotation["image_id"] in by_id:
            by_id[annotation["image_id"]][1].append(annotation)
    return {Path(image["file_name"]).stem: (image, own) for image, own in by_id.values()}


def _bitmap(shape: Any, hw: tuple[int, int], path: Path) -> np.ndarray:
    """bool [H, W] of a COCO segmentation."""
    try:
        if isinstance(shape, Mapping):
            rle = masks.frPyObjects(shape, *hw) if isinstance(shape["counts"], list) else shape
            found = masks.decode(rle).astype(bool)
        else:
            polygons = [Shape("x", tuple(zip(p[0::2], p[1::2], strict=True))) for p in shape]
            found = _filled(polygons, hw)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: a segmentation cannot be read ({error}); correct or remove it") from error
    if found.shape != hw:
        raise DataError(f"{path}: a segmentation is {found.shape[0]}x{found.shape[1]}, its image {hw[0]}x{hw[1]}")
    return found


def _filled(polygons: Sequence[Shape], hw: tuple[int, int]) -> np.ndarray:
    """bool [H, W]. Not pycocotools: its fill leaves out the last row and column of pixels that an outline runs through,
    which Cataract-1K's own drawing, and that of its Supervisely files, fills."""
    image = Image.new("1", hw[::-1])
    pen = ImageDraw.Draw(image)
    for polygon in polygons:
        pen.polygon(polygon.exterior, fill=1)
    return np.asarray(image)
