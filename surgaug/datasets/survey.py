"""What a data set holds, and the refusal of what it must not hold, before anything long starts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from surgaug.datasets.dataset import LabelMaps
from surgaug.errors import DataError
from surgaug.io.images import check_image
from surgaug.labels.label_space import LabelSpace
from surgaug.runtime.feedback import Feedback
from surgaug.runtime.parallel import in_threads

_LISTED = 10


@dataclass(frozen=True)
class Survey:
    """Counts over a data set, classes in the order of its label space.

    pixels: int64 [K]. presence_by_item: bool [N, K]. sizes: frames by (H, W). splits: frames by split.
    """

    space: LabelSpace
    pixels: np.ndarray
    presence_by_item: np.ndarray
    ignored: int
    sizes: Counter[tuple[int, int]]
    splits: Counter[str]
    videos: int

    @property
    def count(self) -> int:
        """Number of frames."""
        return len(self.presence_by_item)

    @property
    def presence(self) -> np.ndarray:
        """Frames that show each class, int64 [K]."""
        return self.presence_by_item.sum(axis=0)

    def tables(self) -> list[tuple[str, list[str], list[list[Any]]]]:
        """(title, columns, rows) of the frames and of the classes."""
        sizes = ", ".join(f"{h}x{w}" + (f" ({n})" if len(self.sizes) > 1 else "") for (h, w), n in self._common_sizes())
        frames = [["frames", f"{self.count:,}"], ["size", sizes]]
        if self.splits:
            frames.append(["split", ", ".join(f"{split} {n:,}" for split, n in self.splits.items())])
        if self.videos:
            frames.append(["videos", str(self.videos)])
        if self.ignored:
            frames.append(["pixels without label", _percent(self.ignored, self._total)])
        rows = [
            [c.id, c.name, c.kind, f"{seen:,}", _percent(seen, self.count), _percent(n, self._total)]
            for c, n, seen in zip(self.space.classes, self.pixels.tolist(), self.presence.tolist(), strict=True)
        ]
        columns = ["id", "class", "kind", "frames", "of frames", "of pixels"]
        return [("Frames", ["", ""], frames), (f"Classes ({self.space.name})", columns, rows)]

    @property
    def _total(self) -> int:
        return int(self.pixels.sum()) + self.ignored

    def _common_sizes(self) -> list[tuple[tuple[int, int], int]]:
        return self.sizes.most_common(6)


def survey(frames: LabelMaps, feedback: Feedback, need_images: bool) -> Survey:
    """Count classes and sizes of all items, and check every file; images too where `need_images`.

    The label maps were read when the data set was opened; the images are checked here, in threads. What was found out
    about the encoding is said through `feedback`.

    Raises:
        DataError: listing the first ten of each: images without label, labels without image, files that cannot be
            read, sizes that differ between image and label map, values that are no id of the label space.
    """
    _refuse(faults(frames, feedback, need_images))
    for note in frames.notes:
        feedback.info(note)
    if frames.codec.encoding == "two-class":
        feedback.warn(snapped(frames))
    return count(frames)


def faults(frames: LabelMaps, feedback: Feedback, need_images: bool) -> dict[str, list[str]]:
    """What `survey` refuses: by kind of fault, a line each; kinds without any are left out."""
    items = frames.items
    without_label = [item.image for item in items if item.label is None]
    without_image = [item.label for item in items if need_images and item.image is None]
    scans = [frames.scans[item.label] for item in items if item.label is not None]
    found = {
        "images without label": [str(p) for p in without_label],
        "labels without image": [str(p) for p in without_image],
        "files that cannot be used": [s.problem for s in scans if s.problem],
    }
    counted = {s.path: frames.codec.count_ids(s) for s in scans if not s.problem}
    found["label maps with values that are no class"] = [
        f"{path}: {frames.codec.explain(unknown, frames.scans[path].color)}"
        for path, (_, unknown) in counted.items()
        if unknown
    ]
    if need_images:
        unreadable, mismatches = _check_images(frames, feedback)
        found["files that cannot be used"] += unreadable
        found["images and label maps of different size"] = mismatches
    return {kind: lines for kind, lines in found.items() if lines}


def count(frames: LabelMaps) -> Survey:
    """Count classes and sizes of the items; those whose label map is missing or cannot be read count as empty."""
    items, space = frames.items, frames.space
    scans = {item: frames.scans[item.label] for item in items if item.label is not None}
    scans = {item: scan for item, scan in scans.items() if not scan.problem}
    by_item = np.zeros((len(items), space.num_classes), np.int64)
    ignored = 0
    for i, item in enumerate(items):
        for class_id, n in frames.codec.count_ids(scans[item])[0].items() if item in scans else ():
            index = space.index_table[class_id]
            if class_id == space.ignore:
                ignored += n
            else:
                by_item[i, index] += n
    return Survey(
        space,
        by_item.sum(axis=0),
        by_item > 0,
        ignored,
        Counter(scan.hw for scan in scans.values()),
        Counter(item.split for item in items if item.split),
        len({item.video for item in items if item.video}),
    )


def _check_images(frames: LabelMaps, feedback: Feedback) -> tuple[list[str], list[str]]:
    """Problems of image files, and of sizes."""
    unreadable, mismatches = [], []
    items = [item for item in frames.items if item.image is not None]
    images = [item.image for item in items if item.image is not None]
    checked = in_threads(_try_image, images, feedback=feedback, title="checking images")
    for item, found in zip(items, checked, strict=True):
        if isinstance(found, str):
            unreadable.append(found)
            continue
        label_hw = frames.scans[item.label].hw if item.label is not None else (0, 0)
        if item.label is not None and label_hw != (0, 0) and label_hw != found:
            sizes = f"{found[0]}x{found[1]}, its label map {item.label.name} {label_hw[0]}x{label_hw[1]}"
            mismatches.append(f"{item.image}: {sizes}")
    return unreadable, mismatches


def _try_image(path: Path) -> tuple[int, int] | str:
    try:
        return check_image(path)
    except DataError as error:
        return str(error)


def _refuse(found: dict[str, list[str]]) -> None:
    if not found:
        return
    parts = []
    for title, lines in found.items():
        more = [f"and {len(lines) - _LISTED} more"] if len(lines) > _LISTED else []
        parts.append("\n  ".join([f"{len(lines)} {title}:", *lines[:_LISTED], *more]))
    raise DataError("\n".join(parts))


def snapped(frames: LabelMaps) -> str:
    """How much of two-class masks (see `codecs.Codec`) lay between the two values, for the user."""
    scans = [frames.scans[item.label] for item in frames.items if item.label is not None]
    between, doubtful = frames.codec.ambiguous_pixels(scans)
    lossy = sum(s.lossy for s in scans)
    what = f"{lossy} masks are JPEG or WebP" if lossy else "the masks have soft edges"
    return (
        f"{what}: {between:,} pixels ({_percent(between, sum(s.hw[0] * s.hw[1] for s in scans))}) lie between 0 and "
        f"255 and were snapped to the nearer of two classes, {doubtful:,} of them near the middle"
    )


def _percent(part: float, whole: float) -> str:
    share = 100 * part / whole if whole else 0.0
    return f"{share:.1f} %" if share >= 0.1 or share == 0 else f"{share:.2g} %"
