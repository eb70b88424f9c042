"""Labelled frames in memory, at the size that the segmenter works at, with their maps in one label space."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from surgaug.datasets.dataset import PairedFrames
from surgaug.datasets.splits import group_of
from surgaug.datasets.survey import refuse_other_size
from surgaug.errors import DataError
from surgaug.labels.label_space import IGNORE_INDEX, MAX_CLASSES, LabelSpace
from surgaug.labels.resize import resize_image, resize_label_map
from surgaug.runtime.feedback import Feedback
from surgaug.runtime.parallel import in_threads


@dataclass(frozen=True, eq=False)
class LabelledFrames:
    """images uint8 [N, H, W, 3]; maps uint8 [N, H, W], indices of `space`, 255 where there is no label.

    groups: what each frame comes from (its video, or itself); frames of one group are not independent. splits: the data
    set's own, None where it has none.
    """

    names: tuple[str, ...]
    images: np.ndarray
    maps: np.ndarray
    groups: tuple[str, ...]
    splits: tuple[str | None, ...]
    space: LabelSpace

    def __len__(self) -> int:
        return len(self.names)

    def digests(self) -> list[str]:
        """A hash of the pixels of each image: equal for equal images, whatever their files are called."""
        return [hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest() for image in self.images]

    def class_frames(self) -> np.ndarray:
        """int64 [K]: how many of the frames show each class."""
        shown = np.zeros(IGNORE_INDEX + 1, np.int64)
        for index_map in self.maps:
            shown += np.bincount(index_map.ravel(), minlength=IGNORE_INDEX + 1) > 0
        return shown[: self.space.num_classes]

    def take(self, chosen: np.ndarray) -> LabelledFrames:
        """The frames at `chosen` (int [n])."""

        def some(values: tuple) -> tuple:
            return tuple(values[i] for i in chosen)

        return replace(
            self,
            names=some(self.names),
            images=self.images[chosen],
            maps=self.maps[chosen],
            groups=some(self.groups),
            splits=some(self.splits),
        )


def read_frames(
    frames: PairedFrames,
    size: tuple[int, int],
    space: LabelSpace,
    workers: int,
    feedback: Feedback,
    task: str,
    groups: dict[str, str] | None = None,
) -> LabelledFrames:
    """Every frame that has an image and a map, at `size`; maps in the indices of `space`, matched by
    id; `space` has every class of `frames`.

    groups: what a frame comes from, by its name, where that is known better than by its video.

    Raises:
        DataError: no such frame, a file that cannot be read, image and map of different size.
    """
    chosen = [i for i, item in enumerate(frames.items) if item.image is not None and item.label is not None]
    if not chosen:
        raise DataError(f"{frames.root}: no image with a label map")
    indices = _index_table(frames.space, space)

    def read(i: int) -> tuple[np.ndarray, np.ndarray]:
        image, label_map = frames.load_image(i), frames.load_label(i)
        refuse_other_size(*frames.items[i].files, image.shape[:2], label_map.shape)
        index_map = indices[resize_label_map(label_map, size, frames.space)]
        return resize_image(image, size), index_map

    images = np.empty((len(chosen), *size, 3), np.uint8)
    maps = np.empty((len(chosen), *size), np.uint8)
    with feedback.task(task, len(chosen), "frames") as bar:
        for n, (image, index_map) in enumerate(in_threads(read, chosen, workers)):
            images[n], maps[n] = image, index_map
            bar.advance()
    items = [frames.items[i] for i in chosen]
    known = groups or {}
    return LabelledFrames(
        tuple(item.name for item in items),
        images,
        maps,
        tuple(known.get(item.name) or group_of(item) for item in items),
        tuple(item.split for item in items),
        space,
    )


def joint_space(first: LabelSpace, *others: LabelSpace) -> LabelSpace:
    """The classes of `first`, in its order, then those that only the others have. DataError where they are too many."""
    classes = {c.id: c for space in (first, *others) for c in space.classes}
    ordered = (*first.classes, *(classes[i] for i in sorted(set(classes) - set(first.ids))))
    if len(ordered) > MAX_CLASSES:
        raise DataError(f"{len(ordered)} classes in all folders together; at most {MAX_CLASSES} can be told apart")
    return replace(first, classes=ordered)


def _index_table(source: LabelSpace, target: LabelSpace) -> np.ndarray:
    """uint8 [max id + 1]: an id of `source` to its index in `target`; 255 for the ignore id."""
    table = np.full(source.max_id + 1, IGNORE_INDEX, np.uint8)
    index = {class_id: i for i, class_id in enumerate(target.ids)}
    for class_id in source.ids:
        table[class_id] = index[class_id]
    return table
