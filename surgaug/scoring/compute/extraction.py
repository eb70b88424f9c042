"""One pass over the images of a folder: features of all, regions of the labelled, values of pairs; kept by content."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from surgaug.errors import DataError
from surgaug.io.images import read_image
from surgaug.labels.resize import resize_image
from surgaug.runtime.feedback import Feedback
from surgaug.runtime.parallel import in_threads
from surgaug.scoring.compute.cache import FeatureCache, key
from surgaug.scoring.features import regions

Size = tuple[int, int]
PairValue = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Feature:
    """One way to describe an image. `identity` names it with all that its numbers depend on.

    batch: 0 for a function of one image uint8 [H, W, 3] to float32 [d], called in threads; otherwise one of that many
    images [B, H, W, 3] to [B, d].
    """

    extract: Callable[[np.ndarray], np.ndarray]
    identity: str
    batch: int = 0


@dataclass(frozen=True)
class Extraction:
    """How to look at images: features by name, and whether to describe the regions of label maps."""

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

    features: [n, d] by extractor. regions: an array [regions, 1 + 22] for each image (see `features.regions`). pairs:
    by metric, values and numbers of the real frames; pair_errors: why some have none.
    """

    features: dict[str, np.ndarray] = field(default_factory=dict)
    regions: list[np.ndarray] = field(default_factory=list)
    pairs: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    pair_errors: dict[str, str] = field(default_factory=dict)


@dataclass
class _Look:
    """What one image gave: vectors by extractor, pixels for the networks that have not seen it, and what to keep."""

    vectors: dict[str, np.ndarray]
    wanted: dict[str, bytes]
    pixels: np.ndarray | None
    values: dict[str, float | str]
    regions: np.ndarray | None
    fresh: list[tuple[bytes, np.ndarray]]


def run_pass(
    images: tuple[Path, ...],
    size: Size,
    extraction: Extraction,
    feedback: Feedback,
    description: str,
    labels: Callable[[int], np.ndarray] | None = None,
    partners: Partners | None = None,
) -> Pass:
    """Look at every image at `size` (H, W), and at each pair at the image's own size.

    labels: gives the label map of image i at `size`.

    Raises:
        DataError: an image cannot be read, or is too small to be described.
    """
    networks = {name: feature for name, feature in extraction.features.items() if feature.batch}
    found = Pass()
    waiting: dict[str, list[Any]] = {name: [] for name in networks}
    vectors: dict[str, list[Any]] = {name: [None] * len(images) for name in extraction.features}
    values: dict[str, list[tuple[float, int]]] = {name: [] for name in (partners.metrics if partners else ())}

    def look(i: int) -> _Look:
        return _look(images[i], size, extraction, None if labels is None else partial(labels, i), partners, i)

    def flush(name: str) -> list[tuple[bytes, np.ndarray]]:
        numbers, names, pixels = zip(*waiting[name], strict=True)
        waiting[name].clear()
        batch = networks[name].extract(np.stack(pixels))
        for i, vector in zip(numbers, batch, strict=True):
            vectors[name][i] = vector
        return list(zip(names, batch, strict=True))

    with feedback.task(description, len(images), "images") as task:
        for i, seen in enumerate(in_threads(look, range(len(images)), extraction.workers)):
            for name, vector in seen.vectors.items():
                vectors[name][i] = vector
            if seen.regions is not None:
                found.regions.append(seen.regions)
            for name, value in seen.values.items():
                if isinstance(value, str):
                    found.pair_errors.setdefault(name, f"{images[i]}: {value}")
                elif partners is not None:
                    values[name].append((value, int(partners.numbers[i])))
            fresh = seen.fresh
            for name, wanted in seen.wanted.items():
                waiting[name].append((i, wanted, seen.pixels))
                if len(waiting[name]) == networks[name].batch:
                    fresh += flush(name)
            if fresh:
                extraction.cache.put(fresh)
            task.advance(1)
        for name in networks:
            if waiting[name]:
                extraction.cache.put(flush(name))
    found.features = {name: np.stack(rows) for name, rows in vectors.items()}
    for name, pairs in values.items():
        found.pairs[name] = (np.array([v for v, _ in pairs], np.float64), np.array([p for _, p in pairs], np.int64))
    return found


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


def _look(
    path: Path,
    size: Size,
    extraction: Extraction,
    label: Callable[[], np.ndarray] | None,
    partners: Partners | None,
    i: int,
) -> _Look:
    content = _content(path)
    at = f"{size[0]}x{size[1]}"
    keys = {name: key(feature.identity, at, content) for name, feature in extraction.features.items()}
    vectors = {name: kept for name, k in keys.items() if (kept := extraction.cache.get(k)) is not None}
    image = None

    def pixels() -> np.ndarray:
        nonlocal image
        if image is None:
            image = read_image(path)
        return image

    fresh, wanted, shown = [], {}, None
    for name, feature in extraction.features.items():
        if name in vectors:
            continue
        if shown is None:
            shown = resize_image(pixels(), size)
        if feature.batch:
            wanted[name] = keys[name]
            continue
        try:
            vectors[name] = feature.extract(shown)
        except ValueError as reason:
            raise DataError(f"{path}: {reason}") from reason
        fresh.append((keys[name], vectors[name]))
    found = None
    if extraction.regions and label is not None:
        label_map = label()
        known = key(f"regions {regions.VERSION}", at, content, str(label_map.dtype), label_map.tobytes())
        found = extraction.cache.get(known)
        if found is None:
            found = regions.extract(resize_image(pixels(), size), label_map)
            fresh.append((known, found))
    values: dict[str, float | str] = {}
    if partners and (partner := partners.paths[i]):
        values, pair_values = _pair_values(content, pixels, partner, partners.metrics, extraction.cache)
        fresh += pair_values
    return _Look(vectors, wanted, shown if wanted else None, values, found, fresh)


def _pair_values(
    content: bytes,
    pixels: Callable[[], np.ndarray],
    partner: Path,
    metrics: dict[str, tuple[PairValue, str]],
    cache: FeatureCache,
) -> tuple[dict[str, float | str], list[tuple[bytes, np.ndarray]]]:
    """Value, or why there is none, of each metric; and what to keep."""
    other = _content(partner)
    keys = {name: key(identity, content, other) for name, (_, identity) in metrics.items()}
    kept = {name: cache.get(k) for name, k in keys.items()}
    values: dict[str, float | str] = {n: float(k.view(np.float64)[0]) for n, k in kept.items() if k is not None}
    missing = [name for name in metrics if name not in values]
    if not missing:
        return values, []
    image, real = _same_size(pixels(), read_image(partner))
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
