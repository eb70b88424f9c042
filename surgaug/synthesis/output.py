"""The output folder: whose it is, and what stands beside the images when all are there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from surgaug.datasets.admission import ADMISSION, admission_of
from surgaug.datasets.item import WrittenItem
from surgaug.datasets.stored_ids import FORMAT
from surgaug.datasets.writer import DatasetWriter
from surgaug.io.atomic import write_png, write_text
from surgaug.io.images import read_image
from surgaug.io.journal import Journal
from surgaug.io.manifest import REFUSED
from surgaug.io.output_folder import write_description
from surgaug.labels.contact_sheet import ContactSheet
from surgaug.models.checkpoint import LoadedModel
from surgaug.runtime.feedback import Feedback
from surgaug.runtime.spread import spread
from surgaug.synthesis.config import SynthesizeConfig
from surgaug.version import __version__

PREVIEW = "preview.png"
PAIRS, _COLUMNS, _WIDTH = 24, 3, 1600
_NAMED = 5


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


def finish(
    target: DatasetWriter,
    manifest: Journal,
    refused: Journal | None,
    description: dict[str, Any],
    frames: Sequence[WrittenItem],
    feedback: Feedback,
) -> None:
    """With all samples there: sort the manifest, write the layout's index files, draw the contact sheet, and write the
    description with the counts.

    refused: the samples that a judge left out, of which the admission report tells; None without a judge.
    """
    if refused is not None:
        if len(refused):
            refused.join()
        frames = [frame for frame in frames if frame.index not in refused]
    manifest.join(frame.index for frame in frames)
    images: Counter[int] = Counter()
    pixels: Counter[int] = Counter()
    for row in manifest.rows():
        counts = {int(i): count for i, count in row["classes"].items()}
        images.update(counts.keys())
        pixels.update(counts)
    classes = [
        {"id": c.id, "name": c.name, "images": images[c.id], "pixels": pixels[c.id]} for c in target.space.classes
    ]
    if frames:
        target.finish(frames)
        draw_preview(target, manifest, description)
    if refused is not None:
        admission = admission_of(manifest.rows(), refused.rows(), target.space)
        write_text(target.root / ADMISSION, json.dumps(admission.to_dict(), indent=2, ensure_ascii=False) + "\n")
        admission.tell(feedback)
        if names := [row.get("name", "") for row in refused.rows()]:
            listed = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
            feedback.info(f"refused by the judge: {listed} ({len(names)} in all, see {target.root / REFUSED})")
    found = {"complete": True, "counts": {"images": len(frames), "classes": classes}}
    write_description(target.description_file, description | found)


def draw_preview(target: DatasetWriter, manifest: Journal, description: dict[str, Any]) -> None:
    """`preview.png`: samples evenly spread over the data set, each label map beside its image."""
    out, n = target.root, len(manifest)
    chosen = spread(n, PAIRS)
    sheet = ContactSheet(target.space, min(_COLUMNS, len(chosen)), _WIDTH)
    made = manifest.made
    for row in manifest.rows(made[i] for i in chosen):
        label_map = target.decode(out / row["label"])
        panels = [target.space.colorize(label_map), read_image(out / row["image"])]
        sheet.add(Path(row["image"]).stem, panels, [label_map])
    settings = description["settings"]
    title = (
        f"{len(sheet)} of {n} samples   model {Path(description['model']['file']).parent.name} "
        f"{description['model']['hash'][:8]}   {settings['sampler']} {settings['steps']} steps   "
        f"guidance {settings['guidance']:g}   seed {settings['seed']}"
    )
    write_png(out / PREVIEW, sheet.draw(title))
