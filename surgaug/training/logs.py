"""The run's record: `metrics.csv` always, TensorBoard when it is installed."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from surgaug.io.atomic import atomic_write
from surgaug.models.model_files import METRICS

FIELDS = [
    "step", "minutes", "images", "loss", "discriminator_loss", "lr", "grad_norm", "images_per_s", "val_loss",
    "val_by_level",
]  # fmt: skip
OLD_FIELDS = {"judge_loss": "discriminator_loss"}  # as version 0.1 wrote it


class StepFigures:
    """Figures of the steps since the last row. They stay on the device until they are looked at, because that waits for
    it."""

    def __init__(self) -> None:
        self._waiting: dict[int, dict[str, Tensor]] = {}
        self._seen: dict[int, dict[str, float]] = {}

    def add(self, step: int, figures: dict[str, Tensor]) -> None:
        """Those of one step, each a tensor []."""
        self._waiting[step] = figures

    def look(self) -> dict[int, dict[str, float]]:
        """The figures by step, in order."""
        if self._waiting:
            values = [value.detach().float() for figures in self._waiting.values() for value in figures.values()]
            read = iter(torch.stack(values).tolist())
            self._seen |= {step: {name: next(read) for name in figures} for step, figures in self._waiting.items()}
            self._waiting.clear()
        return self._seen

    def means(self) -> dict[str, float]:
        """The mean of each figure over the steps that have it. The steps are then forgotten."""
        rows, self._seen = list(self.look().values()), {}
        return {name: float(np.mean([row[name] for row in rows if name in row])) for name in rows[-1]}


class Logs:
    """Rows of `FIELDS`; after a resume, rows beyond the step resumed from are dropped, so that no step stands twice."""

    def __init__(self, run: Path, step: int):
        self.path = run / METRICS
        kept = _rows_until(self.path, step) if step and self.path.exists() else []
        # Replaced whole, so that a kill just here does not cost the rows so far.
        with atomic_write(self.path) as temporary, temporary.open("w", newline="") as f:
            table = csv.DictWriter(f, FIELDS, restval="", extrasaction="ignore")
            table.writeheader()
            table.writerows(kept)
        self.file = self.path.open("a", newline="")
        self.writer = csv.DictWriter(self.file, FIELDS, restval="")
        self.board = _tensorboard(run, step)

    def row(self, **values: Any) -> None:
        """One row; numbers go to TensorBoard as well."""
        self.writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in values.items()})
        self.file.flush()
        if self.board:
            for name, value in values.items():
                if name != "step" and isinstance(value, (int, float)):
                    self.board.add_scalar(name, value, values["step"])

    def image(self, name: str, sheet: Any, step: int) -> None:
        """A contact sheet uint8 [H, W, 3] to TensorBoard."""
        if self.board:
            self.board.add_image(name, sheet, step, dataformats="HWC")

    def close(self) -> None:
        self.file.close()
        if self.board:
            self.board.close()


def _rows_until(path: Path, step: int) -> list[dict[str, str]]:
    """The whole rows up to `step`; the half row of a killed run is none."""
    import pandas as pd

    rows = (
        pd.read_csv(path, dtype=str, keep_default_na=False, on_bad_lines="skip").fillna("").rename(columns=OLD_FIELDS)
    )
    number = pd.to_numeric(rows["step"], errors="coerce")
    return rows[number.le(step) & rows["minutes"].ne("")].to_dict("records")


def _tensorboard(run: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(run / "tensorboard"), purge_step=step + 1)
