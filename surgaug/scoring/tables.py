"""A report as tables for a terminal of 100 columns. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from surgaug.scoring.report import Definition, Measure, Report, Row, Spread, best_rows, figure

Table = tuple[str, Sequence[str], Sequence[Sequence[Any]], str]
MEASURES_A_TABLE = 5  # columns of the comparison; more do not fit beside the folder's name
_CAPTION = "synthetic vs real, real vs real: random halves of equal size, mean ± sd; ratio 1: as real as real"


def tables(report: Report) -> list[Table]:
    """(title, columns, rows, caption) of each table, for `Feedback.table`."""
    out = _comparisons(report) if len(report.rows) > 1 else []
    out += [_details(report, row) for row in report.rows]
    for row in report.rows:
        if row.class_frechet or row.classes:
            out.append(_class_table(report, row))
        if any(pair.kind != "other" for pair in row.closest):
            out.append(_closest(row))
    return out


def _comparisons(report: Report) -> list[Table]:
    best = best_rows(report)
    settings = [name for name in ("sampler", "steps") if len({str(row.settings.get(name)) for row in report.rows}) > 1]
    shown = [key for key in report.definitions if any(row.measures[key].rank_value is not None for row in report.rows)]
    parts = [shown[i : i + MEASURES_A_TABLE] for i in range(0, len(shown), MEASURES_A_TABLE)] or [[]]
    found = []
    for number, keys in enumerate(parts):
        columns = ["folder", *settings, "images", *(_titled(report.definitions[key]) for key in keys)]
        rows = []
        for i, row in enumerate(report.rows):
            values = [figure(row.measures[key].rank_value) + " *" * (best.get(key) == i) for key in keys]
            rows.append([row.name, *(row.settings.get(name) for name in settings), row.images, *values])
        title = "comparison" if len(parts) == 1 else f"comparison ({number + 1} of {len(parts)})"
        found.append((title, columns, rows, "* best of its column"))
    return found


def _details(report: Report, row: Row) -> Table:
    columns = ["measure", "value", "95 % interval", "n", "synthetic vs real", "real vs real", "ratio"]
    rows = []
    for key, definition in report.definitions.items():
        m = row.measures[key]
        unit = f" {definition.unit}" if definition.unit and m.rank_value is not None else ""
        line = [_titled(definition), figure(m.rank_value) + unit, _interval(m), m.n]
        rows.append([*line, _spread(m.matched), _spread(m.baseline), figure(m.ratio)])
    name = row.name if len(report.rows) > 1 else row.path
    title = f"{name} ({row.images} images) against {report.real_path} ({report.real_images} images)"
    return title, columns, rows, _CAPTION


def _class_table(report: Report, row: Row) -> Table:
    """Classes of the labels: how much of each there is, and how its regions look."""
    looks = {c.id: c for c in row.class_frechet}
    columns = ["id", "class", "pixels real %", "synthetic %", "frames real %", "synthetic %"]
    columns += ["Fréchet ↓", "real vs real", "ratio"] * bool(looks)
    rows = []
    for share in row.classes or ():
        values = (share.real_pixels, share.synth_pixels, share.real_frames, share.synth_frames)
        line = [share.id, share.name, *(f"{100 * value:.2f}" for value in values)]
        if looks:
            m = looks[share.id].measure if share.id in looks else Measure(None, 0)
            line += [figure(m.value), _spread(m.baseline), figure(m.ratio)]
        rows.append(line)
    return f"classes: {row.name}", columns, rows, ""


def _closest(row: Row) -> Table:
    pairs = [pair for pair in row.closest if pair.kind != "other"]
    rows = [[pair.synth, pair.train, pair.kind, figure(pair.distance), pair.bits] for pair in pairs]
    return f"copies: {row.name}", ["synthetic", "training", "kind", "distance", "bits of 64"], rows, ""


def _titled(definition: Definition) -> str:
    return f"{definition.title} {'↑' if definition.better == 'higher' else '↓'}"


def _interval(measure: Measure) -> str:
    return "-" if measure.low is None else f"{figure(measure.low)} .. {figure(measure.high)}"


def _spread(spread: Spread | None) -> str:
    return "-" if spread is None else f"{figure(spread.mean)} ± {spread.sd:.2g}"
