"""A model file or a run: configuration, label space, data, schedule, curves. Read without torch."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from surgaug.inspect.report import Report, sparkline
from surgaug.labels.class_statistics import ClassStatistics

MODEL_FILES = ("last.safetensors", "best.safetensors")
_FORMAT = "surgaug-model-"


def is_run(folder: Path) -> bool:
    """Whether training left this folder."""
    return (folder / "config.json").is_file() and (folder / "run.json").is_file()


def inspect_run(run: Path) -> Report:
    """Report of a run: that of its last model, how far it is, and the curves of metrics.csv."""
    files = [run / name for name in MODEL_FILES if (run / name).is_file()]
    report = inspect_model(files[0]) if files else Report(run, "run", problems=[f"{run}: no model file yet"])
    report.path, report.kind = run, "run"
    status = _json(run / "run.json", report)
    report.facts.insert(0, ("status", str(status.get("status", "unknown"))))
    if status.get("status") != "finished":
        report.notes.append(f"status {status.get('status')}: the same `surgaug train` line goes on with it")
    report.add("files", ", ".join(f"{p.name} ({p.stat().st_size / 1e6:.1f} MB)" for p in files))
    sheets = sorted((run / "samples").glob("*.png"))
    report.samples = sheets[-1] if sheets else None
    report.add("newest samples", report.samples)
    report.details["config"] = _json(run / "config.json", report)
    report.details["curves"] = curves(run / "metrics.csv")
    rows = [
        [name, f"{c['y'][0]:.4g}", f"{min(c['y']):.4g}", f"{c['y'][-1]:.4g}", sparkline(c["y"])]
        for name, c in report.details["curves"].items()
    ]
    if rows:
        report.tables.append(("Curves over the steps", ["", "first", "lowest", "last", ""], rows))
    return report


def inspect_runs(folder: Path, runs: Sequence[Path]) -> Report:
    """Report of a folder of runs: a line each, the newest first."""
    report = Report(folder, "folder of runs")
    report.add("runs", len(runs))
    rows = []
    for run in sorted(runs, key=lambda run: (run / "run.json").stat().st_mtime, reverse=True):
        status, losses = _json(run / "run.json", report), curves(run / "metrics.csv").get("val_loss")
        lowest = f"{min(losses['y']):.4g}" if losses else None
        rows.append([run.name, status.get("status"), status.get("step"), lowest])
    report.tables.append(("Runs, the newest first", ["run", "status", "step", "lowest val_loss"], rows))
    return report


def inspect_model(path: Path) -> Report:
    """Report of a model file. A file that is none is a report with that problem."""
    report = Report(path, "model")
    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            shapes = [file.get_slice(key).get_shape() for key in file.keys()]  # noqa: SIM118  (not a dict)
        if not metadata.get("format", "").startswith(_FORMAT):
            raise ValueError("a safetensors file, but no model of surgaug")
        header = json.loads(metadata["surgaug"])
        _add_facts(report, header, sum(math.prod(shape) for shape in shapes))
        report.details["model"] = header
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return Report(path, "model", problems=[f"{path}: not a readable model file ({type(error).__name__}: {error})"])
    return report


def curves(path: Path) -> dict[str, dict[str, list[float]]]:
    """{"loss": {"x": steps, "y": values}, ...}, of some columns of metrics.csv; empty where none can be read."""
    if not path.is_file():
        return {}
    import pandas as pd

    try:
        read = pd.read_csv(path, dtype=str, on_bad_lines="skip", encoding_errors="replace")
    except ValueError:  # nothing in it that could be a table
        return {}
    rows = read.apply(pd.to_numeric, errors="coerce")
    found = {}
    for name in (n for n in ("loss", "val_loss", "lr", "images_per_s") if n in rows and "step" in rows):
        points = rows[["step", name]].replace([math.inf, -math.inf], math.nan).dropna()
        if len(points):
            found[name] = {"x": points["step"].astype(float).tolist(), "y": points[name].tolist()}
    return found


def _add_facts(report: Report, header: dict[str, Any], parameters: int) -> None:
    meta, space = header.get("meta", {}), header["space"]
    train, ids = meta.get("train", {}), [c["id"] for c in space["classes"]]
    statistics = ClassStatistics.from_dict(meta.get("statistics", {}), ids)
    report.add("parameters", f"{parameters / 1e6:.2f} M")
    report.add("family", header.get("family"))
    report.add("preset", train.get("preset"))
    report.add("size", "x".join(map(str, header.get("size", []))))
    report.add("label space", f"{space['name']}, {len(space['classes'])} classes")
    report.add("predicts", header.get("prediction"))
    report.add("noise schedule", _settings(header.get("schedule")))
    report.add("samples by default with", _settings(header.get("defaults")))
    report.add("network", _settings(header.get("config")))
    report.add("trained on", f"{train['data']}, {statistics.frames or '?'} frames" if train.get("data") else None)
    if "step" in meta:
        report.add(
            "trained for", f"{meta['step']} steps, {meta.get('minutes', 0):.1f} min, {meta.get('images')} images"
        )
    report.add("lowest validation loss", None if meta.get("val_loss") is None else f"{meta['val_loss']:.4g}")
    report.add("written by", f"surgaug {meta['surgaug']}" if "surgaug" in meta else None)
    if statistics.presence.keys() >= set(ids):
        rows = [
            [c["id"], c["name"], c["kind"], statistics.presence[c["id"]], f"{100 * statistics.pixels[c['id']]:.2g} %"]
            for c in space["classes"]
        ]
        report.tables.append(("Classes trained on", ["id", "class", "kind", "frames", "of pixels"], rows))
        if unseen := [row[1] for row in rows if not row[3]]:
            report.notes.append(f"classes in no training frame ({len(unseen)}): {', '.join(unseen)}")


def _settings(table: dict[str, Any] | None) -> str:
    return ", ".join(f"{k} {v}" for k, v in (table or {}).items())


def _json(path: Path, report: Report) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("not a JSON object")
        return found
    except (OSError, ValueError, RecursionError) as error:
        report.problems.append(f"{path}: cannot be read ({error})")
        return {}
