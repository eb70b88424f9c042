"""The manifest row of a synthetic image."""

from __future__ import annotations

from typing import Any

import numpy as np

from surgaug.datasets.provenance import source_row
from surgaug.synthesis.inputs import Inputs
from surgaug.synthesis.samples import Sample

# An image whose grey levels spread less than this shows nothing.
FLAT = 2.0


def row_of(
    inputs: Inputs, sample: Sample, paths: tuple[str, str], image: np.ndarray, style: str | None, compiled: bool
) -> dict[str, Any]:
    """Of a sample whose image uint8 [H, W, 3] and label map go to `paths`, relative to the output folder.

    style: the training frame whose style was drawn, if any. compiled: whether the network was.
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
