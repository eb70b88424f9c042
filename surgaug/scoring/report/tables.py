"""A report as tables for a terminal of 100 columns. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from surgaug.scoring.report.model import (
    Definition,
    Faithfulness,
    Figure,
    Judged,
    Measure,
    Report,
    Row,
    Spread,
    Sweep,
    Utility,
    best_rows,
    compared,
    figure,
    span,
)

Table = tuple[str, Sequence[str], Sequence[Sequence[Any]], str]
WIDTH, GAP = 100, 2
COPIES_LISTED = 5
_CAPTION = "synth vs real, real vs real: random halves of equal size, mean ± sd; ratio 1: as real as real"


def tables(report: Report) -> list[Table]:
    """(title, columns, rows, caption) of each table, for `Feedback.table`.

    One folder: every figure with its interval, n and baseline, and the classes. Several: a row each, the best marked.
    """
    if len(report.rows) == 1:
        row = report.rows[0]
        out = [_details(report, row), *([_class_table(row)] if row.classes else [])]
        out += [_agreement(row.faithfulness)] if row.faithfulness else []
        out += [_trusts(row.judged)] if row.judged else []
        out += [_arms(row.utility), _gains(row.utility)] if row.utility else []
        out += [_sweep(row.sweep)] if row.sweep else []
    else:
        out = [*_comparison(report), *_ratios(report)]
    return [
        *out,
        *_yardsticks(report),
        *(_copies(row) for row in report.rows if any(pair.kind != "other" for pair in row.closest)),
    ]


def _comparison(report: Report) -> list[Table]:
    """Values and half the width of their intervals, after what made the images where that differs."""
    best = best_rows(report)
    settings = [name for name in ("sampler", "steps") if len({str(row.settings.get(name)) for row in report.rows}) > 1]
    facts = [[name, *(str(row.settings.get(name, "-")) for row in report.rows)] for name in settings]
    facts.append(["images", *(str(row.images) for row in report.rows)])
    keys = [key for key in report.definitions if any(row.measures[key].rank_value is not None for row in report.rows)]
    columns = [
        [titled(report.definitions[key])]
        + [_with_error(row.measures[key]) + " *" * (best.get(key) == i) for i, row in enumerate(report.rows)]
        for key in keys
    ]
    return _side_by_side(
        "comparison",
        _folders(report),
        [*facts, *columns],
        "± half of the 95 % interval; * best of its column, of like figures, copies apart; c+t: colour+texture",
    )


def _ratios(report: Report) -> list[Table]:
    keys = [key for key in report.definitions if any(row.measures[key].ratio is not None for row in report.rows)]
    columns = [[report.definitions[key].title, *(_ratio(row.measures[key]) for row in report.rows)] for key in keys]
    caption = "at equal size; 1: as close, or as good, as real frames are among themselves"
    return _side_by_side("times real vs real", _folders(report), columns, caption) if columns else []


def _yardsticks(report: Report) -> list[Table]:
    """Each distance of halves of the real frames, of other real videos, and of the folders, a line each."""
    lines = []
    first = report.rows[0]
    for key, found in first.separations.items():
        if found.others:
            own = found.baseline and Spread(100 * found.baseline.mean, 100 * found.baseline.sd, 0, 0)
            cells = [_percent(row.separations[key].value) for row in report.rows]
            others, together = span(found.others.values(), _percent, " .. "), _percent(found.together)
            lines.append([f"distance ({found.title}), % ↓", _spread(own), others, together, *cells])
    for key, definition in report.definitions.items():
        measure = first.measures[key]
        if measure.others:
            cells = [figure(compared(row.measures[key], definition)) for row in report.rows]
            others, together = span(measure.others.values(), figure, " .. "), figure(measure.together)
            lines.append([titled(definition), _spread(measure.baseline), others, together, *cells])
    if not lines:
        return []
    names, *columns = zip(
        ["distance", "own halves", "other videos", "together", *(row.name for row in report.rows)], *lines, strict=True
    )
    caption = f"other videos: the nearest .. the farthest of {len(report.other_videos)}; FD and the like at equal size"
    return _side_by_side("against two yardsticks", names, columns, caption)


def _percent(distance: float | None) -> str:
    return "-" if distance is None else f"{100 * max(0.0, distance):.0f}"


def _side_by_side(title: str, names: Sequence[str], columns: Sequence[Sequence[str]], caption: str) -> list[Table]:
    """One table, or as many as it takes for the columns to fit, each with the names of the lines."""
    parts: list[list[Sequence[str]]] = [[names]]
    for column in ([title.replace("colour+texture", "c+t"), *cells] for title, *cells in columns):
        if sum(map(_width, [*parts[-1], column])) > WIDTH:
            parts.append([names])
        parts[-1].append(column)
    found: list[Table] = []
    for number, part in enumerate(parts, 1):
        header, *rows = zip(*part, strict=True)
        found.append((title + f" ({number} of {len(parts)})" * (len(parts) > 1), header, rows, caption))
    return found


def _folders(report: Report) -> list[str]:
    return ["folder", *(row.name for row in report.rows)]


def _width(column: Sequence[str]) -> int:
    return max(map(len, column)) + GAP


def _details(report: Report, row: Row) -> Table:
    columns = ["measure", "value", "95 % interval", "n", "synth vs real", "real vs real", "ratio"]
    rows = []
    for key, definition in report.definitions.items():
        m = row.measures[key]
        line = [titled(definition), figure(m.rank_value), _interval(m), m.n]
        rows.append([*line, _spread(m.matched), _spread(m.baseline), _ratio(m)])
    title = f"{row.path} ({row.images} images) against {report.real_path} ({report.real_images} images)"
    return title, columns, rows, _CAPTION


def _class_table(row: Row) -> Table:
    """Classes of the labels: how much of each there is, and how its regions look."""
    looks = {c.id: c for c in row.class_frechet}
    columns = ["id", "class", "pixels real %", "synth %", "frames real %", "synth %"]
    columns += ["Fréchet ↓", "real vs real", "ratio"] * bool(looks)
    rows = []
    for share in row.classes or ():
        values = (share.real_pixels, share.synth_pixels, share.real_frames, share.synth_frames)
        line = [share.id, share.name, *(f"{100 * value:.2f}" for value in values)]
        if looks:
            m = looks[share.id].measure if share.id in looks else Measure(None, 0)
            line += [figure(m.value), _spread(m.baseline), _ratio(m)]
        rows.append(line)
    return f"classes: {row.name}", columns, rows, ""


def _copies(row: Row) -> Table:
    pairs = [pair for pair in row.closest if pair.kind != "other"]
    rows = [
        [Path(pair.synth).name, Path(pair.train).name, pair.kind, figure(pair.distance), pair.bits]
        for pair in pairs[:COPIES_LISTED]
    ]
    caption = f"the nearest {COPIES_LISTED}; more in --json" if len(pairs) > COPIES_LISTED else ""
    return f"copies of training frames: {row.name}", ["image", "frame", "kind", "distance", "bits of 64"], rows, caption


def titled(definition: Definition) -> str:
    """Title, unit and which way is better."""
    unit = f", {definition.unit}" if definition.unit else ""
    return f"{definition.title}{unit} {definition.arrow}"


def _with_error(measure: Measure) -> str:
    if measure.value is None or measure.low is None or measure.high is None:
        return figure(measure.rank_value)
    error = max(measure.high - measure.value, measure.value - measure.low)
    return _spread(Spread(measure.value, error, 0, 0))


def _ratio(measure: Measure) -> str:
    return "-" if measure.ratio is None else f"{measure.ratio:.3g}"


def _agreement(found: Faithfulness) -> Table:
    """Classes as a segmenter of real frames predicts them."""
    columns = ["id", "class", "images", "IoU ↑", "95 % interval", "real IoU", "boundary F ↑", "real F", ""]
    rows = []
    for c in found.classes:
        figures = [figure(c.iou.value), _interval(c.iou), figure(c.real_iou.value)]
        edges = [figure(c.boundary_f.value), figure(c.real_boundary_f.value)]
        rows.append([c.id, c.name, c.images, *figures, *edges, c.reason or ""])
    return "labels read back", columns, rows, "real: held-out real frames, by the same segmenter"


def _trusts(found: Judged) -> Table:
    """Classes as a judge trusted them when the images were made, the least trusted first."""
    rows = [[c.id, c.name, c.images, f"{100 * c.agreement:.1f}"] for c in found.classes]
    caption = "mean share of the class's pixels whose label the judge trusts"
    return "what the judge trusts", ["id", "class", "images", "% of its pixels"], rows, caption


def _arms(found: Utility) -> Table:
    """Every way of training, beside real frames alone."""
    columns = [
        "trained on",
        "steps",
        "of real",
        "mIoU",
        "- reference",
        "95 % interval",
        "- real",
        "rare",
        "- reference",
    ]
    rows = []
    for name, arm in found.arms.items():
        own = "reference" if name == found.reference else ""
        line = [arm.title, arm.steps, arm.real_steps, figure(arm.miou.value)]
        line += [own or _signed(arm.gain), "" if own else _interval(arm.gain), _signed(arm.equal_gain)]
        rows.append([*line, figure(arm.rare.value), "" if own else _signed(arm.rare_gain)])
    caption = f"on {found.test_images} real frames, {found.seeds} seeds; rare: the rarest quarter of the classes"
    return "ways of training", columns, rows, caption


def _sweep(found: Sweep) -> Table:
    """Every mixture that was trained, and those between as their neighbours tell."""
    columns = ["ratio", "way", "labels", "images", "seeds", "mIoU", "- real", "95 % interval", ""]
    rows = []
    for i, point in enumerate(found.points):
        line = [f"1:{point.ratio:g}", point.way, point.labels, point.images, point.seeds, figure(point.miou)]
        rows.append([*line, _signed(point.gain), _interval(point.gain), "advised" if i == found.advice else ""])
    caption = f"real alone {found.real:.3f}; {found.trainings} trainings of {found.of_grid} in the whole grid"
    return "how many synthetic images", columns, rows, caption


def _gains(found: Utility) -> Table:
    """IoU of classes on held-out real frames after each training."""
    columns = ["id", "class", "frames", "real", "synthetic", "both", "both - real", "95 % interval", ""]
    rows = []
    for c in found.classes:
        levels = [figure(value) for value in (c.real, c.synthetic, c.both, c.both_gain.value)]
        rows.append([c.id, c.name, c.images, *levels, _interval(c.both_gain), "sure" if c.sure else ""])
    of = found.arms[found.reference].title if found.arms else "real"
    return "trained on", columns, rows, f"IoU on real frames; real: {of}; {found.seeds} seeds, {found.steps} steps"


def _signed(gain: Figure) -> str:
    return "-" if gain.value is None else f"{gain.value:+.3f}"


def _interval(measure: Measure | Figure) -> str:
    return "-" if measure.low is None else f"{measure.low:.3g} .. {measure.high:.3g}"


def _spread(spread: Spread | None) -> str:
    """Mean and deviation to the same decimals, of which the deviation has two digits."""
    if spread is None:
        return "-"
    if spread.sd <= 0:
        return figure(spread.mean)
    decimals = max(0, 1 - math.floor(math.log10(spread.sd)))
    return f"{spread.mean:.{decimals}f} ± {spread.sd:.{decimals}f}"
