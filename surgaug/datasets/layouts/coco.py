"""COCO: annotations/instances_SPLIT.json, and panoptic_SPLIT.json with PNGs in panoptic_SPLIT.

Read: any instances file (categories are matched by name, so that files that number them differently agree) with the
images in the usual places, or panoptic files with their PNGs. The split is that of the file's name or of its folder's.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as pycoco

from surgaug.datasets.item import Item, WrittenItem, can_be_a_path, inside
from surgaug.datasets.pairing import items_of_split, natural, not_named, refuse_shared_images, split_among
from surgaug.datasets.stored_ids import BACKGROUND, read_description
from surgaug.datasets.stored_ids import plain_values as values
from surgaug.errors import DataError
from surgaug.io.atomic import write_text
from surgaug.io.images import read_image
from surgaug.labels.codec import DrawnCodec
from surgaug.labels.codecs.coco import (
    OBJECTS,
    CocoFile,
    CocoImage,
    InstancesCodec,
    PanopticCodec,
    from_rgb,
    is_coco,
    read_coco,
    segment_classes,
    segment_map,
    to_rgb,
)
from surgaug.labels.codecs.polygons import space_of_titles
from surgaug.labels.label_space import IGNORE_INDEX, LabelSpace
from surgaug.labels.space_detection import class_file_space
from surgaug.runtime.parallel import in_threads

__all__ = ["codec", "decode", "encode", "finish", "matches", "paths", "read", "strays", "unread", "values"]

_CATARACT1K = "Images-and-Supervisely-Annotations"  # where Cataract-1K keeps the images of its Coco-Annotations
NO_IGNORE = "has no value for them: they are in no object, and its trainers take them for background"
NO_PALETTE = "whose label files are RGB (panoptic PNGs)"
_BETTER = (("instances", "panoptic"), ("person_keypoints", "instances"), ("person_keypoints", "panoptic"))
_NOT_VIDEOS = ("annotations", "annotation", "images", "coco_json")
# Label Studio names files by where they lie on its server: /data/upload/4/1f2e3d4c-NAME.png.
_ON_A_SERVER = re.compile(r"(^|/)(label-studio|upload)/")


def matches(root: Path) -> bool:
    """Whether COCO annotation files stand in `root`, in its folders, or in their folders `annotations`."""
    return any(True for _ in _files(root))


def read(root: Path, *, split: str | None = None) -> list[Item]:
    """The images of all annotation files. The split is that of the file's name (instances_val2017) or of a folder above
    it (valid/_annotations.coco.json); the video is the name of another folder, where each has its own file.

    Raises DataError: no image of the split, an image named by two files or entries, a damaged file.
    """
    items: list[Item] = []
    sources: list[Path] = []
    sound: list[bool] = []
    for path in _files(root):
        own, video = _split_of(root, path), _video_of(root, path)
        coco = read_coco(path)
        for image in coco.images.values():
            items.append(Item(image.name, _image(root, path, image.file_name), _label(coco, image), video, own))
            sources.append(path)
            sound.append(image.fault is None)
    names = Counter(item.name for item in items)
    if max(names.values(), default=0) > 1:
        _refuse_twice(items, sources)
        items = [replace(item, name=_longer_name(item)) for item in items]
        _refuse_twice(items, sources, by_name=True)
    read_once = [item for item, good in zip(items, sound, strict=True) if good]
    refuse_shared_images(read_once, "keep the folders that images have in their file names")
    items = items_of_split(items, split, f"{root}: no annotation file of the split '{split}'")
    return sorted(items, key=lambda item: natural(item.name))


def codec(root: Path, items: Sequence[Item], given: LabelSpace | None) -> DrawnCodec:
    """Decodes by category name; without `given`, the space is that of a description or class file, the built-in one
    with these names, or one made of the names and a background. DataError: instances beside panoptic files."""
    files = [read_coco(path) for path in _files(root)]
    declared = read_description([root])
    names = sorted({name for coco in files for name in coco.categories.values()})
    space = given or (declared.space if declared else class_file_space([root])) or space_of_titles(names, listed=True)
    if not any(coco.panoptic for coco in files):
        return InstancesCodec(space)
    if plain := [coco.path for coco in files if not coco.panoptic and coco.images]:
        raise DataError(f"{plain[0]}: holds instances, and other files of {root} panoptic segments; keep one kind")
    tables = {
        label: segment_classes(coco, image, space)
        for coco in files
        for image in coco.images.values()
        if (label := _label(coco, image)) is not None
    }
    return PanopticCodec(space, tables=tables)


def strays(root: Path) -> list[str]:
    """Of each annotation that belongs to no image, what is wrong."""
    return [line for path in _files(root) for line in read_coco(path).strays]


def unread(root: Path, items: Sequence[Item]) -> list[Path]:
    """Image files beside those of the items that no annotation file names."""
    return not_named(items)


def paths(frame: WrittenItem) -> tuple[str, str]:
    """SPLIT/NAME.png and panoptic_SPLIT/NAME.png."""
    split = frame.split or "train"
    return f"{split}/{frame.name}.png", f"panoptic_{split}/{frame.name}.png"


def encode(label_map: np.ndarray, space: LabelSpace) -> np.ndarray:
    """Ids [H, W] to a panoptic PNG's channels, uint8 [H, W, 3]."""
    return to_rgb(segment_map(label_map, space))


def decode(path: Path, space: LabelSpace) -> np.ndarray:
    """The inverse of `encode`, from a file."""
    index_map = from_rgb(read_image(path)) // OBJECTS - 1
    return space.to_ids(np.where(index_map < 0, IGNORE_INDEX, index_map))


def finish(root: Path, frames: Sequence[WrittenItem], space: LabelSpace) -> None:
    """The instances and the panoptic file of each split. Category ids are 1 to K; background is no instance."""
    categories = [
        {"id": k, "name": c.name, "supercategory": c.kind, "isthing": int(c.kind == "instrument")}
        | {"color": list(c.color), "label_id": c.id}
        for k, c in enumerate(space.classes, 1)
    ]
    skipped = {k for k, c in enumerate(space.classes, 1) if c.name.lower() == BACKGROUND}
    for split in sorted({frame.split or "train" for frame in frames}):
        own = [frame for frame in frames if (frame.split or "train") == split]
        found = list(in_threads(lambda f: _segments(root / paths(f)[1]), own))
        images = [
            {"id": f.index + 1, "file_name": f"{f.name}.png", "height": hw[0], "width": hw[1], "synthetic": f.synthetic}
            for f, (hw, _) in zip(own, found, strict=True)
        ]
        panoptic: list[dict[str, Any]] = []
        instances: list[dict[str, Any]] = []
        for frame, (_, segments) in zip(own, found, strict=True):
            infos = [{k: v for k, v in s.items() if k != "segmentation"} for s in segments]
            entry = {"image_id": frame.index + 1, "file_name": f"{frame.name}.png", "segments_info": infos}
            panoptic.append(entry)
            for s in segments:
                if s["category_id"] not in skipped:
                    instances.append({**s, "id": len(instances) + 1, "image_id": frame.index + 1})
        shared = {"info": {"description": root.name}, "licenses": [], "images": images, "categories": categories}
        _write(root / "annotations" / f"panoptic_{split}.json", {**shared, "annotations": panoptic})
        _write(
            root / "annotations" / f"instances_{split}.json",
            {**shared, "categories": [c for c in categories if c["id"] not in skipped], "annotations": instances},
        )


def _segments(label: Path) -> tuple[tuple[int, int], list[dict[str, Any]]]:
    """(H, W) and the segments of a panoptic PNG, with their run lengths."""
    segments = from_rgb(read_image(label))
    found = []
    for segment in np.unique(segments):
        if not segment:
            continue
        rle = pycoco.encode(np.asfortranarray(segments == segment).view(np.uint8))
        found.append(
            {
                "id": int(segment),
                "category_id": int(segment) // OBJECTS,
                "area": int(pycoco.area(rle)),
                "bbox": [float(x) for x in pycoco.toBbox(rle)],
                "iscrowd": 0,
                "segmentation": {"size": list(segments.shape), "counts": rle["counts"].decode("ascii")},
            }
        )
    return segments.shape, found


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    write_text(path, json.dumps(content, ensure_ascii=False) + "\n")


def _files(root: Path) -> Iterator[Path]:
    """COCO's annotation files. Of a split that has both kinds the panoptic one, which tells every pixel; no key points
    where there are instances."""
    places = ("*.json", "annotations/*.json", "*/*.json", "*/annotations/*.json", "annotations/coco_json/*.json")
    found = {p for place in places for p in root.glob(place) if not p.name.startswith(".") and p.is_file()}
    found = {path for path in found if is_coco(path)}
    for path in sorted(found):
        better = {path.with_name(path.name.replace(kind, other)) for kind, other in _BETTER} - {path}
        if not better & found:
            yield path


def _split_of(root: Path, path: Path) -> str | None:
    folders = path.relative_to(root).parts[:-1]
    return split_among((path.stem, *folders))


def _video_of(root: Path, path: Path) -> str | None:
    """The name of the folder directly in `root`, unless it is one by split, or of all annotations."""
    first = path.relative_to(root).parts[0]
    if first == path.name or first.lower() in _NOT_VIDEOS or split_among((first,)):
        return None
    return first


def _longer_name(item: Item) -> str:
    """`item` with its split and its video in its name, which sets it apart from those of the same name in other
    files."""
    return "_".join(part for part in (item.split, item.video, item.name) if part)


def _refuse_twice(items: Sequence[Item], sources: Sequence[Path], by_name: bool = False) -> None:
    """DataError where two annotation files name one image (or, `by_name`, two that cannot be told apart)."""
    seen: dict[object, Path] = {}
    for item, path in zip(items, sources, strict=True):
        key = item.name if by_name or item.image is None else item.image
        if key in seen:
            raise DataError(f"{seen[key]} and {path}: both annotate {item.name}; remove one of them")
        seen[key] = path


def _label(coco: CocoFile, image: CocoImage) -> Path | None:
    """Where the label map of an image is decoded from (see `Item.label`); None for one without panoptic PNG."""
    if not coco.panoptic:
        return coco.path / image.name
    path = coco.path
    folder = next((p / path.stem for p in (path.parent, path.parent.parent) if (p / path.stem).is_dir()), None)
    if folder is None:
        raise DataError(f"{path}: no folder {path.stem} with its PNGs beside it or one above")
    for annotation in image.annotations:
        if isinstance(name := annotation.get("file_name"), str) and name:
            return inside(folder, name, path)
    return None


def _image(root: Path, path: Path, file_name: str) -> Path | None:
    """The image of that name in the places that are usual, or None."""
    split = re.sub(r"^(instances|panoptic)_", "", path.stem)
    name = Path(file_name).name
    names = [file_name, name]
    if _ON_A_SERVER.search(file_name) and can_be_a_path(file_name):
        names = [name, re.sub(r"^[0-9a-f]{8}-", "", name)]
    else:
        inside(root, file_name, path)
    bases = [path.parent, path.parent.parent, root]
    bases += [folder / _CATARACT1K / path.parents[1].name for folder in (root, root.parent, root.parent.parent)]
    inner = ("images", f"images/{split}", split, "img", "")
    return next((p for base in bases for i in inner for n in names if (p := base / i / n).is_file()), None)
