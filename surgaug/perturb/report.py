"""What a run has made, for the screen and for `dataset.json`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from surgaug.data.dataset import Survey
from surgaug.feedback import Feedback
from surgaug.perturb.output import DATASET

_NAMED = 5


def class_counts(before: Survey, made: Sequence[Mapping[str, Any]], wanted: Mapping[int, float]) -> list[dict]:
    """Maps and pixels of each class, in the masks (`before`) and in the new maps, and the share wanted of these."""
    maps: Counter[int] = Counter()
    pixels: Counter[int] = Counter()
    for row in made:
        counts = {int(i): count for i, count in row["classes"].items()}
        maps.update(counts.keys())
        pixels.update(counts)
    return [
        {
            "id": c.id,
            "name": c.name,
            "maps": maps[c.id],
            "pixels": pixels[c.id],
            "masks": int(before.presence[k]),
            "mask_pixels": int(before.pixels[k]),
            **({"wanted": round(wanted[c.id], 4)} if c.id in wanted else {}),
        }
        for k, c in enumerate(before.space.classes)
    ]


def plausibility_summary(made: Sequence[Mapping[str, Any]]) -> dict[str, float] | None:
    """Quantiles of the maps' plausibility; None without maps."""
    if not made:
        return None
    values = np.quantile([row["plausibility"] for row in made], [0, 0.05, 0.25, 0.5])
    return dict(zip(("least", "5 %", "25 %", "median"), values.round(4).tolist(), strict=True))


def report(
    feedback: Feedback,
    classes: Sequence[Mapping[str, Any]],
    masks: int,
    made: Sequence[Mapping[str, Any]],
    refused: Mapping[str, int],
    skipped: Mapping[str, str],
    floor: float,
) -> None:
    """Classes before and after, operations done, tries refused and why, plausibility, and maps that were given up."""
    _report_classes(feedback, classes, masks, len(made))
    _report_operations(feedback, made)
    if refused:
        feedback.table(
            "Refused tries",
            ["operation", "reason", "times"],
            [[*reason.split(": ", 1), count] for reason, count in refused.items()],
        )
    if summary := plausibility_summary(made):
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
        wanted = [f"{100 * c['wanted']:.1f}" if "wanted" in c else "-"] if any("wanted" in x for x in shown) else []
        rows.append(
            [
                c["id"],
                c["name"],
                f"{100 * c['masks'] / masks:.1f}",
                *wanted,
                f"{100 * c['maps'] / max(made, 1):.1f}",
                f"{100 * c['mask_pixels'] / before:.3f}",
                f"{100 * c['pixels'] / after:.3f}",
            ]
        )
    wanted = ["wanted"] if any("wanted" in c for c in shown) else []
    feedback.table("Classes", ["id", "class", "maps before %", *wanted, "after %", "pixels before %", "after %"], rows)


def _report_operations(feedback: Feedback, made: Sequence[Mapping[str, Any]]) -> None:
    records = [record for row in made for record in row["perturbations"]]
    applied = Counter(record["op"] for record in records)
    balance = Counter(record["op"] for record in records if record.get("balance"))
    tries: Counter[str] = Counter()
    for record in records:
        tries[record["op"]] += record["tries"]
    columns = ["operation", "maps", *(["for balance"] if balance else []), "tries a success"]
    feedback.table(
        "Operations",
        columns,
        [[op, n, *([balance[op]] if balance else []), f"{tries[op] / n:.2f}"] for op, n in applied.most_common()],
    )
