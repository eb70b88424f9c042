"""A run's folder: configuration, model files, training state, and what resuming needs.

config.json          the resolved configuration
last.safetensors     EMA weights of the last save      best.safetensors   of the lowest validation loss
state.pt             raw weights, EMA, optimizer, position: what `--resume` continues from (read as data only)
run.json             status: running, stopped or finished
metrics.csv, samples/step_*.png
"""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from surgaug.errors import ModelError, UsageError
from surgaug.io.atomic import atomic_write, write_text
from surgaug.io.output_folder import differences
from surgaug.training.config import FREE_ON_RESUME, TrainConfig, to_dict


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values atomically. ModelError when they cannot be written."""
    with atomic_write(path) as temporary:
        try:
            torch.save(state, temporary)
        except RuntimeError as e:  # torch's writer keeps the system's reason to itself
            raise ModelError(f"{path}: cannot be written ({str(e).splitlines()[0]}); is the disk full?") from None


def load_state(path: Path) -> dict[str, Any]:
    """Read a training state as data only (`weights_only`). ModelError when it is damaged or anything else."""
    try:
        with zipfile.ZipFile(path) as archive:  # torch itself compares no checksums
            if damaged := archive.testzip():
                raise ValueError(f"the checksum of {damaged} differs")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (zipfile.BadZipFile, pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as e:
        reason = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise ModelError(
            f"{path}: not a readable training state ({reason}); "
            f"delete the folder to start again, or train --init {path.with_name('last.safetensors')}"
        ) from None
    if not isinstance(state, dict) or "step" not in state:
        raise ModelError(f"{path}: not a training state of surgaug")
    return state


def write_status(run: Path, **values: Any) -> None:
    """`run.json`: {"status": "running" | "stopped" | "finished", "step": ..., ...}."""
    write_text(run / "run.json", json.dumps(values, indent=2) + "\n")


def read_status(run: Path) -> dict[str, Any]:
    """The run's status, {} when there is none."""
    try:
        return json.loads((run / "run.json").read_text())
    except (OSError, json.JSONDecodeError):
        return {}


def completed(old: dict[str, Any], config: TrainConfig) -> dict[str, Any]:
    """`old` with the defaults of settings that the version which wrote it did not have: it did as they say."""
    network, adversary = type(config.network)(), type(config.adversary)()
    defaults = json.loads(json.dumps(to_dict(TrainConfig(network=network, adversary=adversary))))

    def fill(default: Any, value: Any) -> Any:
        if not (isinstance(default, dict) and isinstance(value, dict)):
            return value
        return {**default, **{k: fill(default.get(k), v) for k, v in value.items()}}

    return fill(defaults, old)


def prepare(run: Path, config: TrainConfig, resume: bool) -> dict[str, Any] | None:
    """The state to go on from, or None for a new run. Refuses a folder that holds something else.

    UsageError: another configuration lies there (with the differences), or `--resume` finds nothing to resume.
    """
    old_config, state_file = run / "config.json", run / "state.pt"
    if not old_config.exists():
        if resume:
            raise UsageError(f"--resume: {run} holds no run to resume; leave --resume out to start one")
        if run.exists() and any(not p.name.startswith(".") for p in run.iterdir()):
            raise UsageError(f"--out {run}: the folder is not empty and holds no run of surgaug; name another")
    else:
        try:
            old = json.loads(old_config.read_text())
        except json.JSONDecodeError as e:
            raise ModelError(f"{old_config}: damaged ({e}); delete {run} to start again") from None
        now = json.loads(json.dumps(to_dict(config)))
        if lines := differences(completed(old, config), now, free=FREE_ON_RESUME):
            raise UsageError(
                f"{run} holds a run with other settings ({'; '.join(lines)}); "
                "repeat the settings it began with, or name another folder with --out"
            )
    run.mkdir(parents=True, exist_ok=True)
    write_text(old_config, json.dumps(to_dict(config), indent=2) + "\n")
    return load_state(state_file) if state_file.exists() else None
