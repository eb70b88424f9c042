"""One pass over the images of a folder: features of all, and pair values against real frames where there are any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import numpy as np

from surgaug.data.raster import read_image
from surgaug.data.resize import resize_image
from surgaug.errors import DataError
from surgaug.feedback import Feedback
from surgaug.scoring.features import colour_texture
from surgaug.scoring.images import in_order

Size = tuple[int, int]


@dataclass(frozen=True)
class Extraction:
    """How to look at each image. `network` takes uint8 [B, H, W, 3] to float32 [B, 2048], `batch` images at a time."""

    colour_texture: bool
    network: Callable[[np.ndarray], np.ndarray] | None
    batch: int
    workers: int


@dataclass
class Pass:
    """What a pass found: `features` [n, d] by extractor; `pairs` by metric: values and the real frame's position.

    `sizes` counts the images' own sizes, `resized_pairs` the real frames that had to be resized to their partner's.
    """

    features: dict[str, np.ndarray] = field(default_factory=dict)
    pairs: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    pair_errors: dict[str, str] = field(default_factory=dict)
    sizes: Counter[Size] = field(default_factory=Counter)
    resized_pairs: int = 0


@dataclass(frozen=True)
class _Look:
    """What one image gave."""

    size: Size
    vector: np.ndarray | None
    pixels: np.ndarray | None
    values: dict[str, float | str]
    resized: bool


def run_pass(
    images: tuple[Path, ...],
    size: Size,
    extraction: Extraction,
    feedback: Feedback,
    description: str,
    partners: tuple[Path | None, ...] = (),
    partner_ids: np.ndarray | None = None,
    pair_metrics: dict[str, ModuleType] | None = None,
) -> Pass:
    """Look at every image at `size` (H, W), and at each pair at the synthetic image's own size.

    Raises:
        DataError: an image cannot be read, or is too small to be described.
    """
    pair_metrics = pair_metrics or {}

    def look(i: int) -> _Look:
        image = read_image(images[i])
        own = image.shape[:2]
        partner = partners[i] if pair_metrics and partners else None
        values, resized = _pair_values(image, partner, pair_metrics) if partner else ({}, False)
        if own != size and (extraction.colour_texture or extraction.network):
            image = resize_image(image, size)
        vector = _describe(image, images[i]) if extraction.colour_texture else None
        return _Look(own, vector, image if extraction.network else None, values, resized)

    found = Pass()
    vectors, deep, values = [], [], {name: [] for name in pair_metrics}
    batch: list[np.ndarray] = []
    with feedback.task(description, len(images), "images") as task:
        for i, seen in enumerate(in_order(look, range(len(images)), extraction.workers)):
            found.sizes[seen.size] += 1
            found.resized_pairs += seen.resized
            if seen.vector is not None:
                vectors.append(seen.vector)
            for name, value in seen.values.items():
                if isinstance(value, str):
                    found.pair_errors.setdefault(name, f"{images[i]}: {value}")
                else:
                    values[name].append((value, partner_ids[i]))
            if seen.pixels is not None:
                batch.append(seen.pixels)
                if len(batch) == extraction.batch or i + 1 == len(images):
                    deep.append(extraction.network(np.stack(batch)))
                    batch.clear()
            task.advance(1)
    if vectors:
        found.features["colour_texture"] = np.stack(vectors)
    if deep:
        found.features["inception"] = np.concatenate(deep)
    for name, pairs in values.items():
        found.pairs[name] = (np.array([v for v, _ in pairs], np.float64), np.array([p for _, p in pairs], np.int64))
    return found


def _pair_values(image: np.ndarray, partner: Path, pair_metrics: dict[str, ModuleType]) -> tuple[dict, bool]:
    """Value, or why there is none, of each metric; and whether the real frame was resized."""
    real = read_image(partner)
    resized = real.shape != image.shape
    if resized:
        real = resize_image(real, image.shape[:2])
    values: dict[str, float | str] = {}
    for name, metric in pair_metrics.items():
        try:
            values[name] = metric.compute(image, real)
        except ValueError as reason:
            values[name] = str(reason)
    return values, resized


def _describe(image: np.ndarray, path: Path) -> np.ndarray:
    try:
        return colour_texture.extract(image)
    except ValueError as reason:
        raise DataError(f"{path}: {reason}") from reason
