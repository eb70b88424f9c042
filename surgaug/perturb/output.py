"""The output folder of augment-masks: whose it is, and the contact sheet of masks before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from surgaug.datasets.dataset import LabelMaps
from surgaug.io import output_folder
from surgaug.io.atomic import write_png
from surgaug.io.journal import Journal
from surgaug.io.output_folder import DATASET, PREVIEW
from surgaug.labels.contact_sheet import ContactSheet
from surgaug.labels.label_space import LabelSpace
from surgaug.perturb.worker import LABELS
from surgaug.runtime.spread import spread

FORMAT = "surgaug-masks-1"
TRIPLES, _COLUMNS, _WIDTH, _GAP = 12, 2, 1800, 3
_CHANGED = (255, 0, 200)


def claim(out: Path, description: Mapping[str, Any]) -> None:
    """Make the folder ready for this set of maps: `labels/`, `dataset.json`, no leftovers of a killed run.

    Raises DataError when something else lies there, and UsageError, with the differences, when it is another
    configuration's set.
    """
    output_folder.refuse_strangers(out / DATASET, "label maps of surgaug")
    output_folder.refuse_other_settings(out / DATASET, description, "label maps")
    output_folder.claim(out / DATASET, description, [out / LABELS])


def draw_preview(out: Path, manifest: Journal, maps: LabelMaps, plan: Sequence[int] | np.ndarray, seed: int) -> None:
    """`preview.png`: new maps evenly spread over the set, each with its mask before it and the difference after it.

    plan: the mask of each sample, a position in `maps`.
    """
    made = manifest.made
    chosen = [made[i] for i in spread(len(made), TRIPLES)]
    sheet = ContactSheet(maps.space, min(_COLUMNS, len(chosen)), _WIDTH, _GAP)
    for row in manifest.rows(chosen):
        with Image.open(out / row["label"]) as image:
            after = np.asarray(image).astype(np.uint8 if image.mode == "L" else np.uint16)
        before = maps.load(int(plan[row["index"]]))
        panels = [maps.space.colorize(before), maps.space.colorize(after), difference(before, after, maps.space)]
        sheet.add(f"{Path(row['label']).stem}   {_said(row['perturbations'])}", panels, [before, after])
    title = f"{len(chosen)} of {len(made)} new label maps   seed {seed}   each: before, after, difference"
    write_png(out / PREVIEW, sheet.draw(title))


def difference(before: np.ndarray, after: np.ndarray, space: LabelSpace) -> np.ndarray:
    """uint8 [H, W, 3]: the new map [H, W] in pale colours, and strongly coloured where it differs from `before`."""
    pale = 190 + space.colorize(after) // 4
    pale[before != after] = _CHANGED
    return pale


def _said(records: Sequence[Mapping[str, Any]]) -> str:
    turned = ((record["op"], record.get("degrees")) for record in records)
    return ", ".join(op + (f" {degrees:.0f}°" if isinstance(degrees, (int, float)) else "") for op, degrees in turned)
