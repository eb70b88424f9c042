"""Label Studio's JSON export: a file of many tasks, each an image with polygons, rectangles and brush strokes.

Format: labelstud.io/guide/export (JSON), /tags/polygonlabels, /tags/brushlabels; coordinates are percents of the image.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote
from xml.sax.saxutils import quoteattr

import numpy as np

from surgaug.errors import DataError
from surgaug.io.images import MAX_PIXELS, SUFFIXES
from surgaug.labels.codec import DrawnCodec
from surgaug.labels.codecs.polygons import Shape, as_stamped, draw

_CHANNELS = 4  # a brush is an RGBA picture; its alpha counts
_COUNTS = (3, 4, 8, 16)  # bits of a run's length, as Label Studio chooses them
_CONTROL, _PICTURE = "label", "image"  # what a labelling interface calls its labels and the image that they are of
_BRUSH, _POLYGON, _RECTANGLE = "brushlabels", "polygonlabels", "rectanglelabels"
_DRAWN = (_BRUSH, _POLYGON, _RECTANGLE)
_WITHOUT_AREA = ("ellipselabels", "keypointlabels", "vectorlabels", "paragraphlabels")
# What a result's value holds if it is of a place in the image: a region, or an answer to a question about one.
_PLACES = ("points", "x", "rle", "imageDataURL", "vertices")


@dataclass(frozen=True)
class Task:
    """An image with what was drawn on it. file_name: as the export has it, without the folders of the server.

    results: of the one annotation that counts; None where there is none, and nothing was labelled. fault: why it cannot
    be read; empty where it can. data: what else the task says, such as its split where surgaug wrote it.
    """

    file_name: str
    results: Sequence[Mapping[str, Any]] | None = field(repr=False)
    fault: str = ""
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        return PurePosixPath(self.file_name).stem


@dataclass(frozen=True)
class LabelStudioCodec(DrawnCodec):
    """Draws tasks as ids of `space`; a label map's path is FILE.json/NAME. sizes: (H, W) by that path, of tasks that
    nothing is drawn on."""

    encoding: str = "Label Studio"
    sizes: Callable[[Path], tuple[int, int]] | None = field(default=None, repr=False)

    def decode(self, path: Path) -> np.ndarray:
        """Ids [H, W]. Raises DataError: a damaged task, shapes without area, a label that is no class of the space."""
        task = read_tasks(path.parent)[path.name]
        if task.fault:
            raise DataError(task.fault)
        results = [result for result in task.results or () if _is_label(result)]
        shown = path.parent / task.file_name
        _refuse_unlabelled(task.results or (), shown)
        hw = _size(results[0], shown) if results else self.sizes(path) if self.sizes else (0, 0)
        if min(hw) < 1 or hw[0] * hw[1] > MAX_PIXELS:
            raise DataError(f"{shown}: size {hw[0]}x{hw[1]}; it must be between 1 and {MAX_PIXELS:,} pixels")
        return draw(hw, [_shape(result, hw, shown) for result in results], self.space, shown)

    def count_objects(self, path: Path) -> int:
        """The shapes of a task."""
        return sum(map(_is_label, read_tasks(path.parent)[path.name].results or ()))


def is_label_studio(path: Path) -> bool:
    """Whether a JSON file begins as an export of tasks does; its end is not looked at."""
    with path.open("rb") as file:
        start = file.read(100_000).lstrip()
    return start.startswith(b"[") and b'"annotations"' in start and b'"data"' in start


def read_tasks(path: Path) -> dict[str, Task]:
    """The tasks of an export by name. Raises DataError: damaged, or two images of one name."""
    return as_stamped(_parse, path)


def titles_of(task: Task) -> list[str]:
    """The labels that a task uses; those that are damaged are passed over here."""
    found = []
    for result in filter(_is_label, task.results or ()):
        try:
            found.append(_title(result))
        except (KeyError, TypeError, ValueError):
            continue
    return found


def decode_rle(packed: bytes, length: int) -> np.ndarray:
    """The values of a brush, uint8 [length].

    A header (32 bits of length, 5 of the word's size less 1, four times 4 of a count's size less 1), then pieces: a bit
    that says whether one word is repeated, two bits that choose the count's size, the count less 1, the word or words.
    Raises ValueError where it breaks off, or has another length.
    """
    bits = np.unpackbits(np.frombuffer(packed, np.uint8))
    text = (bits + ord("0")).tobytes()
    at = 0

    def take(n: int) -> int:
        nonlocal at
        at += n
        if at > len(text):
            raise ValueError("a brush that breaks off")
        return int(text[at - n : at], 2)

    if (told := take(32)) != length:
        raise ValueError(f"a brush of {told} values in place of {length}")
    word = take(5) + 1
    counts = [take(4) + 1 for _ in range(4)]
    values: np.ndarray = np.zeros(length, np.uint8)
    done = 0
    while done < length:
        repeated = take(1)
        end = done + 1 + take(counts[take(2)])
        if end > length:
            raise ValueError("a brush that is longer than its image")
        if repeated:
            values[done:end] = take(word) & 255
        else:
            values[done:end] = [take(word) & 255 for _ in range(end - done)]
        done = end
    return values


def encode_rle(mask: np.ndarray) -> bytes:
    """A mask, bool [H, W], as a brush: an opaque RGBA picture in runs. `decode_rle` is the way back."""
    flat = np.repeat(mask.ravel(), _CHANNELS)
    bits = [f"{len(flat):032b}{7:05b}", *(f"{size - 1:04b}" for size in _COUNTS)]
    edges = [0, *(np.flatnonzero(flat[1:] != flat[:-1]) + 1).tolist(), len(flat)]
    for start, end in pairwise(edges):
        word = f"{255 * int(flat[start]):08b}"
        for first in range(start, end, 1 << _COUNTS[-1]):
            count = min(end - first, 1 << _COUNTS[-1]) - 1
            which = next(k for k, size in enumerate(_COUNTS) if count < 1 << size)
            bits.append(f"1{which:02b}{count:0{_COUNTS[which]}b}{word}")
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def brush(label: str, mask: np.ndarray) -> dict[str, Any]:
    """The region that shows `mask`, bool [H, W], under `label`, named as `label_config` does."""
    height, width = mask.shape
    return {
        "id": label,
        "from_name": _CONTROL,
        "to_name": _PICTURE,
        "type": _BRUSH,
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {"format": "rle", "rle": list(encode_rle(mask)), _BRUSH: [label]},
    }


def label_config(labels: Mapping[str, tuple[int, int, int]]) -> str:
    """The labelling interface of a project: its labels with their colours, XML."""
    shown = "\n".join(
        f'    <Label value={quoteattr(label)} background="#{r:02x}{g:02x}{b:02x}"/>'
        for label, (r, g, b) in labels.items()
    )
    return (
        f'<View>\n  <Image name="{_PICTURE}" value="$image" zoom="true" zoomControl="true"/>\n'
        f'  <BrushLabels name="{_CONTROL}" toName="{_PICTURE}">\n{shown}\n  </BrushLabels>\n</View>\n'
    )


@lru_cache(maxsize=8)
def _parse(path: Path, stamp: int) -> dict[str, Task]:
    try:
        parsed = json.loads(path.read_bytes().decode("utf-8-sig"))
        if not isinstance(parsed, list):
            raise TypeError("it is no list of tasks")
        tasks = [_task(entry, path) for entry in parsed]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"{error} missing" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{path}: not Label Studio's JSON export ({reason}); export it anew") from error
    by_name = {task.name: task for task in tasks}
    if len(by_name) < len(tasks):
        twice = next(task for task in tasks if by_name[task.name] is not task)
        raise DataError(f"{path}: two tasks have images called {twice.name}; rename one, or remove it")
    return by_name


def _task(entry: Mapping[str, Any], path: Path) -> Task:
    """A task. Of several annotations the one called ground truth counts; without it, it is open which is meant."""
    images = {key: name for key, value in entry["data"].items() if (name := _image_name(value))}
    if not images:
        raise ValueError(f"task {entry.get('id')} names no image")
    drawn = [a for a in entry["annotations"] if not a.get("was_cancelled")]
    drawn = [a for a in drawn if a.get("ground_truth")] or drawn
    results = drawn[0]["result"] if len(drawn) == 1 else None
    # `to_name` is what the interface calls an image; which of the data it is stands in the interface alone.
    regions_of = {str(r["to_name"]) for r in results or () if _is_label(r) and "to_name" in r}
    file_name = images.get(next(iter(regions_of), ""), next(iter(images.values())))
    fault = ""
    if len(drawn) > 1:
        fault = f"{len(drawn)} annotations; keep one, or make it ground truth"
    elif len(regions_of) > 1:
        fault = f"regions of several images ({', '.join(sorted(regions_of))}); export each as a task of its own"
    elif results is not None and len(set(images.values())) > 1 and not regions_of & images.keys():
        fault = (
            f"the task names several images ({', '.join(images.values())}), and not which is labelled; leave one in "
            "its data"
        )
    return Task(file_name, None if fault else results, fault and f"{path / file_name}: {fault}", entry["data"])


def _image_name(value: Any) -> str:
    """The file's name of an image's address: /data/upload/1/NAME.png, /data/local-files/?d=folder/NAME.png; else ""."""
    if not isinstance(value, str):
        return ""
    name = PurePosixPath(unquote(value.rpartition("?d=")[2]).replace("\\", "/")).name
    return name if PurePosixPath(name).suffix.lower() in SUFFIXES else ""


def _is_label(result: Mapping[str, Any]) -> bool:
    """Whether a result marks a region; others are answers to questions, or ties between regions."""
    return result.get("type") in (*_DRAWN, *_WITHOUT_AREA)


def _refuse_unlabelled(results: Sequence[Mapping[str, Any]], shown: Path) -> None:
    """Raises DataError for a region that is no label of itself: passed over, it would be background.

    So where a label and its region are two results (tags Polygon and Labels), and of kinds that are not known here.
    """
    labelled = {str(result["id"]) for result in results if _is_label(result) and "id" in result}
    for result in results:
        value = result.get("value")
        placed = isinstance(value, Mapping) and any(key in value for key in _PLACES)
        if placed and not _is_label(result) and str(result.get("id", "")) not in labelled:
            raise DataError(
                f"{shown}: a region of the kind {result.get('type')}; regions of {', '.join(_DRAWN)} are read (tags "
                "PolygonLabels, RectangleLabels, BrushLabels). Draw it as one"
            )


def _title(result: Mapping[str, Any]) -> str:
    labels = result["value"][result["type"]]
    if len(labels) != 1 or not isinstance(labels[0], str):
        raise ValueError(f"a region with {len(labels)} labels in place of one")
    return labels[0].strip()


def _size(result: Mapping[str, Any], shown: Path) -> tuple[int, int]:
    try:
        return int(result["original_height"]), int(result["original_width"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{shown}: the export does not say how large it is ({error}); export it anew") from error


def _shape(result: Mapping[str, Any], hw: tuple[int, int], shown: Path) -> Shape:
    """A region. Raises DataError for what has no area that could be drawn, and for a damaged one."""
    kind, (height, width) = result["type"], hw
    if kind in _WITHOUT_AREA:
        raise DataError(f"{shown}: a region of {kind}; polygons, rectangles and brushes can be drawn. Draw it as one")
    try:
        title, value = _title(result), result["value"]
        if kind == _BRUSH:
            packed = decode_rle(bytes(value["rle"]), height * width * _CHANNELS)
            return Shape(title, ((0.0, 0.0),), bitmap=packed.reshape(height, width, _CHANNELS)[..., -1] > 0)
        points = value["points"] if kind == _POLYGON else _corners(value, hw)
        exterior = tuple((float(x) / 100 * width, float(y) / 100 * height) for x, y in points)
        if len(exterior) < 3 or not all(map(math.isfinite, (v for point in exterior for v in point))):
            raise ValueError("a polygon needs three points or more")
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        reason = f"{error} missing" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{shown}: a damaged region ({reason}); correct it, and export anew") from error
    return Shape(title, exterior)


def _corners(value: Mapping[str, Any], hw: tuple[int, int]) -> list[tuple[float, float]]:
    """The corners of a rectangle in percents, turned about its first one by `rotation` degrees."""
    height, width = hw
    angle = math.radians(float(value.get("rotation", 0)))
    x, y, w, h = (float(value[key]) for key in ("x", "y", "width", "height"))
    across, down = w / 100 * width, h / 100 * height
    corners = []
    for dx, dy in ((0.0, 0.0), (across, 0.0), (across, down), (0.0, down)):
        turned = dx * math.cos(angle) - dy * math.sin(angle), dx * math.sin(angle) + dy * math.cos(angle)
        corners.append((x + 100 * turned[0] / width, y + 100 * turned[1] / height))
    return corners
