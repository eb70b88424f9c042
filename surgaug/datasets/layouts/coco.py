"""COCO: annotations/instances_SPLIT.json, and panoptic_SPLIT.json with PNGs in panoptic_SPLIT.

Read: any instances file (categories are matched by name, so that files that number them differently agree) with the
images in the usual places, or panoptic files with their PNGs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as masks

from surgaug.datasets.item import Item, WrittenItem, inside
from surgaug.datasets.pairing import natural
from surgaug.datasets.stored_ids import BACKGROUND, read_description
from surgaug.datasets.stored_ids import plain_values as values
from surgaug.errors import DataError
from surgaug.io.atomic import write_text
from surgaug.io.images import read_image
from surgaug.labels.codec import DrawnCodec
from surgaug.labels.codecs.coco import (
    OBJECTS,
    InstancesCodec,
    PanopticCodec,
    category_names,
    from_rgb,
    images_of,
    is_coco,
    read_json,
    segment_map,
    to_rgb,
)
from surgaug.labels.codecs.polygons import match_title, space_of_titles
from surgaug.labels.label_space import IGNORE_INDEX, LabelSpace
from surgaug.labels.space_detection import class_file_space
from surgaug.runtime.parallel import in_threads

__all__ = ["codec", "decode", "encode", "finish", "matches", "paths", "read", "values"]

_CATARACT1K = "Images-and-Supervisely-Annotations"  # where Cataract-1K keeps the images of its Coco-Annotations
NO_PALETTE = "whose label files are RGB (panoptic PNGs)"
_SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def matches(root: Path) -> bool:
    """Whether COCO annotation files stand in `root`, in its folders, or in their folders `annotations`."""
    return any(True for _ in _files(root))


def read(root: Path, *, split: str | None = None) -> list[Item]:
    """The images of all annotation files; the split is that of the file's name (instances_val2017), the video the name
    of the folder where each has its own file.

    Raises DataError: no image of the split, an image named by two files, a damaged file.
    """
    items: list[Item] = []
    seen: dict[str, Path] = {}
    for path in _files(root):
        own = _split_of(path)
        if split not in (None, own):
            continue
        for name, label in _labels(path).items():
            if name in seen:
                raise DataError(f"{seen[name]} and {path}: both annotate {name}; remove one of them")
            seen[name] = path
            image = _image(root, path, images_of(path)[name][0]["file_name"])
            folder = next((p.name for p in path.parents if p.parent == root and p.name != "annotations"), None)
            items.append(Item(name, image, label, folder, own))
    if not items:
        raise DataError(f"{root}: no annotation file of the split '{split}'")
    return sorted(items, key=lambda item: natural(item.name))


def codec(root: Path, items: Sequence[Item], given: LabelSpace | None) -> DrawnCodec:
    """Decodes by category name; without `given`, the space is that of a description or class file, the built-in one
    with these names, or one made of the names and a background."""
    declared = read_description([root])
    names = sorted({n for path in _files(root) for n in category_names(read_json(path)).values()})
    space = given or (declared.space if declared else class_file_space([root])) or space_of_titles(names)
    tables = {}
    for path in _files(root):
        if "segments_info" not in (read_json(path)["annotations"] or [{}])[0]:
            return InstancesCodec(space)
        by_category = {i: _class(path, name, space) for i, name in category_names(read_json(path)).items()}
        for label, annotation in _panoptic(path).values():
            tables[label] = {s["id"]: by_category[s["category_id"]] for s in annotation["segments_info"]}
    return PanopticCodec(space, tables=tables)


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
        rle = masks.encode(np.asfortranarray(segments == segment).view(np.uint8))
        found.append(
            {
                "id": int(segment),
                "category_id": int(segment) // OBJECTS,
                "area": int(masks.area(rle)),
                "bbox": [float(x) for x in masks.toBbox(rle)],
                "iscrowd": 0,
                "segmentation": {"size": list(segments.shape), "counts": rle["counts"].decode("ascii")},
            }
        )
    return segments.shape, found


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    write_text(path, json.dumps(content, ensure_ascii=False) + "\n")


def _files(root: Path) -> Iterator[Path]:
    """COCO's annotation files; of two of one split the panoptic one, which tells every pixel."""
    places = ("*.json", "annotations/*.json", "*/*.json", "*/annotations/*.json", "annotations/coco_json/*.json")
    found = sorted({p for place in places for p in root.glob(place) if not p.name.startswith(".") and is_coco(p)})
    for path in found:
        twin = path.with_name(path.name.replace("instances", "panoptic"))
        if path == twin or twin not in found:
            yield path


def _split_of(path: Path) -> str | None:
    words = re.split(r"[^a-z]+", path.stem.lower())
    return next((_SPLITS[word] for word in words if word in _SPLITS), None)


def _labels(path: Path) -> dict[str, Path]:
    if "segments_info" in (read_json(path)["annotations"] or [{}])[0]:
        return {name: label for name, (label, _) in _panoptic(path).items()}
    return {name: path / name for name in images_of(path)}


def _panoptic(path: Path) -> dict[str, tuple[Path, dict[str, Any]]]:
    folder = next((p / path.stem for p in (path.parent, path.parent.parent) if (p / path.stem).is_dir()), None)
    if folder is None:
        raise DataError(f"{path}: no folder {path.stem} with its PNGs beside it or one above")
    return {
        Path(a["file_name"]).stem: (inside(folder, a["file_name"], path), a) for a in read_json(path)["annotations"]
    }


def _image(root: Path, path: Path, file_name: str) -> Path | None:
    """The image of that name in the places that are usual, or None."""
    split = re.sub(r"^(instances|panoptic)_", "", path.stem)
    inside(root, file_name, path)
    bases = [path.parent, path.parent.parent, root]
    bases += [folder / _CATARACT1K / path.parents[1].name for folder in (root, root.parent, root.parent.parent)]
    places = [base / inner for base in bases for inner in ("images", f"images/{split}", split, "img", "")]
    return next((p / name for p in places for name in (file_name, Path(file_name).name) if (p / name).is_file()), None)


def _class(path: Path, name: str, space: LabelSpace) -> int:
    matched = match_title(name, space.names)
    if matched is None:
        raise DataError(f"{path}: category {name!r} is no class of the label space '{space.name}'")
    return space.ids[space.names.index(matched)]
