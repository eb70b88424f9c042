"""What a data set holds, and the refusal of what it must not hold, before anything long starts."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from surgaug.datasets.dataset import LabelMaps
from surgaug.datasets.pairing import two_of_one_stem
from surgaug.errors import DataError
from surgaug.io.images import check_image, unturned
from surgaug.labels.label_space import LabelSpace
from surgaug.runtime.feedback import Feedback
from surgaug.runtime.parallel import in_threads

_LISTED = 10
_NAMED = 3
TWINS = "names of several files"
STRAYS, NO_LABEL, NO_IMAGE = "annotations of no frame", "images without label", "labels without image"
UNUSABLE, NO_CLASS = "files that cannot be used", "label maps with values that are no class"
OTHER_SIZE = "images and label maps of different size"
KINDS = (STRAYS, TWINS, NO_LABEL, NO_IMAGE, UNUSABLE, NO_CLASS, OTHER_SIZE)
FILE_FAULTS = tuple(kind for kind in KINDS if kind != NO_CLASS)  # other --classes may cure that one
_Maps = TypeVar("_Maps", bound=LabelMaps)


def read_as(space: LabelSpace, pixels_by_item: np.ndarray) -> str:
    """A digest of the ids that label maps came to, by the pixels of each class in each of them, int64 [N, K].

    The same files come to other ones where a class file, or the names or colours beside them, were changed.
    """
    found = hashlib.sha256(f"{space.ids} {pixels_by_item.shape} ".encode())
    found.update(np.ascontiguousarray(pixels_by_item, np.int64).tobytes())
    return found.hexdigest()[:16]


@dataclass(frozen=True)
class Survey:
    """Counts over a data set, classes in the order of its label space.

    pixels_by_item: int64 [N, K]. sizes: frames by (H, W). splits: frames by split. read: further lines of the table, on
    how much of what there was could be read.
    """

    space: LabelSpace
    pixels_by_item: np.ndarray
    ignored: int
    sizes: Counter[tuple[int, int]]
    splits: Counter[str]
    videos: int
    read: tuple[tuple[str, str], ...] = ()

    @property
    def count(self) -> int:
        """Number of frames."""
        return len(self.pixels_by_item)

    @property
    def pixels(self) -> np.ndarray:
        """Pixels of each class, int64 [K]."""
        return self.pixels_by_item.sum(axis=0)

    @property
    def presence_by_item(self) -> np.ndarray:
        """Which frame shows which class, bool [N, K]."""
        return self.pixels_by_item > 0

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
        frames += map(list, self.read)
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
        DataError: listing the first ten of each: files of one stem, images without label, labels without image, files
            that cannot be read, sizes that differ between image and label map, values that are no id of the label
            space, annotations that belong to no frame; and where no label map has a pixel with a class.
    """
    _refuse(find_faults(frames, feedback, need_images), frames)
    for note in frames.notes:
        feedback.info(note)
    for doubt in frames.doubts:
        feedback.warn(doubt)
    if frames.codec.encoding == "two-class":
        feedback.warn(snapped(frames))
    found = count(frames)
    _doubt_empty(frames, found, feedback)
    return found


def warn_of_one_class(found: Survey, feedback: Feedback) -> None:
    """Say so where all frames show one class and no other."""
    shown = [c.name for c, n in zip(found.space.classes, found.presence.tolist(), strict=True) if n]
    if len(shown) == 1:
        feedback.warn(
            f"all {found.count:,} label maps show one class alone, {shown[0]}: nothing can be learnt of what labels "
            "mean. If classes are missing, look at the files with surgaug inspect"
        )


def _doubt_empty(frames: LabelMaps, found: Survey, feedback: Feedback) -> None:
    """Refuse label maps of which no pixel has a class; warn of some among others."""
    empty = np.flatnonzero(~found.presence_by_item.any(axis=1))
    if not len(empty):
        return
    said = (
        f"{frames.items[empty[0]].label}: every pixel is {frames.space.ignore}, which is ignored; so in "
        f"{len(empty):,} of {found.count:,} label maps"
    )
    if len(empty) == found.count:
        raise DataError(f"{said}. Give label maps with classes; if it is a class, name it with --classes FILE")
    feedback.warn(said)


def without_faults(frames: _Maps, feedback: Feedback, need_images: bool, kinds: Sequence[str] = KINDS) -> _Maps:
    """The items that `survey` does not refuse; why the others are left out stands in `left_out`, and is counted aloud.

    kinds: of faults that count. Raises DataError where nothing is left.
    """
    found = [fault for fault in find_faults(frames, feedback, need_images) if fault.kind in kinds]
    if not found:
        return frames
    bad = {fault.item for fault in found} - {None}
    kept = tuple(item for i, item in enumerate(frames.items) if i not in bad)
    if not kept:
        _refuse(found, frames)
    lines = tuple(f"{fault.kind}: {fault.line}" for fault in found)
    counts = Counter(fault.kind for fault in found)
    feedback.warn(
        f"left out: {len(bad)} of {len(frames.items)} frames ({', '.join(f'{n} {kind}' for kind, n in counts.items())})"
    )
    return replace(frames, items=kept, strays=(), left_out=(*frames.left_out, *lines))


def refuse_twins(frames: LabelMaps) -> None:
    """Raises DataError naming the files where it is open which of several a frame is (see `item.Item.twins`)."""
    _refuse([Fault(TWINS, two_of_one_stem(item.twins), i) for i, item in enumerate(frames.items) if item.twins], frames)


@dataclass(frozen=True)
class Fault:
    """What keeps a frame from being used. item: its number among the items; None for what belongs to no frame."""

    kind: str
    line: str
    item: int | None


def find_faults(frames: LabelMaps, feedback: Feedback, need_images: bool) -> list[Fault]:
    """What `survey` refuses, by kind."""
    found = [Fault(STRAYS, line, None) for line in frames.strays]
    sizes = _image_sizes(frames, feedback) if need_images else {}
    for i, item in enumerate(frames.items):
        label_hw = (0, 0)
        if item.twins:
            found.append(Fault(TWINS, two_of_one_stem(item.twins), i))
            continue
        if item.label is None:
            found.append(Fault(NO_LABEL, str(item.image), i))
        else:
            scan = frames.scans[item.label]
            label_hw = scan.hw
            if scan.problem:
                found.append(Fault(UNUSABLE, scan.problem, i))
            elif unknown := frames.codec.count_ids(scan)[1]:
                found.append(Fault(NO_CLASS, f"{scan.path}: {frames.codec.explain(unknown, scan.color)}", i))
        if not need_images:
            continue
        size = sizes.get(i)
        if item.image is None:
            found.append(Fault(NO_IMAGE, str(item.label), i))
        elif isinstance(size, str):
            found.append(Fault(UNUSABLE, size, i))
        elif size and item.label is not None and label_hw != (0, 0) and label_hw != size:
            found.append(Fault(OTHER_SIZE, of_other_size(item.image, item.label, size, label_hw), i))
    return sorted(found, key=lambda fault: KINDS.index(fault.kind))


def refuse_other_size(image: Path, label: Path, hw: tuple[int, int], label_hw: tuple[int, ...]) -> None:
    """Raises DataError where an image and its label map are not of one size (H, W)."""
    if hw != label_hw:
        said = of_other_size(image, label, hw, (label_hw[0], label_hw[1]))
        raise DataError(f"{said}: make both of one size, or leave the frame out (--leave-out-bad)")


def of_other_size(image: Path, label: Path, hw: tuple[int, int], label_hw: tuple[int, int]) -> str:
    """What to say of an image and its label map whose sizes differ."""
    return (
        f"{image}: {hw[0]}x{hw[1]}, its label map {label.name} {label_hw[0]}x{label_hw[1]}{unturned(image, label_hw)}"
    )


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
        by_item,
        ignored,
        Counter(scan.hw for scan in scans.values()),
        Counter(item.split for item in items if item.split),
        len({item.video for item in items if item.video}),
        _read_of(frames),
    )


def _read_of(frames: LabelMaps) -> tuple[tuple[str, str], ...]:
    """How much of what there was could be read, where that need not be all."""
    found = []
    scans = [frames.scans[item.label] for item in frames.items if item.label is not None]
    counted = [(scan.objects, scan.problem) for scan in scans if scan.objects is not None]
    if counted:
        whole = sum(n for n, _ in counted)
        refused = sum(n for n, problem in counted if problem)
        text = f"{whole:,} read, {whole - refused:,} drawn"
        text += f", {refused:,} in frames that cannot be used" if refused else ""
        text += f", {len(frames.strays):,} of no frame" if frames.strays else ""
        found.append(("annotations", text))
        if empty := sum(n == 0 and not problem for n, problem in counted):
            found.append(("frames without objects", f"{empty:,}, all background"))
    if frames.unread:
        named = ", ".join(path.name for path in frames.unread[:_NAMED])
        more = ", ..." if len(frames.unread) > _NAMED else ""
        found.append(("images that no annotation names", f"{len(frames.unread):,} ({named}{more})"))
    if frames.left_out:
        found.append(("left out", f"{len(frames.left_out):,}"))
    return tuple(found)


def _image_sizes(frames: LabelMaps, feedback: Feedback) -> dict[int, tuple[int, int] | str]:
    """(H, W) of each item's image, or why it cannot be read."""
    images = {i: item.image for i, item in enumerate(frames.items) if item.image is not None}
    checked = in_threads(_try_image, list(images.values()), feedback=feedback, title="checking images")
    return dict(zip(images, checked, strict=True))


def problem_of(path: Path) -> str | None:
    """Why an image file cannot be read; None if it can."""
    found = _try_image(path)
    return found if isinstance(found, str) else None


def _try_image(path: Path) -> tuple[int, int] | str:
    try:
        return check_image(path)
    except DataError as error:
        return str(error)


def _refuse(found: Sequence[Fault], frames: LabelMaps) -> None:
    """Raise DataError listing what was found, if anything."""
    if not found:
        return
    bad, whole = len({fault.item for fault in found} - {None}), len(frames.items)
    rest = f"the other {whole - bad:,} of {whole:,}" if bad else f"all {whole:,}"
    parts = [f"--leave-out-bad goes on with {rest} frames"] if bad < whole else []
    for kind in dict.fromkeys(fault.kind for fault in found):
        lines = [fault.line for fault in found if fault.kind == kind]
        more = [f"and {len(lines) - _LISTED} more"] if len(lines) > _LISTED else []
        parts.append("\n  ".join([f"{len(lines)} {kind}:", *lines[:_LISTED], *more]))
    raise DataError("\n".join(parts))


def snapped(frames: LabelMaps) -> str:
    """How much of two-class masks (see `codecs.Codec`) lay between the two values, for the user."""
    scans = [frames.scans[item.label] for item in frames.items if item.label is not None]
    between, doubtful = frames.codec.ambiguous_pixels(scans)
    lossy = sum(s.lossy for s in scans)
    what = f"{lossy} masks are of a lossy format" if lossy else "the masks have soft edges"
    most = max(scans, key=lambda s: frames.codec.ambiguous_pixels([s])[0])
    return (
        f"{what}: {between:,} pixels ({_percent(between, sum(s.hw[0] * s.hw[1] for s in scans))}) lie between 0 and "
        f"255 and were snapped to the nearer of two classes, {doubtful:,} of them near the middle; most in {most.path} "
        f"({frames.codec.ambiguous_pixels([most])[0]:,}). To decide otherwise, save masks as PNG of 0 and 255 alone"
    )


def _percent(part: float, whole: float) -> str:
    share = 100 * part / whole if whole else 0.0
    return f"{share:.1f} %" if share >= 0.1 or share == 0 else f"{share:.2g} %"
