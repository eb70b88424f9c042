"""A report as a page: what goes where. The look is `page.css`, the frame `page.html.j2`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from surgaug.io.atomic import write_text
from surgaug.runtime.feedback import Feedback
from surgaug.runtime.spread import spread_over
from surgaug.scoring.inputs import Folder
from surgaug.scoring.report.html.charts import (
    Chart,
    arms_chart,
    balance_chart,
    faithfulness_chart,
    look_chart,
    sweep_chart,
    trust_chart,
    utility_chart,
)
from surgaug.scoring.report.html.thumbnails import Trio, Twins, photo, sheet, twins
from surgaug.scoring.report.model import (
    Definition,
    Measure,
    Report,
    Row,
    Separation,
    Spread,
    best_rows,
    compared,
    figure,
    span,
)
from surgaug.scoring.report.notes import report_notes
from surgaug.scoring.report.verdicts import NEW

STRIP = 12
SHEET, SHEET_OF_MANY = 12, 6  # images shown of a folder: alone, beside others
CLOSEST = 6
ENERGY = Definition("Distance", "lower", "%", "energy distance over what two real frames differ", "realism")
GROUPS = {
    "realism": "Look of the whole set",
    "drift": "Drift of colour, texture and light",
    "pairs": "Against the frame of the same mask",
    "labels": "Labels",
    "use": "Use in training",
    "hygiene": "Copies and repeats",
}


@dataclass(frozen=True)
class Thumbnails:
    """Thumbnails: a sheet and the pairs closest to training of each synthetic folder, and some real frames."""

    sheets: tuple[tuple[Trio, ...], ...]
    closest: tuple[tuple[Twins, ...], ...]
    strip: tuple[str, ...]


def write_page(
    path: Path, report: Report, real: Folder, train: Folder | None, synths: Sequence[Folder], feedback: Feedback
) -> None:
    """Write the report with thumbnails of its folders to `path`, whole or not at all.

    Raises:
        DataError: an image that cannot be read any more.
    """
    sources = [folder for folder in (real, train) if folder is not None]
    with feedback.task("thumbnails of the page", len(synths) + 1, "sheets") as bar:
        sheets, closest = [], []
        for synth, row in zip(synths, report.rows, strict=True):
            sheets.append(tuple(sheet(synth, sources, SHEET if len(synths) == 1 else SHEET_OF_MANY)))
            closest.append(tuple(twins(row, CLOSEST)))
            bar.advance()
        strip = tuple(photo(image) for image in spread_over(real.images, STRIP))
        bar.advance()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, render(report, Thumbnails(tuple(sheets), tuple(closest), strip)))


def render(report: Report, thumbnails: Thumbnails) -> str:
    """The page. Pure."""
    shown = zip(report.rows, thumbnails.sheets, thumbnails.closest, strict=True)
    sets = [_set(report, row, trios, pairs, f"set-{i}") for i, (row, trios, pairs) in enumerate(shown, 1)]
    many = len(sets) > 1
    questions = list(dict.fromkeys(v.question for s in sets for v in s["verdicts"]))
    title = f"{len(sets)} synthetic sets against real frames" if many else f"{sets[0]['name']} against real frames"
    about = f"{report.real_images} real frames in {report.real_path}"
    return _template().render(
        title=title,
        subtitle=about if many else f"{sets[0]['about']} {about}.",
        css=(Path(__file__).parent / "page.css").read_text(encoding="utf-8"),
        sets=sets,
        questions=questions,
        groups=_groups(report),
        has_others=bool(report.other_videos),
        strip=thumbnails.strip,
        conventions=_conventions(report),
        general=report_notes(report) if not many else [],
        versions=" · ".join(f"{name} {version}" for name, version in report.versions.items())
        + f" · seed {report.seed}",
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2")


def _set(report: Report, row: Row, trios: Sequence[Trio], closest: Sequence[Twins], anchor: str) -> dict[str, Any]:
    has_real, has_label = any(t.real for t in trios), any(t.label for t in trios)
    order = ["real frame"] * has_real + ["label map"] * has_label + ["synthetic image"]
    return {
        "name": row.name,
        "anchor": anchor,
        "images": row.images,
        "about": f"{row.images} images of {row.size[0]}×{row.size[1]} pixels in {row.path}.",
        "verdicts": row.verdicts,
        "by_question": {v.question: v for v in row.verdicts},
        "copied": any(v.question == NEW and v.tone == "bad" for v in row.verdicts),
        "trios": trios,
        "closest": closest,
        "has_real": has_real,
        "has_label": has_label,
        "sheet_caption": _sheet_caption(order, row),
        "charts": _charts(row),
        "notes": list(row.notes) if len(report.rows) > 1 else [],
    }


def _sheet_caption(order: Sequence[str], row: Row) -> str:
    told = [f"Left to right: {', '.join(order)}."] * (len(order) > 1)
    if found := row.judged:
        told.append("In the order of what a judge trusts of their labels, the most trusted first.")
        if found.left_out:
            told.append(f"{found.left_out} images below {100 * (found.least or 0):.0f} % are left out.")
    return " ".join(told)


def _charts(row: Row) -> list[Chart]:
    charts = []
    if row.faithfulness:
        charts.append(faithfulness_chart(row.faithfulness.classes))
    if row.sweep:
        charts.append(sweep_chart(row.sweep))
    if row.utility and row.utility.arms:
        charts.append(arms_chart(row.utility))
    if row.utility:
        charts.append(utility_chart(row.utility.classes))
    if row.judged and row.judged.classes:
        charts.append(trust_chart(row.judged))
    if row.class_frechet:
        charts.append(look_chart(row.class_frechet))
    if row.classes:
        charts.append(balance_chart(row.classes))
    return charts


def _groups(report: Report) -> list[dict[str, Any]]:
    """The table in parts: measures that belong together, a line each with a cell for each folder."""
    best = best_rows(report)
    parts: dict[str, list[dict[str, Any]]] = {}
    for key, found in report.rows[0].separations.items():
        cells = [_cell(_as_measure(row.separations[key]), ENERGY, False) for row in report.rows]
        parts.setdefault(ENERGY.group, []).append(
            {"title": f"{ENERGY.title} ({found.title}) (%) ↓", "real": "", "cells": cells}
        )
    for key, definition in report.definitions.items():
        unit = f" ({definition.unit})" if definition.unit else ""
        cells = [_cell(row.measures[key], definition, best.get(key) == i) for i, row in enumerate(report.rows)]
        line = {"title": f"{definition.title}{unit} {definition.arrow}", "real": _real(report, key), "cells": cells}
        parts.setdefault(definition.group, []).append(line)
    order = [*GROUPS, *(group for group in parts if group not in GROUPS)]
    return [{"title": GROUPS.get(group, group), "lines": parts[group]} for group in order if group in parts]


def _as_measure(found: Separation) -> Measure:
    """In percent."""
    value, low, high = (None if v is None else 100 * v for v in (found.value, found.low, found.high))
    own = found.baseline
    baseline = own and Spread(100 * own.mean, 100 * own.sd, own.size, own.draws)
    others = found.others and {video: 100 * v for video, v in found.others.items()}
    together = None if found.together is None else 100 * found.together
    return Measure(
        value, found.images, low, high, baseline=baseline, reason=found.reason, others=others, together=together
    )


def _cell(measure: Measure, definition: Definition, best: bool) -> dict[str, Any]:
    interval = "" if measure.low is None or measure.high is None else f"{_short(measure.low)} to {_short(measure.high)}"
    baseline = "" if measure.baseline is None else f"{_short(measure.baseline.mean)} ± {measure.baseline.sd:.2g}"
    return {
        "value": _figure(measure.rank_value),
        "interval": interval,
        "n": measure.n,
        "baseline": baseline,
        "others": _other_videos(measure, definition),
        "ratio": "" if measure.ratio is None else _short(measure.ratio),
        "reason": measure.reason,
        "best": best,
    }


def _other_videos(measure: Measure, definition: Definition) -> str:
    """The nearest and the farthest of the other real videos; beside the set's own figure of as many images."""
    if not measure.others:
        return ""
    ends = span(measure.others.values(), _short, " to ")
    ends += "" if measure.together is None else f", together {_short(measure.together)}"
    value = compared(measure, definition)
    return f"{ends} (set: {_short(value)})" if definition.biased and value is not None else ends


def _real(report: Report, key: str) -> str:
    """What real frames reach by a measure, where it is the same for all folders."""
    reached = {
        {"miou": f.real_miou, "miou_rare": f.real_rare_miou, "boundary_f": f.real_boundary_f}[key].value
        for f in (row.faithfulness for row in report.rows)
        if f and key in ("miou", "miou_rare", "boundary_f")
    }
    return f"real frames: {_figure(reached.pop())}" if len(reached) == 1 else ""


def _conventions(report: Report) -> list[tuple[str, str]]:
    lines = [(ENERGY.title, ENERGY.convention)] * any(row.separations for row in report.rows)
    lines += [(d.title, d.convention) for d in report.definitions.values()]
    if report.other_videos:
        videos = ", ".join(f"{video} ({n} frames)" for video, n in report.other_videos.items())
        lines.append(("Other real videos", videos))
    if report.segmenter:
        s = report.segmenter
        size = f"{s['size'][0]}×{s['size'][1]}"
        made = (
            f"{s['network']}, supplied in {s['file']} (sha256 {s['sha256'][:16]}), at {size}"
            if s.get("supplied")
            else f"{s['network']} {_start(s)} on {s['train_frames']} real frames at {size}, {s['steps']} steps of "
            f"{s['batch']}, seed {s['seed']}"
        )
        lines.append(
            (
                "Segmenter",
                f"{made}; tested on {s['test_frames']} other frames. "
                "Intervals resample videos (of one alone, stretches) or source masks where they are known, images "
                "otherwise; they do not hold the chance in the segmenter's own training.",
            )
        )
    return lines


def _start(segmenter: dict[str, Any]) -> str:
    if not segmenter["init"]:
        return "from scratch"
    return f"from {segmenter['init']} (sha256 {segmenter['init_sha256'][:16]})"


def _figure(value: float | None) -> str:
    return "–" if value is None else "∞" if value == float("inf") else figure(value).replace("-", "−")


def _short(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")
