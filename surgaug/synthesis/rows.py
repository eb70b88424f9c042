"""The manifest row of a synthetic image."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import numpy as np

from surgaug.datasets.provenance import source_row
from surgaug.segmenter.judge import Reading
from surgaug.synthesis.inputs import Inputs
from surgaug.synthesis.samples import Sample

# An image whose grey levels spread less than this shows nothing.
FLAT = 2.0
_DIGITS = 4


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
        **({"second": sampling.second.told()} if sampling.second else {}),
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
