"""The part of a run that a worker does: the new maps of one mask. Depends on (seed, sample) alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from surgaug.data.atomic import write_bytes
from surgaug.data.dataset import LabelMaps
from surgaug.errors import DataError
from surgaug.perturb.knowledge import Knowledge, Sight, look
from surgaug.perturb.mixer import Op, mix
from surgaug.perturb.scene import Scene

LABELS = "labels"
_ORDER, _SAMPLE = range(2)


@dataclass(frozen=True)
class Job:
    """What every worker knows."""

    maps: LabelMaps
    ops: tuple[Op, ...]
    seed: int
    tries: int
    out: Path
    knowledge: Knowledge | None = None


@dataclass(frozen=True)
class Chunk:
    """New maps `samples` to make of mask `mask`; `original`: the name to write the mask itself under, if wanted."""

    mask: int
    samples: tuple[int, ...]
    original: str | None = None


@dataclass
class Done:
    """Manifest rows of what was written, samples that had to be skipped, refusals counted by "op: reason"."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    skipped: dict[int, str] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)


def sample_rng(seed: int, sample: int) -> np.random.Generator:
    """The generator of one sample."""
    return _generator(seed, _SAMPLE, sample)


def assign_masks(n: int, num_masks: int, seed: int) -> np.ndarray:
    """The mask of each sample, int64 [n]: shuffled anew each lap, every mask once a lap, whatever n is."""
    laps = [_generator(seed, _ORDER, lap).permutation(num_masks) for lap in range(-(-n // num_masks))]
    return np.concatenate(laps)[:n]


def _generator(seed: int, stream: int, key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([seed & 0xFFFFFFFF, seed >> 32, stream, key]))


def label_name(stem: str, sample: int) -> str:
    """A new map's path within the output folder."""
    return f"{LABELS}/{stem}_{sample:06d}.png"


def look_at(job: Job, mask: int) -> Sight:
    """What there is to learn from one mask."""
    return look(Scene(job.maps.load(mask), job.maps.space), job.maps.items[mask].name)


def do(job: Job, chunk: Chunk) -> Done:
    """Make and write the maps of a chunk. Raises DataError where a file cannot be read or written."""
    done = Done()
    item = job.maps.items[chunk.mask]
    scene = Scene(job.maps.load(chunk.mask), job.maps.space, knowledge=job.knowledge)
    source = {"mask": item.name, "mask_file": str(item.label)}
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
        outcome = mix(scene, job.ops, sample_rng(job.seed, k), tries=job.tries)
        done.refused += outcome.refused
        if not outcome.records or np.array_equal(outcome.label_map, scene.label_map):
            done.skipped[k] = ", ".join(sorted(outcome.refused)) or "nothing changed"
            continue
        row = {"index": k, **source, "perturbations": outcome.records, "seed": job.seed, "tries": outcome.tries}
        done.rows.append(_written(job, label_name(item.name, k), outcome.label_map, outcome.counts, row))
    return done


def _written(job: Job, name: str, label_map: np.ndarray, counts: np.ndarray, row: dict[str, Any]) -> dict[str, Any]:
    path = job.out / name
    try:
        write_bytes(path, cv2.imencode(".png", label_map)[1].tobytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error})") from error
    classes = {str(i): int(counts[i]) for i in np.flatnonzero(counts) if int(i) != job.maps.space.ignore}
    return {"index": row.pop("index"), "label": name, **row, "size": list(label_map.shape), "classes": classes}
