"""Where model files lie, in the folder of a run or with the package, and what else a run leaves. No torch: what is
wrong is told at once."""

from __future__ import annotations

from pathlib import Path

from surgaug.errors import ModelError

# The small model that comes with the package, trained on phantom scenes (docs/model-card.md).
SHIPPED = Path(__file__).parents[1] / "assets" / "phantom.safetensors"
# What training leaves in a run's folder, in the order of preference. The last one comes first: the learning rate has
# fallen to its end there. The lowest validation loss (a mean error, lowest for blurred answers) is often an early one;
# name best.safetensors itself to use it.
MODEL_FILES = ("last.safetensors", "best.safetensors")
# What else it leaves there; `training/run_folder.py` says what each holds.
CONFIG, DATA, STATE, STATUS = "config.json", "data.json", "state.pt", "run.json"
METRICS, SHEETS = "metrics.csv", "samples"


def model_file(path: Path) -> Path:
    """`path` itself, or the model file in the run folder `path`. ModelError when there is neither."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise ModelError(f"{path}: no such model file or run folder")
    found = next((path / name for name in MODEL_FILES if (path / name).is_file()), None)
    if found is None:
        raise ModelError(f"{path}: no model in this folder (looked for {', '.join(MODEL_FILES)})")
    return found
