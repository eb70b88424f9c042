"""One pass over the images of a folder: features of all, regions of the labelled, values of pairs; kept by content."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from surgaug.errors import DataError
from surgaug.io.images import read_image
from surgaug.labels.resize import resize_image
from surgaug.runtime.feedback import Feedback
from surgaug.runtime.parallel import in_threads
from surgaug.scoring.compute import regions
from surgaug.scoring.compute.cache import FeatureCache, key
from surgaug.scoring.features import Feature

Size = tuple[int, int]
PairValue = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Extraction:
    """What to extract: features by name, and whether to describe the regions of label maps as well."""

    features: dict[str, Feature]
    regions: bool
    workers: int
    cache: FeatureCache


@dataclass(frozen=True)
class Partners:
    """Pairs: the real frame of each image (None: it has none), its number, and metrics with what identifies them."""

    paths: tuple[Path | None, ...]
    numbers: np.ndarray
    metrics: dict[str, tuple[PairValue, str]]


@dataclass
class Pass:
    """What a pass found.

    features: [n, d] by extractor. regions: an array [regions, 1 + 22] for each image (see `compute.regions`). pairs:
    by metric, values and numbers of the real frames; pair_errors: why some have none.
    """

    features: dict[str, np.ndarray] = field(default_factory=dict)
    regions: list[np.ndarray] = field(default_factory=list)
    pairs: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    pair_errors: dict[str, str] = field(default_factory=dict)


@dataclass
class _Extracted:
    """What one image gave: vectors by extractor, the cache keys for networks that have yet to see it, and what to
    keep."""

    vectors: dict[str, np.ndarray] = field(default_factory=dict)
    unseen: dict[str, bytes] = field(default_factory=dict)
    shown: np.ndarray | None = None
    values: dict[str, float | str] = field(default_factory=dict)
    regions: np.ndarray | None = None
    fresh: list[tuple[bytes, np.ndarray]] = field(default_factory=list)


class _Image:
    """An image file: a hash of what it holds, and its pixels, read when they are first needed."""

    def __init__(self, path: Path) -> None:
        self.path, self.content = path, _content(path)

    @cached_property
    def pixels(self) -> np.ndarray:
        return read_image(self.path)


class _Batch:
    """Images that wait until there are enough of them for a network."""

    def __init__(self, feature: Feature) -> None:
        self._feature = feature
        self._waiting: list[tuple[int, bytes, np.ndarray]] = []

    def add(self, i: int, name: bytes, pixels: np.ndarray) -> bool:
        """Whether the batch is full with image `i`, whose vector is to be kept under a key."""
        self._waiting.append((i, name, pixels))
        return len(self._waiting) == self._feature.batch

    def run(self) -> list[tuple[int, bytes, np.ndarray]]:
        """Number, key and vector of each image that waited."""
        if not self._waiting:
            return []
        numbers, names, pixels = zip(*self._waiting, strict=True)
        self._waiting.clear()
        return list(zip(numbers, names, self._feature.extract(np.stack(pixels)), strict=True))


def run_pass(
    images: tuple[Path, ...],
    size: Size,
    extraction: Extraction,
    feedback: Feedback,
    description: str,
    labels: Callable[[int], np.ndarray] | None = None,
    partners: Partners | None = None,
) -> Pass:
    """Features of every image at `size` (H, W), and values of each pair at the image's own size.

    labels: gives the label map of image i at `size`.

    Raises:
        DataError: an image cannot be read, or is too small to be described.
    """
    batches = {name: _Batch(feature) for name, feature in extraction.features.items() if feature.batch}
    vectors: dict[str, list[Any]] = {name: [None] * len(images) for name in extraction.features}
    values: dict[str, list[tuple[float, int]]] = {name: [] for name in (partners.metrics if partners else ())}
    done = Pass()

    def extract(i: int) -> _Extracted:
        return _extract(i, images[i], size, extraction, labels, partners)

    with feedback.task(description, len(images), "images") as task:
        for i, one in enumerate(in_threads(extract, range(len(images)), extraction.workers)):
            for name, vector in one.vectors.items():
                vectors[name][i] = vector
            if one.regions is not None:
                done.regions.append(one.regions)
            for name, value in one.values.items():
                if isinstance(value, str):
                    done.pair_errors.setdefault(name, f"{images[i]}: {value}")
                elif partners is not None:
                    values[name].append((value, int(partners.numbers[i])))
            ready = one.fresh
            for name, unseen in one.unseen.items():
                assert one.shown is not None  # it was resized for the network
                if batches[name].add(i, unseen, one.shown):
                    ready += _taken(batches[name], vectors[name])
            if ready:
                extraction.cache.put(ready)
            task.advance(1)
        for name, batch in batches.items():
            extraction.cache.put(_taken(batch, vectors[name]))
    done.features = {name: np.stack(rows) for name, rows in vectors.items()}
    for name, pairs in values.items():
        done.pairs[name] = (np.array([v for v, _ in pairs], np.float64), np.array([p for _, p in pairs], np.int64))
    return done


def _taken(batch: _Batch, vectors: list[Any]) -> list[tuple[bytes, np.ndarray]]:
    """A batch run: its vectors put in their places, and what to keep of it."""
    found = batch.run()
    for i, _, vector in found:
        vectors[i] = vector
    return [(name, vector) for _, name, vector in found]


def pair_value(metric: PairValue, identity: str, first: Path, second: Path, cache: FeatureCache) -> float:
    """`metric` of two image files, the second resized to the first where they differ; from the cache if it is there.

    Raises:
        DataError: an image cannot be read.
        ValueError: the metric has no value for them.
    """
    name = key(identity, _content(first), _content(second))
    if (kept := cache.get(name)) is not None:
        return float(kept.view(np.float64)[0])
    value = metric(*_same_size(read_image(first), read_image(second)))
    cache.put([(name, np.array([value]).view(np.float32))])
    return value


def _extract(
    i: int,
    path: Path,
    size: Size,
    extraction: Extraction,
    labels: Callable[[int], np.ndarray] | None,
    partners: Partners | None,
) -> _Extracted:
    """All that can be had of image `i` without a network, from the cache where it is there."""
    image, out = _Image(path), _Extracted()
    at, cache = f"{size[0]}x{size[1]}", extraction.cache
    for name, feature in extraction.features.items():
        known = key(feature.identity, at, image.content)
        if (kept := cache.get(known)) is not None:
            out.vectors[name] = kept
            continue
        if out.shown is None:
            out.shown = resize_image(image.pixels, size)
        if feature.batch:
            out.unseen[name] = known
            continue
        try:
            out.vectors[name] = feature.extract(out.shown)
        except ValueError as reason:
            raise DataError(f"{path}: {reason}") from reason
        out.fresh.append((known, out.vectors[name]))
    if extraction.regions and labels is not None:
        label_map = labels(i)
        known = key(f"regions {regions.VERSION}", at, image.content, str(label_map.dtype), label_map.tobytes())
        out.regions = cache.get(known)
        if out.regions is None:
            out.regions = regions.extract(resize_image(image.pixels, size), label_map)
            out.fresh.append((known, out.regions))
    if partners and (partner := partners.paths[i]):
        out.values, fresh = _pair_values(image, partner, partners.metrics, cache)
        out.fresh += fresh
    if not out.unseen:
        out.shown = None  # many results wait at once
    return out


def _pair_values(
    shown: _Image, partner: Path, metrics: dict[str, tuple[PairValue, str]], cache: FeatureCache
) -> tuple[dict[str, float | str], list[tuple[bytes, np.ndarray]]]:
    """Value, or why there is none, of each metric; and what to keep."""
    other = _content(partner)
    keys = {name: key(identity, shown.content, other) for name, (_, identity) in metrics.items()}
    kept = {name: cache.get(k) for name, k in keys.items()}
    values: dict[str, float | str] = {n: float(k.view(np.float64)[0]) for n, k in kept.items() if k is not None}
    missing = [name for name in metrics if name not in values]
    if not missing:
        return values, []
    image, real = _same_size(shown.pixels, read_image(partner))
    fresh = []
    for name in missing:
        try:
            values[name] = metrics[name][0](image, real)
            # The cache holds single precision; a value is kept whole as two of its numbers.
            fresh.append((keys[name], np.array([values[name]]).view(np.float32)))
        except ValueError as reason:
            values[name] = str(reason)
    return values, fresh


def _same_size(image: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return image, other if other.shape == image.shape else resize_image(other, image.shape[:2])


def _content(path: Path) -> bytes:
    """A hash of what the file holds. DataError where it cannot be read."""
    try:
        return key(path.read_bytes())
    except OSError as reason:
        raise DataError(f"{path}: cannot be read ({reason.strerror})") from reason
