"""Finished samples to disk, in threads, so that the device never waits for the disk."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from surgaug.datasets.writer import DatasetWriter
from surgaug.errors import DataError
from surgaug.io.atomic import write_png
from surgaug.io.journal import Journal


@dataclass(frozen=True)
class SyntheticImage:
    """A finished sample: image uint8 [H, W, 3], label map as `DatasetWriter.encode` makes it, and its manifest row.

    label_full: the label map before a judge took pixels out, written to the row's `label_full`; None without a judge.
    """

    image: np.ndarray
    label_map: np.ndarray
    row: dict[str, Any]
    label_full: np.ndarray | None = None


class Writer:
    """Writes label, image and manifest row of each sample, in that order: a row means that both files are complete.

    At most `capacity` samples wait; then `put` does. Use as a context manager: leaving it in peace waits for what is
    on its way, leaving it by an exception drops what has not begun.
    """

    def __init__(self, target: DatasetWriter, manifest: Journal, workers: int, capacity: int):
        self._target, self._manifest, self._capacity = target, manifest, capacity
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="write")
        self._pending: deque[Future[dict[str, Any]]] = deque()

    def put(self, sample: SyntheticImage) -> list[dict[str, Any]]:
        """Hand over one sample; returns the rows finished since the last call, and raises what a thread met."""
        finished = []
        while self._pending and (len(self._pending) >= self._capacity or self._pending[0].done()):
            finished.append(self._pending.popleft().result())
        self._pending.append(self._pool.submit(self._write, sample))
        return finished

    def drain(self) -> list[dict[str, Any]]:
        """Wait until everything is written; returns the rows finished since the last call."""
        finished = [future.result() for future in self._pending]
        self._pending.clear()
        return finished

    def _write(self, sample: SyntheticImage) -> dict[str, Any]:
        try:
            if sample.label_full is not None:
                self._target.write_label(sample.row["label_full"], sample.label_full)
            self._target.write_label(sample.row["label"], sample.label_map)
            write_png(self._target.root / sample.row["image"], sample.image)
            self._manifest.append([sample.row])
        except OSError as error:
            raise DataError(
                f"{self._target.root / sample.row['image']}: cannot be written ({error.strerror or error})"
            ) from error
        return sample.row

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: object, *exc: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)
