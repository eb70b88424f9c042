"""Training frames: kept near the training size, drawn in a balanced order, flipped and zoomed with their maps.

Every random choice is a function of (seed, position), never of a generator's history: the order and the crops after
a resume are those of an uninterrupted run, and any number of processes sees the same global batch.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any

import cv2
import numpy as np

from surgaug.datasets.dataset import PairedFrames
from surgaug.datasets.own_maps import digest
from surgaug.io.array_file import Record, Records, write_records
from surgaug.io.atomic import clean_leftovers
from surgaug.io.images import file_digest
from surgaug.io.lock import in_turn
from surgaug.labels.resize import resize_image, resize_label_map
from surgaug.labels.sides import other_sides
from surgaug.runtime.distributed import ProcessGroup
from surgaug.runtime.feedback import Feedback
from surgaug.runtime.parallel import cores, in_threads, memory, processes_here
from surgaug.runtime.paths import cache_folder, portable

# Where frames are zoomed into, they are kept larger by as much, so that nothing is lost; at most so much.
MOST_OVERSIZE = 2.0
OF_MEMORY = 0.5  # share of the machine's memory that frames may fill where they cannot be kept on disk
SPARE_DISK = 2**30  # bytes that are left free
FORMAT = 1  # of what is kept; another number makes all of it anew
FILE = "records.bin"
WORKERS = 8  # threads that make batches, at most


@dataclass(frozen=True)
class Keeping:
    """How frames are kept ready.

    on_disk: in the cache folder, mapped by all processes; otherwise in memory. zoom: as in `Frames.draw`. group: those
    that train on the same frames; one of them digests the files.
    """

    on_disk: bool = True
    zoom: float = 0.0
    group: ProcessGroup = field(default_factory=ProcessGroup)

    @property
    def oversize(self) -> float:
        """How much larger than the training size frames are kept."""
        return min(MOST_OVERSIZE, 1 / (1 - self.zoom))


@dataclass(frozen=True)
class FrameBatch:
    """A batch of frames: images uint8 [b, H, W, 3] and index maps uint8 [b, d H, d W], d = `Frames.label_detail`.
    windows: where they lie, where these are parts of frames (`training/windows.py`)."""

    images: np.ndarray
    index_maps: np.ndarray
    windows: tuple[Any, ...] = ()


@dataclass(frozen=True)
class FrameDigests:
    """Digests of a frame's image file, of the file that its label map is read from, and of the label map itself."""

    image: str
    label_file: str
    label_map: str


class Frames:
    """Images uint8 [h, w, 3] and index maps uint8 [h, w], at the training size or as much larger as they are zoomed.

    They are made once and kept: on disk in the cache folder, in a file that all processes map and that later runs find
    again; in memory where that cannot be; and where they fit neither, they are decoded again at each use.

    size: (H, W) of the images. label_detail: index maps are so many times as fine (`UNetConfig.label_detail`).
    """

    def __init__(
        self,
        paired: PairedFrames,
        size: tuple[int, int],
        keeping: Keeping,
        feedback: Feedback,
        task: str,
        label_detail: int = 1,
    ):
        self.paired, self.size, self.label_detail = paired, size, label_detail
        self.oversize, self.on_disk = keeping.oversize, keeping.on_disk
        # Index maps are kept. They are resized in a space whose ids are its indices.
        self.indices, self.other_sides = paired.space.of_indices, other_sides(paired.space)
        self.digests: list[FrameDigests] = keeping.group.from_main(
            lambda: list(in_threads(self._digest, range(len(paired)), 0, feedback, "digests of frames", "frames"))
        )
        self._read: Callable[[int], Record] = self._keep(keeping, feedback, task)

    def _record(self, i: int) -> Record:
        """What is kept of frame `i`, from its files: image and index map first."""
        image, label_map = self.paired.load_image(i), self.paired.load_label(i)
        h, w = image.shape[:2]
        ratio = self.oversize * max(self.size[0] / h, self.size[1] / w)
        # Enlarged only where frames are never zoomed: a draw then has nothing left to resize.
        if ratio < 1 or (ratio > 1 and self.oversize == 1):
            h, w = round(h * ratio), round(w * ratio)
        label_map = resize_label_map(label_map, (h * self.label_detail, w * self.label_detail), self.paired.space)
        return resize_image(image, (h, w)), self.paired.space.to_index(label_map)

    def _about(self) -> dict[str, Any]:
        """The settings that decide what a record holds, as plain values."""
        return {
            "format": FORMAT,
            "kind": type(self).__name__,
            "size": self.size,
            "oversize": self.oversize,
            "label_detail": self.label_detail,
        }

    def _keep(self, keeping: Keeping, feedback: Feedback, task: str) -> Callable[[int], Record]:
        first = self._record(0)
        needed = sum(array.nbytes for array in first) * len(self)
        if keeping.on_disk:
            try:
                return self.kept("frames", [], needed, lambda: self._records(feedback, task), feedback).__getitem__
            except OSError as error:
                feedback.warn(f"frames are not kept on disk: {error}")
        limit = int(OF_MEMORY * memory() / processes_here())
        if needed > limit:
            feedback.warn(
                f"{len(self)} frames need {gib(needed)}, more than the {gib(limit)} of memory that they may fill: "
                "decoded again at each use, which is slow"
            )
            return self._record
        return list(self._records(feedback, task)).__getitem__

    def _records(self, feedback: Feedback, task: str) -> Iterator[Record]:
        return in_threads(self._record, range(len(self)), 0, feedback, task, "frames")

    def kept(
        self, what: str, about: list[Any], needed: int, make: Callable[[], Iterable[Record]], feedback: Feedback
    ) -> Records:
        """Records of these frames in the cache folder, made and written now unless they lie there.

        about: what else than the frames decides what they are, in plain values. needed: bytes. OSError where they
        cannot be kept.
        """
        told = json.dumps([self._about(), self.paired.space.to_dict(), [vars(d) for d in self.digests], *about])
        key = hashlib.blake2b(told.encode(), digest_size=8).hexdigest()
        name = portable(self.paired.root.resolve().name)[:60]
        folder = cache_folder() / what.replace(" ", "-") / f"{name}-{self.size[0]}x{self.size[1]}-{key}"
        # Pictures of patients: nobody else's business.
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / FILE
        with in_turn(folder, feedback):  # one process writes; the others find the file when their turn comes
            clean_leftovers(folder)
            try:
                return Records(path)
            except FileNotFoundError:
                pass
            except ValueError as error:
                feedback.warn(f"{error}: written anew")
            if needed + SPARE_DISK > shutil.disk_usage(folder).free:
                raise OSError(f"{folder} has no room for {gib(needed)}")
            write_records(path, make())
        records = Records(path)
        feedback.info(
            f"{len(records)} {what} ({gib(path.stat().st_size)}) kept for later runs in {folder}; delete it at will"
        )
        return records

    def _digest(self, i: int) -> FrameDigests:
        return FrameDigests(
            file_digest(self.paired.items[i].files[0]),
            self.paired.fingerprint(i)[:16],
            digest(self.paired.load_label(i)),
        )

    def __len__(self) -> int:
        return len(self.paired)

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        image, index_map, *_ = self._read(i)
        return image, index_map

    def view(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Frame `i` whole (centred where the shape differs) at the training size: image and index map."""
        image, index_map = self[i]
        return self._cut(image, index_map, 1.0, 0.5, 0.5)

    def draw(self, i: int, rng: np.random.Generator, flip: str, zoom: float) -> tuple[np.ndarray, np.ndarray, Any]:
        """Frame `i` with a random zoom and flips, the same for both: image [H, W, 3], index map [d H, d W], and its
        entry of `FrameBatch.windows`, None here."""
        image, index_map = self[i]
        # Half of the frames stay whole: what belongs to the border (black corners) must be learnt too.
        scale = 1.0 - zoom * max(0.0, 2 * rng.random() - 1)
        image, index_map = self._cut(image, index_map, scale, rng.random(), rng.random())
        for axis, code in (("h", 1), ("v", 0)):
            if axis in flip and rng.random() < 0.5:
                image, index_map = cv2.flip(image, code), self.mirrored(index_map, code)
        return image, index_map, None

    def mirrored(self, index_map: np.ndarray, code: int) -> np.ndarray:
        """An index map mirrored (OpenCV's code of the axis), with the classes of the other side."""
        return cv2.LUT(cv2.flip(index_map, code), self.other_sides)

    def _cut(self, image: np.ndarray, index_map: np.ndarray, scale: float, y: float, x: float) -> tuple:
        (h, w), (height, width) = image.shape[:2], self.size
        ratio = scale * min(h / height, w / width)
        ch, cw = max(1, min(h, round(height * ratio))), max(1, min(w, round(width * ratio)))
        top, left, d = round(y * (h - ch)), round(x * (w - cw)), self.label_detail
        image = image[top : top + ch, left : left + cw]
        index_map = index_map[d * top : d * (top + ch), d * left : d * (left + cw)]
        if (ch, cw) != (height, width):
            image = resize_image(image, self.size)
            index_map = resize_label_map(index_map, (d * height, d * width), self.indices)
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
    workers: int = 0,
) -> Iterator[FrameBatch]:
    """`part` of each global batch, from `step` on.

    Not `paired`: images and maps are of frames drawn independently of each other.
    The next batches are made in threads while the current one is trained on. workers: so many, and one batch more is
    ready or in the making; 0: as many as this process's share of the cores allows, at most `WORKERS`.
    """
    cv2.setNumThreads(1)
    workers = workers or max(1, min(WORKERS, cores() // processes_here() // 2))
    # Paired: one stream of frames gives image and map. Else a second stream, of other seeds, gives the maps.
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

    with ThreadPoolExecutor(workers, thread_name_prefix="surgaug-frames") as pool:
        tasks = ((n, [(key, list(islice(numbers, batch))) for key, numbers in streams]) for n in count(step))
        ahead = deque(pool.submit(make, *task) for task in islice(tasks, workers))
        try:
            while True:
                ahead.append(pool.submit(make, *next(tasks)))
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()


def gib(size: int) -> str:
    """Bytes as text."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**28 else f"{size / 2**20:.0f} MiB"
