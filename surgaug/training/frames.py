"""Training frames: kept near the training size, drawn in a balanced order, flipped and zoomed with their maps.

Every random choice is a function of (seed, position), never of a generator's history: the order and the crops after
a resume are those of an uninterrupted run, and any number of processes sees the same global batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from surgaug.datasets.dataset import PairedFrames
from surgaug.labels.resize import resize_image, resize_label_map
from surgaug.runtime.feedback import Feedback
from surgaug.runtime.parallel import in_threads

# Frames are kept at up to twice the training size: a box filter over that equals one over the original, and zooming
# in by as much loses nothing.
OVERSIZE = 2.0
MEMORY_LIMIT = 6 * 2**30


@dataclass(frozen=True)
class FrameBatch:
    """A batch of frames: images uint8 [b, H, W, 3] and index maps uint8 [b, H, W]; of windows of frames, whose they are
    (`training/windows.py`)."""

    images: np.ndarray
    index_maps: np.ndarray
    windows: tuple[Any, ...] = ()


class Frames:
    """Images uint8 [h, w, 3] and index maps uint8 [h, w], in memory (or decoded at each use, if they do not fit)."""

    oversize = OVERSIZE

    def __init__(self, paired: PairedFrames, size: tuple[int, int], feedback: Feedback, task: str):
        self.paired, self.size = paired, size
        # What is kept are indices; they are resized as what they are, by a space whose ids are its indices.
        self.indices = paired.space.of_indices
        first = self._load(0)
        self.cached = first[0].nbytes * 4 // 3 * len(paired) <= MEMORY_LIMIT
        self.store: list[tuple[np.ndarray, np.ndarray]] = []
        if not self.cached:
            feedback.info(f"{len(paired)} frames do not fit into {MEMORY_LIMIT >> 30} GiB: decoded again at each use")
            return
        self.store = list(in_threads(self._load, range(len(paired)), 4, feedback, task, "frames"))

    def _load(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        image, label_map = self.paired.load_image(i), self.paired.load_label(i)
        h, w = image.shape[:2]
        ratio = self.oversize * max(self.size[0] / h, self.size[1] / w)
        if ratio < 1:
            hw = (round(h * ratio), round(w * ratio))
            image = resize_image(image, hw)
            label_map = resize_label_map(label_map, hw, self.paired.space)
        return image, self.paired.space.to_index(label_map)

    def __len__(self) -> int:
        return len(self.paired)

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        return self.store[i] if self.cached else self._load(i)

    def view(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Frame `i` whole (centred where the shape differs) at the training size: image and index map."""
        image, index_map = self[i]
        return self._cut(image, index_map, 1.0, 0.5, 0.5)

    def draw(self, i: int, rng: np.random.Generator, flip: str, zoom: float) -> tuple[np.ndarray, np.ndarray, Any]:
        """Frame `i` with a random zoom and flips, the same for both: image [H, W, 3], index map [H, W], and its entry
        of `FrameBatch.windows`, None here."""
        image, index_map = self[i]
        # Half of the frames stay whole: what belongs to the border (black corners) must be learnt too.
        scale = 1.0 - zoom * max(0.0, 2 * rng.random() - 1)
        image, index_map = self._cut(image, index_map, scale, rng.random(), rng.random())
        if "h" in flip and rng.random() < 0.5:
            image, index_map = image[:, ::-1], index_map[:, ::-1]
        if "v" in flip and rng.random() < 0.5:
            image, index_map = image[::-1], index_map[::-1]
        return image, index_map, None

    def _cut(self, image: np.ndarray, index_map: np.ndarray, scale: float, y: float, x: float) -> tuple:
        (h, w), (height, width) = image.shape[:2], self.size
        ratio = scale * min(h / height, w / width)
        ch, cw = max(1, min(h, round(height * ratio))), max(1, min(w, round(width * ratio)))
        top, left = round(y * (h - ch)), round(x * (w - cw))
        window = np.s_[top : top + ch, left : left + cw]
        image, index_map = image[window], index_map[window]
        if (ch, cw) != (height, width):
            image = resize_image(image, self.size)
            index_map = resize_label_map(index_map, self.size, self.indices)
        return image, index_map


def repeat_factors(presence: np.ndarray, threshold: float) -> np.ndarray:
    """How often each frame is seen an epoch (LVIS, Gupta 2019): max over its classes of sqrt(threshold / frequency).

    presence bool [N, K] to float [N], at least 1. `threshold` 0: all ones.
    """
    frequency = presence.mean(axis=0)
    with np.errstate(divide="ignore"):
        per_class = np.maximum(1.0, np.sqrt(threshold / np.where(frequency > 0, frequency, np.inf)))
    return np.where(presence, per_class, 1.0).max(axis=1, initial=1.0)


def order(factors: np.ndarray, seed: int | list[int], start: int = 0) -> Iterator[int]:
    """Frame numbers for ever, epoch by epoch in a fresh order, from position `start` on.

    A fractional factor is rounded up with the probability of its fraction, anew each epoch.
    """
    epoch, skipped = 0, 0
    while True:
        rng = np.random.default_rng([*np.atleast_1d(seed), 1, epoch])
        copies = np.floor(factors + rng.random(len(factors))).astype(int)
        epoch_order = rng.permutation(np.repeat(np.arange(len(factors)), copies))
        first = max(0, min(start - skipped, len(epoch_order)))
        yield from epoch_order[first:].tolist()
        skipped += len(epoch_order)
        epoch += 1


def batches(
    frames: Frames,
    factors: np.ndarray,
    *,
    seed: int,
    batch: int,
    step: int,
    part: slice,
    flip: str,
    zoom: float,
    paired: bool = True,
) -> Iterator[FrameBatch]:
    """`part` of each global batch, from `step` on.

    Not `paired`: images and maps are of frames drawn independently of each other.
    The next batch is made in a thread while the current one is trained on.
    """
    cv2.setNumThreads(1)
    # One stream gives both, or each gives one; their seeds differ in what no pair of run and stream shares.
    streams = [(2, order(factors, seed, step * batch))]
    if not paired:
        streams.append((4, order(factors, [seed, 5], step * batch)))

    def make(step: int, chosen: list[tuple[int, list[int]]]) -> FrameBatch:
        made = []
        for k in range(batch)[part]:
            drawn = [
                frames.draw(numbers[k], np.random.default_rng([seed, key, step * batch + k]), flip, zoom)
                for key, numbers in chosen
            ]
            made.append((drawn[0][0], drawn[-1][1], drawn[0][2]))
        images, index_maps, windows = zip(*made, strict=True)
        return FrameBatch(np.stack(images), np.stack(index_maps), tuple(w for w in windows if w is not None))

    def choose() -> list[tuple[int, list[int]]]:
        return [(key, [next(numbers) for _ in range(batch)]) for key, numbers in streams]

    with ThreadPoolExecutor(1) as pool:
        ahead = pool.submit(make, step, choose())
        while True:
            step += 1
            ready, ahead = ahead, pool.submit(make, step, choose())
            yield ready.result()
