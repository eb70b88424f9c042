"""What a run has made, for the screen and for `dataset.json`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from surgaug.datasets.survey import Survey
from surgaug.io.output_folder import DATASET
from surgaug.runtime.feedback import Feedback

_NAMED = 5


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
