"""What a run left to be drawn: its curves, and its newest sheet of samples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from surgaug.models.model_files import METRICS, SHEETS


class RunLog(NamedTuple):
    """The folder of a run, its curves as `curves` reads them, and its newest sheet of samples, if there is one."""

    folder: Path
    curves: Mapping[str, Mapping[str, Sequence[float]]]
    samples: Path | None


def read_log(run: Path) -> RunLog:
    """That of a run's folder; without curves where none can be read."""
    return RunLog(run, curves(run / METRICS), max((run / SHEETS).glob("*.png"), default=None))


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
