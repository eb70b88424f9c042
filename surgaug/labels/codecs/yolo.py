"""YOLO segmentation labels: a text file a frame, an object a line, to label maps and back.

Format: docs.ultralytics.com/datasets/segment: class number, then x y of each corner as shares of width and height.
Drawn as Ultralytics draws them: corners cut to whole pixels, filled with their outlines (cv2.fillPoly), larger objects
first, so that smaller ones lie on top; what no polygon covers is background, and so is a frame without a file. What is
called background is a hole in what is larger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from surgaug.errors import DataError, UsageError
from surgaug.io.images import MAX_PIXELS, SUFFIXES, image_size
from surgaug.labels.codec import DrawnCodec
from surgaug.labels.codecs.polygons import background_id, behind, is_background, match_title

CONFIG = "data.yaml"
NAMES = "classes.txt"


def class_names(root: Path) -> tuple[str, ...]:
    """Class names by number: from `names` in data.yaml (a list or a table) or the only other .yaml that has some, or a
    name a line in classes.txt.

    Raises DataError: neither file, one that cannot be read, numbers with a gap. UsageError without PyYAML.
    """
    if (path := config_file(root)) is not None:
        names = _yaml(path).get("names")
        if isinstance(names, dict):
            names = [names.get(k, names.get(str(k))) for k in range(len(names))]
        if not isinstance(names, list) or not names or not all(isinstance(name, (str, int)) for name in names):
            raise DataError(f"{path}: names must be a list, or a table of numbers from 0 without a gap; correct it")
        return tuple(str(name).strip() for name in names)
    if (path := root / NAMES).is_file():
        try:
            return tuple(line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip())
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: cannot be read ({error})") from error
    raise DataError(f"{root}: no {CONFIG} names the classes of the polygons; write one with a line names: [first, ...]")


def config_file(root: Path) -> Path | None:
    """data.yaml, or else the only .yaml or .yml file that has `names`."""
    if (root / CONFIG).is_file():
        return root / CONFIG
    others = sorted(p for p in root.iterdir() if p.suffix.lower() in (".yaml", ".yml") and p.is_file())
    named = [p for p in others if b"names" in p.read_bytes()]
    return named[0] if len(named) == 1 else None


def listed_splits(root: Path) -> dict[str, str]:
    """Split by the path of an image within `root`, where the configuration names lists of images (train: train.txt)."""
    path = config_file(root)
    if path is None or not any((root / f"{name}.txt").is_file() for name in ("train", "val", "valid", "test")):
        return {}
    found = {}
    for split, key in (("train", "train"), ("val", "val"), ("test", "test")):
        named = _yaml(path).get(key)
        if not isinstance(named, str) or not named.endswith(".txt"):
            continue
        listing = next((p for p in (root / named, root / Path(named).name) if p.is_file()), None)
        if listing is None:
            raise DataError(f"{path}: {key} is {named}, which is not there")
        try:
            lines = listing.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{listing}: cannot be read ({error})") from error
        for line in filter(None, map(str.strip, lines)):
            if "\0" in line or max(map(len, line.encode("utf-8", "replace").split(b"/"))) > 255 or len(line) > 2048:
                raise DataError(f"{listing}: {line[:60]!r} can be no file name; correct it")
            found[_within(root, line.replace("\\", "/"))] = split
    return found


def _within(root: Path, line: str) -> str:
    """The path of a listed image within `root`, which may have lain elsewhere when it was written."""
    parts = [part for part in line.split("/") if part not in ("", ".", "..")]
    for start in range(len(parts)):
        if (root / Path(*parts[start:])).is_file():
            return "/".join(parts[start:])
    return "/".join(parts)


def _yaml(path: Path) -> dict[str, Any]:
    try:
        import yaml  # type: ignore[import-untyped]
    except ImportError:
        raise UsageError(f"{path}: needs PyYAML; install it with: pip install 'surgaug[yolo]'") from None
    try:
        parsed = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (yaml.YAMLError, OSError, ValueError, RecursionError, TypeError) as error:
        raise DataError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    return parsed if isinstance(parsed, dict) else {}


def image_of(label: Path) -> Path:
    """The image of a label file: the same under `images` instead of `labels`. DataError where there is none."""
    parts = list(label.parts)
    place = max((i for i, part in enumerate(parts[:-1]) if part.lower() == "labels"), default=None)
    if place is not None:
        parts[place] = "images" if parts[place].islower() else "Images"
        stem = Path(*parts).with_suffix("")
        for suffix in (*SUFFIXES, *map(str.upper, SUFFIXES)):
            if (path := stem.with_name(stem.name + suffix)).is_file():
                return path
    raise DataError(f"{label}: no image of that name under images, whose size the polygons need")


def read_polygons(path: Path, classes: int) -> list[tuple[int, np.ndarray]]:
    """(class number, corners float64 [N, 2] of x, y from 0 to 1) of each line.

    Raises DataError with file and line: a box in place of a polygon, a number that is none, one out of range.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    found = []
    for number, line in enumerate(lines, 1):
        if not (words := line.split()):
            continue
        try:
            k, corners = int(float(words[0])), np.array(words[1:], np.float64)
        except (ValueError, OverflowError):
            raise DataError(f"{path}:{number}: {line[:40]!r} is no line of numbers; correct or remove it") from None
        if len(corners) == 4:
            raise DataError(f"{path}:{number}: a box, not a polygon; labels of segmentation are needed")
        if len(corners) < 6 or len(corners) % 2:
            raise DataError(f"{path}:{number}: {len(corners)} coordinates; a polygon has 3 corners or more, x and y")
        if not 0 <= k < classes:
            raise DataError(f"{path}:{number}: class {k}, and {classes} are named (0 to {classes - 1})")
        if not np.isfinite(corners).all() or corners.min() < -0.01 or corners.max() > 1.01:
            raise DataError(f"{path}:{number}: coordinates outside of 0 to 1; they are shares of width and height")
        found.append((k, corners.reshape(-1, 2)))
    return found


@dataclass(frozen=True)
class YoloCodec(DrawnCodec):
    """Draws label files; `names`: class names by number."""

    encoding: str = "yolo polygons"
    names: tuple[str, ...] = ()

    def decode(self, path: Path) -> np.ndarray:
        """Ids [H, W] of a label file; of an image, which stands for a frame without one, all background.

        Raises DataError as `read_polygons` and `image_of` do, and for a name that is no class of the space.
        """
        if path.suffix.lower() != ".txt":
            return np.full(image_size(path), background_id(self.space, path), self.space.id_type)
        hw = image_size(image_of(path))
        if hw[0] * hw[1] > MAX_PIXELS:
            raise DataError(f"{path}: its image is larger than {MAX_PIXELS:,} pixels")
        classes = {c.name: c for c in self.space.classes}
        placed = []
        for k, corners in read_polygons(path, len(self.names)):
            name = match_title(self.names[k], classes)
            if name is None:
                raise DataError(f"{path}: class {self.names[k]!r} is none of the label space '{self.space.name}'")
            mask = np.zeros(hw, np.uint8)
            points = np.clip((corners * hw[::-1]).astype(np.int32), 0, (hw[1] - 1, hw[0] - 1))
            cv2.fillPoly(mask, [points], 1)
            placed.append((classes[name].depth, -int(mask.sum()), classes[name].id, mask))
        ids: np.ndarray = np.full(hw, background_id(self.space, path), self.space.id_type)
        if empty := [n for n, (_, size, _, _) in enumerate(placed, 1) if not size]:
            raise DataError(f"{path}: object {empty[0]} covers no pixel; correct or remove it")
        holes = [(size, mask) for _, size, class_id, mask in placed if is_background(self.space.by_id(class_id).name)]
        for _, size, class_id, mask in sorted(placed, key=lambda p: p[:2]):
            for hole in behind(size, holes):  # the smaller ones: sizes are negative
                mask = mask & ~hole
            ids[mask.view(bool)] = class_id
        return ids

    def count_objects(self, path: Path) -> int | None:
        """The lines of a label file; 0 for an image that stands for a frame without one."""
        if path.suffix.lower() != ".txt":
            return 0
        try:
            return len(read_polygons(path, len(self.names)))
        except DataError:
            return None


def lines_of(label_map: np.ndarray, numbers: Sequence[int]) -> list[str]:
    """A label file's lines for ids [H, W]; `numbers`: the id of each class number. Corners are centres of pixels."""
    size = np.array(label_map.shape[::-1])
    return [
        " ".join([str(k), *(f"{v:.6f}" for v in ((polygon + 0.5) / size).ravel())])
        for k, class_id in enumerate(numbers)
        for polygon in polygons(label_map == class_id)
    ]


def polygons(mask: np.ndarray) -> list[np.ndarray]:
    """Outlines of the parts of a bool mask [H, W], each int [N, 2] of x, y with N >= 3; holes are joined in."""
    contours, tree = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if tree is None:
        return []
    found = []
    for i, (_, _, hole, parent) in enumerate(tree[0]):
        if parent >= 0:
            continue
        outline = contours[i][:, 0]
        holes = []
        while hole >= 0:
            holes.append(contours[hole][:, 0])
            hole = tree[0][hole][0]
        # From left to right: what a hole's cut meets on its left is joined in before it.
        for inner in sorted(holes, key=lambda h: int(h[:, 0].min())):
            outline = _joined(outline, inner, mask)
        outline = _corners(outline)
        if len(outline) < 3:  # a point or a line of pixels
            outline = np.concatenate([outline, np.repeat(outline[-1:], 3 - len(outline), axis=0)])
        found.append(outline)
    return found


def _joined(outline: np.ndarray, hole: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """One closed line along the outline, over a cut to the hole, around it, and back.

    The cut runs from the hole's leftmost pixel to the left as far as the mask goes: it covers no pixel beside the mask,
    as the shortest one may.
    """
    j = int(hole[:, 0].argmin())
    x, y = hole[j]
    beside = np.flatnonzero(~mask[y, :x])
    end = beside[-1] + 1 if len(beside) else 0
    i = int(np.flatnonzero((outline == (end, y)).all(1))[0])
    around = np.concatenate([hole[j:], hole[: j + 1]])
    return np.concatenate([outline[: i + 1], around, outline[i:]])


def _corners(outline: np.ndarray) -> np.ndarray:
    """A closed line without the points between others of a straight piece of it."""
    before, after = outline - np.roll(outline, 1, axis=0), np.roll(outline, -1, axis=0) - outline
    straight = before[:, 0] * after[:, 1] == before[:, 1] * after[:, 0]
    onwards = (np.sign(before) == np.sign(after)).all(1) & before.any(1)
    return outline[~(straight & onwards)]
