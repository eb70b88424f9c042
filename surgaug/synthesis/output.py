"""The output folder: whose it is, and what stands beside the images when all are there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from surgaug.datasets.item import WrittenItem
from surgaug.datasets.stored_ids import FORMAT
from surgaug.datasets.writer import DatasetWriter, refuse_strangers
from surgaug.io.atomic import write_png, write_text
from surgaug.io.images import read_image
from surgaug.io.output_folder import refuse_other_settings
from surgaug.models.checkpoint import LoadedModel
from surgaug.synthesis.config import SynthesizeConfig
from surgaug.synthesis.manifest import MANIFEST, join_parts, read_rows
from surgaug.synthesis.preview import contact_sheet, pick
from surgaug.version import __version__

PREVIEW = "preview.png"


def describe(
    config: SynthesizeConfig,
    file: Path,
    model: LoadedModel,
    target: DatasetWriter,
    settings: dict[str, Any],
    num_masks: int,
) -> dict[str, Any]:
    """What the description says before the first sample."""
    return {
        "format": FORMAT,
        "surgaug": __version__,
        "complete": False,
        "samples": config.n,
        "masks": {"source": None if isinstance(config.masks, tuple) else str(config.masks), "count": num_masks},
        "model": {"file": str(file), "hash": model.hash, "family": model.family, "size": list(model.size)}
        | {"prediction": model.prediction}
        | {"schedule": model.schedule, "meta": {k: v for k, v in model.meta.items() if k != "styles"}},
        "settings": settings,
        **target.description(),
    }


def refuse_other(target: DatasetWriter, description: dict[str, Any]) -> None:
    """Raise DataError when the folder holds something else, UsageError, with the differences, another data set."""
    refuse_strangers(target)
    if target.description_file.exists():
        refuse_other_settings(target.description_file, description, "a data set")


def claim(target: DatasetWriter, description: dict[str, Any], frames: Iterable[WrittenItem]) -> None:
    """Make the folder ready for this data set: subfolders, its description, no leftovers of a killed run.

    Raises as `refuse_other` does.
    """
    refuse_other(target, description)
    _write(target.description_file, description)  # first: what a kill leaves from here on is known as ours
    target.prepare(frames)


def finish(target: DatasetWriter, description: dict[str, Any], frames: Sequence[WrittenItem]) -> None:
    """With all samples there: sort the manifest, write the layout's index files, draw the contact sheet, and write the
    description with the counts."""
    n = description["samples"]
    totals = join_parts(target.root, n, lambda k: target.paths(frames[k]))
    classes = [
        {"id": c.id, "name": c.name, "images": totals["images"][c.id], "pixels": totals["pixels"][c.id]}
        for c in target.space.classes
    ]
    target.finish(frames)
    draw_preview(target, n, description)
    counts = {"images": n, "classes": classes}
    _write(target.description_file, {**description, "complete": True, "counts": counts})


def draw_preview(target: DatasetWriter, n: int, description: dict[str, Any]) -> None:
    """`preview.png`: samples evenly spread over the data set."""
    wanted, out = set(pick(n)), target.root
    rows = [row for _, row in read_rows(out / MANIFEST) if row["index"] in wanted]
    pairs = [(Path(r["image"]).stem, read_image(out / r["image"]), target.decode(out / r["label"])) for r in rows]
    settings = description["settings"]
    title = (
        f"{len(pairs)} of {n} samples   model {Path(description['model']['file']).parent.name} "
        f"{description['model']['hash'][:8]}   {settings['sampler']} {settings['steps']} steps   "
        f"guidance {settings['guidance']:g}   seed {settings['seed']}"
    )
    write_png(out / PREVIEW, contact_sheet(pairs, target.space, title))


def _write(file: Path, description: dict[str, Any]) -> None:
    write_text(file, json.dumps(description, indent=2, ensure_ascii=False) + "\n")
