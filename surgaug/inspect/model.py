"""A model file or a run: configuration, label space, data, schedule, curves. Read without torch."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from surgaug.inspect.report import Report, Table, sparkline
from surgaug.inspect.run_log import curves, read_log
from surgaug.models.description import STAGE_NAMES, describe
from surgaug.models.model_files import CONFIG, METRICS, MODEL_FILES, STATUS

_FORMAT = "surgaug-model-"


def is_run(folder: Path) -> bool:
    """Whether training left this folder."""
    return (folder / CONFIG).is_file() and (folder / STATUS).is_file()


def is_cascade(folder: Path) -> bool:
    """Whether training left the two stages of a cascade here, or as much of them as it has begun."""
    return is_run(folder / STAGE_NAMES[0]) or ((folder / STATUS).is_file() and (folder / MODEL_FILES[0]).is_file())


def inspect_cascade(folder: Path) -> Report:
    """Report of a cascade: that of its model, if both stages are trained, and a line for each stage's run."""
    model = folder / MODEL_FILES[0]
    report = inspect_model(model) if model.is_file() else Report(folder, "cascade")
    report.path, report.kind = folder, "cascade"
    runs = [folder / name for name in STAGE_NAMES if is_run(folder / name)]
    if not model.is_file():
        report.notes.append("no model of both stages yet: the same `surgaug train` line goes on with it")
    report.tables.insert(0, _runs(runs, report, "Stages"))
    report.logs = [read_log(run) for run in runs]
    for log in report.logs:
        report.details[log.folder.name] = {"config": _json(log.folder / CONFIG, report), "curves": log.curves}
    report.add("newest samples", next((log.samples for log in reversed(report.logs) if log.samples), None))
    return report


def inspect_run(run: Path) -> Report:
    """Report of a run: that of its last model, how far it is, and the curves of metrics.csv."""
    files = [run / name for name in MODEL_FILES if (run / name).is_file()]
    report = inspect_model(files[0]) if files else Report(run, "run", problems=[f"{run}: no model file yet"])
    report.path, report.kind = run, "run"
    status = _json(run / STATUS, report)
    report.facts.insert(0, ("status", str(status.get("status", "unknown"))))
    if status.get("status") != "finished":
        report.notes.append(f"status {status.get('status')}: the same `surgaug train` line goes on with it")
    report.add("files", ", ".join(f"{p.name} ({p.stat().st_size / 1e6:.1f} MB)" for p in files))
    report.logs = [log := read_log(run)]
    report.add("newest samples", log.samples)
    report.details["config"] = _json(run / CONFIG, report)
    report.details["curves"] = log.curves
    rows = [
        [name, f"{c['y'][0]:.4g}", f"{min(c['y']):.4g}", f"{c['y'][-1]:.4g}", sparkline(c["y"])]
        for name, c in log.curves.items()
    ]
    if rows:
        report.tables.append(("Curves over the steps", ["", "first", "lowest", "last", ""], rows))
    return report


def inspect_runs(folder: Path, runs: Sequence[Path]) -> Report:
    """Report of a folder of runs: a line each, the newest first."""
    report = Report(folder, "folder of runs")
    report.add("runs", len(runs))
    report.tables.append(_runs(sorted(runs, key=_changed, reverse=True), report, "Runs, the newest first"))
    return report


def _changed(run: Path) -> float:
    status = run / STATUS
    return status.stat().st_mtime if status.is_file() else (run / STAGE_NAMES[0] / STATUS).stat().st_mtime


def _runs(runs: Sequence[Path], report: Report, title: str) -> Table:
    """A line for each run, or cascade."""
    rows = []
    for run in runs:
        status = _json(run / STATUS, report) if (run / STATUS).is_file() else {"status": "running"}
        losses = curves(run / METRICS).get("val_loss")
        rows.append([run.name, status.get("status"), status.get("step"), f"{min(losses['y']):.4g}" if losses else None])
    return title, ["run", "status", "step", "lowest val_loss"], rows


def inspect_model(path: Path) -> Report:
    """Report of a model file. A file that is none is a report with that problem."""
    report = Report(path, "model")
    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            sizes = {key: math.prod(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
        if not metadata.get("format", "").startswith(_FORMAT):
            raise ValueError("a safetensors file, but no model of surgaug")
        header = json.loads(metadata["surgaug"])
        names = header.get("stages") or [""]
        numbers = {name: sum(n for key, n in sizes.items() if key.startswith(name and f"{name}.")) for name in names}
        found = describe(header, numbers)
        report.facts, report.tables, report.notes = found.facts, found.tables, found.notes
        report.details["model"] = header
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return Report(path, "model", problems=[f"{path}: not a readable model file ({type(error).__name__}: {error})"])
    return report


def _json(path: Path, report: Report) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("not a JSON object")
        return found
    except (OSError, ValueError, RecursionError) as error:
        report.problems.append(f"{path}: cannot be read ({error})")
        return {}
