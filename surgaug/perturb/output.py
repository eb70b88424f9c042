"""The output folder of augment-masks: whose it is, its contact sheet, and what was made, counted for the screen and for
`dataset.json`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from surgaug.datasets.dataset import LabelMaps
from surgaug.datasets.survey import Survey
from surgaug.io import output_folder
from surgaug.io.atomic import write_png
from surgaug.io.journal import Journal
from surgaug.io.output_folder import DATASET, PREVIEW
from surgaug.labels.builtin_spaces import spaces_with
from surgaug.labels.class_roles import roles
from surgaug.labels.contact_sheet import ContactSheet
from surgaug.labels.label_space import LabelSpace
from surgaug.labels.space_match import is_named
from surgaug.perturb.worker import LABELS
from surgaug.runtime.feedback import Feedback
from surgaug.runtime.spread import spread

FORMAT = "surgaug-masks-1"
TRIPLES, _COLUMNS, _WIDTH, _GAP = 12, 2, 1800, 3
_CHANGED = (20, 20, 20)  # all else in a difference is pale
_NAMED = 5  # maps that were given up, in the warning


def found_kinds(space: LabelSpace) -> str | None:
    """Which classes move, and how to say otherwise, where nobody has named them; None for spaces with names."""
    if is_named(space):
        return None
    found = sorted(roles(space).movable)
    what = (
        f"{', '.join(map(str, found))} taken for instruments, by how they lie in the maps: these move"
        if found
        else "no id is taken for an instrument by how it lies in the maps: what moves is found by its shape in each map"
    )
    spaces = " or ".join(["FILE", *spaces_with(space.ids)])
    return f"{what}; to say otherwise, name the classes and their kinds: --classes {spaces}"


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
        sheet.add(f"{Path(row['label']).stem}   {said(row['perturbations'])}", panels, [before, after])
    title = f"{len(chosen)} of {len(made)} new label maps   seed {seed}   each: before, after, difference"
    write_png(out / PREVIEW, sheet.draw(title, [("changed, in the difference", _CHANGED)]))


def difference(before: np.ndarray, after: np.ndarray, space: LabelSpace) -> np.ndarray:
    """uint8 [H, W, 3]: the new map [H, W] in pale colours, and dark where it differs from `before`."""
    pale = 190 + space.colorize(after) // 4
    pale[before != after] = _CHANGED
    return pale


def said(records: Sequence[Mapping[str, Any]]) -> str:
    """The operations of a manifest row, with their angles: "shift, rotate 8°"."""
    turned = ((record["op"], record.get("degrees")) for record in records)
    return ", ".join(
        op + (f" {round(degrees)}°" if isinstance(degrees, (int, float)) else "") for op, degrees in turned
    )


@dataclass
class Tally:
    """What the manifest's rows of new maps say together; `add` them one by one.

    maps, pixels: by class id. refused: tries by "op: reason". done, balancing, tries: by operation: how often it was
    applied, how often for the balance, and how many tries that took.
    """

    made: int = 0
    maps: Counter[int] = field(default_factory=Counter)
    pixels: Counter[int] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    balancing: Counter[str] = field(default_factory=Counter)
    tries: Counter[str] = field(default_factory=Counter)
    plausibility: list[float] = field(default_factory=list)

    def add(self, row: Mapping[str, Any]) -> None:
        self.made += 1
        counts = {int(i): count for i, count in row["classes"].items()}
        self.maps.update(counts.keys())
        self.pixels.update(counts)
        self.refused.update(row.get("refused", {}))
        self.plausibility.append(row.get("plausibility", 0.0))
        for record in row["perturbations"]:
            self.done[record["op"]] += 1
            self.balancing[record["op"]] += bool(record.get("balance"))
            self.tries[record["op"]] += record.get("tries", 0)

    def plausibility_summary(self) -> dict[str, float] | None:
        """Quantiles of the maps' plausibility; None without maps."""
        if not self.plausibility:
            return None
        values = np.quantile(self.plausibility, [0, 0.05, 0.25, 0.5])
        return dict(zip(("least", "5 %", "25 %", "median"), values.round(4).tolist(), strict=True))


def class_counts(before: Survey, made: Tally, targets: Mapping[int, float]) -> list[dict[str, Any]]:
    """Maps and pixels of each class, in the masks (`before`) and in the new maps, and the target share of these."""
    return [
        {
            "id": c.id,
            "name": c.name,
            "maps": made.maps[c.id],
            "pixels": made.pixels[c.id],
            "masks": int(before.presence[k]),
            "mask_pixels": int(before.pixels[k]),
            **({"wanted": round(targets[c.id], 4)} if c.id in targets else {}),
        }
        for k, c in enumerate(before.space.classes)
    ]


def report(
    feedback: Feedback,
    classes: Sequence[Mapping[str, Any]],
    masks: int,
    made: Tally,
    refused: Mapping[str, int],
    skipped: Mapping[str, str],
    floor: float,
) -> None:
    """Classes before and after, operations done, tries refused and why, plausibility, and maps that were given up."""
    _report_classes(feedback, classes, masks, made.made)
    _report_operations(feedback, made)
    if refused:
        feedback.table(
            "Refused tries",
            ["operation", "reason", "times"],
            [[*reason.split(": ", 1), count] for reason, count in refused.items()],
        )
    if summary := made.plausibility_summary():
        parts = ", ".join(f"{name} {value:.2f}" for name, value in summary.items())
        feedback.info(f"plausibility (real maps: even from 0 to 1): {parts}" + (f"; floor {floor:g}" if floor else ""))
    if skipped:
        named = "; ".join(f"{name} ({why})" for name, why in list(skipped.items())[:_NAMED])
        more = f"; and {len(skipped) - _NAMED} more, all in {DATASET}" if len(skipped) > _NAMED else ""
        feedback.warn(f"{len(skipped)} maps could not be made: {named}{more}")


def _report_classes(feedback: Feedback, classes: Sequence[Mapping[str, Any]], masks: int, made: int) -> None:
    before = max(sum(c["mask_pixels"] for c in classes), 1)
    after = max(sum(c["pixels"] for c in classes), 1)
    shown = [c for c in classes if c["masks"] or c["maps"] or c.get("wanted")]
    rows = []
    for c in shown:
        target = [f"{100 * c['wanted']:.1f}" if "wanted" in c else "-"] if any("wanted" in x for x in shown) else []
        rows.append(
            [
                c["id"],
                c["name"],
                f"{100 * c['masks'] / masks:.1f}",
                *target,
                f"{100 * c['maps'] / max(made, 1):.1f}",
                f"{100 * c['mask_pixels'] / before:.3f}",
                f"{100 * c['pixels'] / after:.3f}",
            ]
        )
    target = ["target %"] if any("wanted" in c for c in shown) else []
    feedback.table("Classes", ["id", "class", "maps before %", *target, "after %", "pixels before %", "after %"], rows)


def _report_operations(feedback: Feedback, made: Tally) -> None:
    if not made.done:
        return
    for_balance = made.balancing.total() > 0
    feedback.table(
        "Operations",
        ["operation", "maps", *(["for balance"] if for_balance else []), "tries a success"],
        [
            [op, n, *([made.balancing[op]] if for_balance else []), f"{made.tries[op] / n:.2f}"]
            for op, n in made.done.most_common()
        ],
    )
