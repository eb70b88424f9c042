"""The output folder: whose it is, and what stands beside the images when all are there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from surgaug import __version__
from surgaug.data.atomic import clean_leftovers, write_png, write_text
from surgaug.data.label_space import LabelSpace
from surgaug.data.settings import differences
from surgaug.errors import DataError, UsageError
from surgaug.models.weights import LoadedModel
from surgaug.synthesis.config import SynthesizeConfig
from surgaug.synthesis.manifest import MANIFEST, join_parts, read_rows
from surgaug.synthesis.preview import contact_sheet, pick

IMAGES, LABELS = "images", "labels"
DATASET, PREVIEW = "dataset.json", "preview.png"
FORMAT = "surgaug-dataset-1"


def image_and_label(name: str) -> tuple[str, str]:
    """The two files of a sample, relative to the output folder."""
    return f"{IMAGES}/{name}.png", f"{LABELS}/{name}.png"


def describe(
    config: SynthesizeConfig,
    file: Path,
    model: LoadedModel,
    space: LabelSpace,
    settings: dict[str, Any],
    num_masks: int,
) -> dict[str, Any]:
    """What `dataset.json` says before the first sample."""
    return {
        "format": FORMAT,
        "surgaug": __version__,
        "complete": False,
        "samples": config.n,
        "masks": {"source": None if isinstance(config.masks, tuple) else str(config.masks), "count": num_masks},
        "model": {"file": str(file), "hash": model.hash, "size": list(model.size), "prediction": model.prediction}
        | {"schedule": model.schedule, "meta": model.meta},
        "settings": settings,
        "label_space": space.to_dict(),
    }


def refuse_other(out: Path, description: dict[str, Any]) -> None:
    """Raise DataError when the folder holds something else, UsageError, with the differences, another data set."""
    file = out / DATASET
    if file.exists():
        _refuse_difference(file, description)
    elif out.exists() and (strangers := sorted(p.name for p in out.iterdir() if not p.name.startswith("."))):
        raise DataError(
            f"{out}: the folder is not empty and holds no data set of surgaug ({', '.join(strangers[:5])}); "
            "give another --out"
        )


def claim(out: Path, description: dict[str, Any]) -> None:
    """Make the folder ready for this data set: subfolders, `dataset.json`, no leftovers of a killed run.

    Raises as `refuse_other` does.
    """
    refuse_other(out, description)
    for name in (IMAGES, LABELS):
        (out / name).mkdir(exist_ok=True)
    for folder in (out, out / IMAGES, out / LABELS):
        clean_leftovers(folder)
    _write(out / DATASET, description)


def _refuse_difference(file: Path, description: dict[str, Any]) -> None:
    try:
        old = json.loads(file.read_text(encoding="utf-8"))
        settings, samples = old["settings"], old["samples"]
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{file}: not a description of a data set of surgaug; give another --out") from None
    if lines := differences(settings, description["settings"]):
        raise UsageError(
            f"{file.parent} holds a data set made with other settings ({'; '.join(lines)}); "
            "repeat the settings it began with, or give another --out"
        )
    if samples > description["samples"]:
        raise UsageError(
            f"{file.parent} was begun with --n {samples}, and --n {description['samples']} would leave some out; "
            f"give --n {samples} or more, or another --out"
        )


def finish(out: Path, description: dict[str, Any], space: LabelSpace) -> None:
    """With all samples there: sort the manifest, draw the contact sheet, write `dataset.json` with the counts."""
    n = description["samples"]
    totals = join_parts(out, n)
    classes = [
        {"id": c.id, "name": c.name, "images": totals["images"][c.id], "pixels": totals["pixels"][c.id]}
        for c in space.classes
    ]
    draw_preview(out, n, space, description)
    _write(out / DATASET, {**description, "complete": True, "counts": {"images": n, "classes": classes}})


def draw_preview(out: Path, n: int, space: LabelSpace, description: dict[str, Any]) -> None:
    """`preview.png`: samples evenly spread over the data set."""
    wanted = set(pick(n))
    rows = [row for _, row in read_rows(out / MANIFEST) if row["index"] in wanted]
    pairs = [(Path(r["image"]).stem, _read(out / r["image"]), _read(out / r["label"])) for r in rows]
    settings = description["settings"]
    title = (
        f"{len(pairs)} of {n} samples   model {Path(description['model']['file']).parent.name} "
        f"{description['model']['hash'][:8]}   {settings['sampler']} {settings['steps']} steps   "
        f"guidance {settings['guidance']:g}   seed {settings['seed']}"
    )
    write_png(out / PREVIEW, contact_sheet(pairs, space, title))


def _read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def _write(file: Path, description: dict[str, Any]) -> None:
    write_text(file, json.dumps(description, indent=2, ensure_ascii=False) + "\n")
