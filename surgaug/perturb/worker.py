"""The part of a run that a worker does: the new maps of one mask. Depends on (seed, sample) alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from surgaug.datasets.dataset import LabelMaps
from surgaug.datasets.provenance import source_row
from surgaug.errors import DataError
from surgaug.io.atomic import write_bytes
from surgaug.perturb.engine import Engine, sample_rng

LABELS = "labels"
# IMWRITE_PNG_FILTER, up: label maps a third smaller, and faster written. OpenCV before 4.12 passes over it.
_PNG = (19, 32)


@dataclass(frozen=True)
class Job:
    """What every worker knows."""

    maps: LabelMaps
    engine: Engine
    seed: int
    out: Path


@dataclass(frozen=True)
class Chunk:
    """New maps `samples` to make of mask `mask`; `original`: the name of the mask's own copy, or None for no copy."""

    mask: int
    samples: tuple[int, ...]
    original: str | None = None


@dataclass
class Done:
    """Manifest rows of what was written; samples that were given up, with why, and their refusals by "op: reason"."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    skipped: dict[int, str] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)


def label_name(stem: str, sample: int) -> str:
    """A new map's path within the output folder."""
    return f"{LABELS}/{stem}_{sample:06d}.png"


def do(job: Job, chunk: Chunk) -> Done:
    """Make and write the maps of a chunk. Raises DataError where a file cannot be read or written."""
    done = Done()
    item = job.maps.items[chunk.mask]
    scene = job.engine.scene(job.maps.load(chunk.mask))
    source: dict[str, Any] = {**source_row(item), "mask_file": str(item.label)}  # as it was called in 0.1
    if chunk.original is not None:
        done.rows.append(
            _written(
                job,
                chunk.original,
                scene.label_map,
                scene.counts,
                {"index": -1 - chunk.mask, **source, "perturbations": []},
            )
        )
    for k in chunk.samples:
        outcome = job.engine.make(scene, chunk.mask, sample_rng(job.seed, k))
        if not outcome.records:
            done.refused += outcome.refused
            done.skipped[k] = _why(outcome.refused)
            continue
        row = {"index": k, **source, "perturbations": outcome.records, "seed": job.seed, "tries": outcome.tries}
        row |= {"refused": dict(outcome.refused), "plausibility": round(outcome.plausibility or 0.0, 4)}
        done.rows.append(_written(job, label_name(item.name, k), outcome.label_map, outcome.counts, row))
    return done


def encode(label_map: np.ndarray) -> bytes:
    """A map of ids [H, W], uint8 or uint16, as a single-channel PNG."""
    return cv2.imencode(".png", label_map, _PNG)[1].tobytes()


def _why(refused: Counter[str]) -> str:
    return ", ".join(f"{reason} ({n}x)" if n > 1 else reason for reason, n in refused.most_common()) or "no change"


def _written(job: Job, name: str, label_map: np.ndarray, counts: np.ndarray, row: dict[str, Any]) -> dict[str, Any]:
    path = job.out / name
    try:
        write_bytes(path, encode(label_map))
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error})") from error
    classes = {str(i): int(counts[i]) for i in np.flatnonzero(counts) if int(i) != job.maps.space.ignore}
    return {"index": row.pop("index"), "label": name, **row, "size": list(label_map.shape), "classes": classes}
