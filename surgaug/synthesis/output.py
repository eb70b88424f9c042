"""The output folder: its description, the manifest row of each image, files written in threads (so that the device
never waits for the disk), and what stands beside the images when all are there."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from surgaug.datasets.admission import ADMISSION, admission_of
from surgaug.datasets.item import WrittenItem
from surgaug.datasets.provenance import source_row
from surgaug.datasets.stored_ids import FORMAT
from surgaug.datasets.writer import DatasetWriter
from surgaug.errors import DataError
from surgaug.io.atomic import write_png, write_text
from surgaug.io.images import read_image
from surgaug.io.journal import Journal
from surgaug.io.manifest import REFUSED, part_paths
from surgaug.io.output_folder import PREVIEW, write_description
from surgaug.labels.contact_sheet import ContactSheet
from surgaug.models.checkpoint import LoadedModel
from surgaug.runtime.feedback import Feedback
from surgaug.runtime.spread import spread
from surgaug.segmenter.judge import Reading
from surgaug.synthesis.config import SynthesizeConfig
from surgaug.synthesis.inputs import Inputs
from surgaug.synthesis.samples import Sample
from surgaug.version import __version__

PAIRS, _COLUMNS, _WIDTH = 24, 3, 1600
_NAMED = 5
# Settings of a run that the row of each sample tells as well.
TOLD = ("model", "seed", "sampler", "steps", "guidance", "options", "second")
# An image whose grey levels spread less than this shows nothing.
FLAT = 2.0
_DIGITS = 4


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
        if len(refused) or part_paths(target.root, REFUSED):
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


def row_of(
    inputs: Inputs, sample: Sample, paths: tuple[str, str], image: np.ndarray, style: str | None, compiled: bool
) -> dict[str, Any]:
    """Of a sample whose image uint8 [H, W, 3] and label map go to `paths`, relative to the output folder.

    style: the training frame whose style was drawn, if any. compiled: whether the network was. The label map is the
    sample's own; what a judge made of it is `judged_row`'s.
    """
    item, sampling = inputs.maps.items[sample.mask], inputs.sampling
    options = sampling.options | inputs.styles.options
    ids, counts = np.unique(sample.label_map, return_counts=True)
    classes = {str(i): int(n) for i, n in zip(ids, counts, strict=True) if int(i) in inputs.maps.space.ids}
    return {
        "index": sample.index,
        "image": paths[0],
        "label": paths[1],
        **source_row(item),
        "size": list(sample.size),
        "perturbations": sample.perturbations,
        "seed": inputs.config.seed,
        "sampler": sampling.sampler,
        "steps": sampling.steps,
        "guidance": sampling.guidance,
        **({"style": style} if style else {}),
        **({"options": options} if options else {}),
        **({"second": sampling.second.described()} if sampling.second else {}),
        "model": inputs.model.hash,
        **({"stages": [stage.hash for stage in inputs.model.stages]} if inputs.model.stages else {}),
        **({"compiled": True} if compiled else {}),
        "classes": classes,
        "checks": {"not_flat": bool(image.std() >= FLAT), "classes_kept": sample.classes_kept},
    }


def judged_row(reading: Reading, label_full: str, draw: int) -> dict[str, Any]:
    """What a judge's reading adds to the row of its image, or changes in it.

    label_full: where the whole label map lies. draw: how often the sample was drawn before.
    """
    return {
        "classes": {str(i): n - doubted for i, (n, doubted) in reading.pixels.items() if n > doubted},
        "agreement": round(reading.agreement, _DIGITS),
        "agreement_by_class": {str(i): round(share, _DIGITS) for i, share in reading.agreement_by_class().items()},
        "doubted": {str(i): doubted for i, (_, doubted) in reading.pixels.items() if doubted},
        "label_full": label_full,
        **({"draw": draw} if draw else {}),
    }


def refused_row(row: dict[str, Any], reading: Reading, draw: int) -> dict[str, Any]:
    """The row of an image that was refused: the same, with its name and without files."""
    whole = {**row, **judged_row(reading, "", draw), "name": PurePosixPath(row["image"]).stem}
    return {key: value for key, value in whole.items() if key not in ("image", "label", "label_full")}


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
