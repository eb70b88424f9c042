"""One mask file a class: images/NAME.png with masks/NAME_CLASS.png, or with masks/CLASS/NAME.png.

Each mask holds two values, nothing and the class; where masks overlap, the class of higher depth lies on top, then the
one that comes later by name. What no mask covers is background. A frame of which a class has no file does not show it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from surgaug.datasets.item import Item
from surgaug.datasets.pairing import (
    IMAGE_FOLDERS,
    LABEL_FOLDERS,
    Twins,
    files_by_stem,
    find_folder,
    items_of_pairs,
    natural,
    pair,
    split_of,
)
from surgaug.errors import DataError
from surgaug.io.images import as_numbers, is_image_file, read_raw
from surgaug.labels.codec import DrawnCodec
from surgaug.labels.codecs.polygons import background_id, match_title, space_of_titles
from surgaug.labels.label_space import LabelSpace
from surgaug.labels.scan import Scan
from surgaug.labels.space_detection import class_file_space

__all__ = ["codec", "matches", "read"]

# Endings that say what kind of file it is, and no class.
_KINDS = {"mask", "masks", "label", "labels", "gt", "seg", "segmentation", "color", "colour", "ids", "labelids"}
_KINDS |= {"instanceids", "labeltrainids", "annotation", "groundtruth", "manual", "training", "instance", "semantic"}
_MOST_CLASSES = 64
_MOST_OVERLAP = 0.001  # of the pixels, without a word
_BRUSH = re.compile(r"task-\d+-annotation-\d+-by-\d+-tag-")  # Label Studio's

ByClass = dict[str, dict[str, Path]]


def matches(root: Path) -> bool:
    """Whether the label folder holds several masks of most images, called by image and class or in folders by class."""
    images, labels = find_folder(root, IMAGE_FOLDERS), find_folder(root, LABEL_FOLDERS)
    if images is None or labels is None or not any(is_image_file(p) for p in images.iterdir()):
        return False
    found = _by_name(images, labels)
    return _are_classes(found) or bool(_of_one_frame(found)) or _holds_brush(labels)


def read(root: Path, *, split: str | None = None) -> list[Item]:
    """The frames; the label is one of its masks, which leads to the others.

    Raises DataError: a `split` was asked for, which there is none of; Label Studio's brush masks, which name no image;
    endings that are in one name each, so that it is open whether they are classes.
    """
    if split is not None:
        raise DataError(f"{root}: no folder of its own for the split '{split}'; leave the split out")
    images, labels = find_folder(root, IMAGE_FOLDERS), find_folder(root, LABEL_FOLDERS)
    assert images is not None and labels is not None, root  # `matches` was asked
    if _holds_brush(labels):
        raise DataError(
            f"{labels}: Label Studio's brush masks (task-N-annotation-N-...-tag-CLASS) name tasks, and not the images; "
            "export as JSON or COCO, or rename each to IMAGE_CLASS.png"
        )
    twins: Twins = {}
    found = _by_name(images, labels, twins)
    if ending := _of_one_frame(found):
        name, path = next((name, masks[ending]) for name, masks in found.items() if ending in masks)
        raise DataError(
            f"{path}: called after the image {name}, with an ending that no other file has ({ending}), so that it is "
            "open whether it is a class; name a label map of all classes like its image, and masks of one class "
            "NAME_CLASS.png for every class of every frame"
        )
    # One of the masks stands for all; one of several for a class, where there is such.
    firsts = {name: max(masks.values(), key=lambda path: path in twins) for name, masks in found.items()}
    return items_of_pairs(pair(files_by_stem(images, twins=twins), firsts), twins)


def codec(root: Path, items: Sequence[Item], given: LabelSpace | None) -> ClassFilesCodec:
    """Merges the masks of a frame. The label space is `given`, a class file's, or that of the masks' names."""
    images, labels = find_folder(root, IMAGE_FOLDERS), find_folder(root, LABEL_FOLDERS)
    assert images is not None and labels is not None, root
    found = _by_name(images, labels)
    names = sorted({name for masks in found.values() for name in masks})
    by_folder = not any(is_image_file(path) and path.is_file() for path in labels.iterdir())
    space = given or class_file_space([root, labels]) or space_of_titles(names, listed=by_folder)
    return ClassFilesCodec(space, masks={next(iter(masks.values())): masks for masks in found.values()})


@dataclass(frozen=True)
class ClassFilesCodec(DrawnCodec):
    """Merges the masks of a frame. masks: by the label that stands for the frame, its file of each class."""

    encoding: str = "a mask file a class"
    masks: Mapping[Path, Mapping[str, Path]] = field(default_factory=dict, repr=False)

    def decode(self, path: Path) -> np.ndarray:
        """Ids [H, W]. Raises DataError: a mask of more than two values, or of another size; a name that is no class."""
        return self.drawn(path)[0]

    def doubts(self, scans: Sequence[Scan]) -> list[str]:
        """That masks overlap, if on more than one pixel in a thousand."""
        overlap, pixels = sum(s.overlap for s in scans), sum(s.hw[0] * s.hw[1] for s in scans)
        if overlap <= _MOST_OVERLAP * pixels:
            return []
        most = max(scans, key=lambda s: s.overlap)
        share = most.overlap / (most.hw[0] * most.hw[1])
        return [
            f"{overlap:,} pixels ({overlap / pixels:.1%}) lie in masks of several classes, most in those of "
            f"{most.path} ({share:.1%} of it): there the class of higher depth counts, then the later one by name. To "
            "decide otherwise, give the classes a depth in a class file (--classes FILE)"
        ]

    def drawn(self, path: Path) -> tuple[np.ndarray, int]:
        """Ids [H, W], and the number of pixels that several masks cover."""
        placed = []
        for name, file in self.masks[path].items():
            if name.lower() in ("background", "_background_"):
                continue
            matched = match_title(name, self.space.names)
            if matched is None:
                raise DataError(f"{file}: {name!r} is no class of the label space '{self.space.name}'")
            class_id = self.space.ids[self.space.names.index(matched)]
            placed.append((self.space.by_id(class_id).depth, class_id, _two_values(file), file))
        if not placed:
            raise DataError(f"{path}: no mask of a class")
        ids: np.ndarray = np.full(placed[0][2].shape, background_id(self.space, path), self.space.id_type)
        covered, overlap = np.zeros(ids.shape, bool), np.zeros(ids.shape, bool)
        for _, class_id, mask, file in sorted(placed, key=lambda p: p[0]):
            if mask.shape != ids.shape:
                raise DataError(f"{file}: of another size than the other masks of this frame")
            ids[mask] = class_id
            overlap |= covered & mask
            covered |= mask
        return ids, int(np.count_nonzero(overlap))

    def files(self, path: Path) -> tuple[Path, ...]:
        """The masks of a frame."""
        return tuple(self.masks[path].values())

    def count_objects(self, path: Path) -> int:
        """The masks of a frame."""
        return len(self.masks[path])


def _two_values(file: Path) -> np.ndarray:
    """bool [H, W] of a mask: 0 and one other value, or nearly so in a lossy file."""
    raw = read_raw(file)
    if raw.color:
        raise DataError(f"{file}: the channels differ; a mask of one class holds 0 and one other value")
    numbers = as_numbers(raw, file)
    values = np.unique(numbers)
    if raw.lossy and values[-1] > 127:
        return numbers > values[-1] // 2
    if len(values) > 2 or (len(values) == 2 and values[0] != 0):
        shown = ", ".join(map(str, values[:6].tolist())) + (", ..." if len(values) > 6 else "")
        raise DataError(f"{file}: holds {shown}; a mask of one class holds 0 and one other value")
    return numbers > 0


def _by_name(images: Path, labels: Path, twins: Twins | None = None) -> ByClass:
    """The masks of each frame by what may be a class, in natural order; empty where the folder holds something else.

    Masks of frames without image are among them, as long as they are not most, so that they are named as such.
    twins: takes files that are the mask of one class of one frame; the first of them is among the masks.
    """
    twins = {} if twins is None else twins

    def add(name: str, class_name: str, path: Path) -> None:
        first = found.setdefault(name, {}).setdefault(class_name, path)
        if first is not path:
            twins.setdefault(first, [first]).append(path)

    stems = {unicodedata.normalize("NFC", p.stem) for p in images.iterdir() if is_image_file(p)}
    inside = sorted(labels.iterdir(), key=lambda p: natural(p.name))
    files = [p for p in inside if is_image_file(p) and p.is_file()]
    found: ByClass = {}
    strays: list[tuple[str, Path]] = []
    if files:
        for path in files:
            stem = unicodedata.normalize("NFC", path.stem)
            cuts = [i for i, sign in enumerate(stem) if sign in "_-. " and stem[:i] in stems]
            if stem in stems:
                return {}  # a file that is called like an image
            if cuts:
                add(stem[: cuts[-1]], stem[cuts[-1] + 1 :], path)
            else:
                strays.append((stem, path))
        endings = sorted(_endings(found), key=len, reverse=True)
        for stem, path in strays:
            ending = next((e for e in endings if stem.endswith(tuple(sign + e for sign in "_-. "))), "")
            if not ending or 2 * len(strays) > len(files):
                return {}  # files that are called like no image
            add(stem[: -len(ending) - 1], ending, path)
    else:
        whole = 0
        for folder in (p for p in inside if p.is_dir() and not p.name.startswith((".", "_", "@"))):
            own = [p for p in sorted(folder.iterdir(), key=lambda p: natural(p.name)) if is_image_file(p)]
            for path in own:
                stem = unicodedata.normalize("NFC", path.stem)
                if split_of(folder.name):
                    return {}
                whole += 1
                strays += [(stem, path)] if stem not in stems else []
                add(stem, folder.name, path)
        if 2 * len(strays) > whole:
            return {}
    return found


def _are_classes(found: ByClass) -> bool:
    """Whether the endings or folders are classes: several, of which at least one is there for several frames."""
    classes = _endings(found)
    return 1 < len(classes) <= _MOST_CLASSES and len(classes) < sum(map(len, found.values()))


def _of_one_frame(found: ByClass) -> str:
    """The first ending, where there are several frames and each ending is that of one file; "" otherwise."""
    classes = _endings(found)
    return classes[0] if len(found) > 1 and len(classes) == sum(map(len, found.values())) else ""


def _endings(found: ByClass) -> list[str]:
    """What may be classes, in order; none where some are numbers, or say what kind of file it is."""
    classes = list(dict.fromkeys(name for masks in found.values() for name in masks))
    kinds = any(name.lower().replace("_", "").isdigit() or name.lower() in _KINDS for name in classes)
    return [] if kinds else classes


def _holds_brush(labels: Path) -> bool:
    return any(_BRUSH.match(path.name) for path in labels.iterdir())
