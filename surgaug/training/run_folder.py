"""A run's folder: configuration, model files, training state, and what going on with it needs.

config.json          the resolved configuration
data.json            digests of the training frames' files and of the models that the settings name, so that replaced
                     ones are noticed; what was left out
last.safetensors     EMA weights of the last save      best.safetensors   of the lowest validation loss
state.pt             raw weights, EMA, optimizers, position: what a run goes on from (read as data only)
run.json             status: running, stopped or finished
metrics.csv, samples/step_*.png, tensorboard/

A folder without model files and state holds no run: nothing was trained yet, and another run may take it.
"""

from __future__ import annotations

import json
import math
import pickle
import zipfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from surgaug.errors import ModelError, UsageError
from surgaug.io import output_folder
from surgaug.io.atomic import atomic_write, write_text
from surgaug.labels.label_space import LabelSpace
from surgaug.labels.space_match import is_named
from surgaug.models.checkpoint import read_header, save_model
from surgaug.models.description import STAGE_NAMES
from surgaug.models.model_files import CONFIG, DATA, METRICS, MODEL_FILES, SHEETS, STATE, STATUS
from surgaug.training.config import FREE_ON_RESUME, TrainConfig, to_dict
from surgaug.training.data import Digests
from surgaug.version import __version__

# What training may have left before its first save.
UNTRAINED = {CONFIG, DATA, STATUS, METRICS, SHEETS, "tensorboard"}
# Parts of the state by the names that version 0.1 gave them.
OLD_NAMES = {"judge": "discriminator", "judge_optimizer": "discriminator_optimizer"}
OWN_FIRST = "the run's own"  # first stage
_LISTED = 5

# By the setting that names a model: its "file" and the "hash" of what that holds.
Models = Mapping[str, Mapping[str, str]]


@dataclass
class Position:
    """How far a run is. `best`: the lowest validation loss so far."""

    step: int = 0
    minutes: float = 0.0
    best: float = math.inf


def finished(config: TrainConfig, position: Position) -> bool:
    """Whether the steps or the minutes are over."""
    return position.step >= (config.steps or math.inf) or position.minutes >= (config.minutes or math.inf)


class Checkpoints:
    """Writes what a run leaves: model files first, then the state, then the status, so that a kill loses nothing.

    parts: {name: owner} of all that the state holds, each with a `state_dict`. about: goes into the model files' meta.
    sampling: schedule, prediction and sampling defaults of the model files.
    """

    def __init__(
        self,
        run: Path,
        config: TrainConfig,
        space: LabelSpace,
        average: nn.Module,
        parts: Mapping[str, Any],
        sampling: Mapping[str, Any],
        about: Mapping[str, Any],
    ):
        self.run, self.config, self.space, self.average = run, config, space, average
        self.parts, self.sampling, self.about = parts, sampling, about

    def save(self, position: Position, status: str, *, best: bool = False, compiled: bool = False) -> None:
        """Save all; `best`: as best.safetensors, too. compiled: whether the network is (see `models/compiled.py`).

        ModelError, with nothing saved, where weights are no numbers: the loss shows it one step later.
        """
        weights = self.average.state_dict()
        if spoilt := [name for name, values in weights.items() if not bool(values.isfinite().all())]:
            raise ModelError(
                f"weights ({spoilt[0]}) are no numbers after step {position.step - 1}: training cannot go on. "
                f"{self.run} keeps the last save. "
                f"Try a lower --lr (it is {self.config.lr:g}) or --precision fp32, with a new --out"
            )
        meta = {
            "surgaug": __version__,
            "step": position.step,
            "minutes": position.minutes,
            "images": position.step * self.config.batch,
            "val_loss": position.best if math.isfinite(position.best) else None,
            "train": to_dict(self.config),
            **self.about,
        }
        for name in MODEL_FILES if best else MODEL_FILES[:1]:
            save_model(
                self.run / name,
                weights,
                family=self.config.model,
                config=self.config.network,
                space=self.space,
                size=self.config.size,
                base=self.config.cascade.base if self.config.cascade else None,
                meta=meta,
                **self.sampling,
            )
        state = {name: owner.state_dict() for name, owner in self.parts.items()}
        save_state(self.run / STATE, vars(position) | state)
        write_status(self.run, status=status, step=position.step, minutes=position.minutes, compiled=compiled)


def find_run(run: Path, config: TrainConfig, resume: bool) -> bool:
    """Whether there is a run to go on with (`read_run`); False: a new one can begin. Changes nothing.

    UsageError: the folder holds a run of other settings (with the differences), one that lost its state before it was
    finished, or something else, or `resume` finds nothing to go on with. ModelError: its files are damaged.
    """
    names = {p.name for p in run.iterdir() if not p.name.startswith(".")} if run.is_dir() else set()
    trained = bool(names & {STATE, *MODEL_FILES})
    if resume and not trained:
        raise UsageError(f"--resume: {run} holds no run to resume; leave --resume out to start one")
    output_folder.refuse_strangers(run / CONFIG, "run of surgaug", UsageError, "name another with --out")
    old = output_folder.read_description(run / CONFIG)
    if not trained:
        if names and not (names <= UNTRAINED and old.keys() >= {"network", "validate_frames"}):
            raise UsageError(f"{run}: the folder is not empty and holds no run of surgaug; name another with --out")
        return False
    if not old:
        raise ModelError(f"{run / CONFIG}: damaged; delete {run} to start again")
    now = _wherever_it_lies(json.loads(json.dumps(to_dict(config))))
    old = _wherever_it_lies(completed(old, config))
    if lines := output_folder.differences(old, now, free=FREE_ON_RESUME):
        raise UsageError(
            f"{run} holds a run with other settings ({'; '.join(lines)}); "
            "repeat the settings it began with, or name another folder with --out"
        )
    if STATE in names:
        return True
    status = output_folder.read_description(run / STATUS)
    if status.get("step") == 0 and not resume:
        return False  # killed within its first save
    if not _is_over(status, config):
        raise UsageError(
            f"{run / STATE} is missing, without which this run cannot go on; train --init {run} with another --out "
            "starts from its weights"
        )
    return True


def _is_over(status: Mapping[str, Any], config: TrainConfig) -> bool:
    """Whether a run of this status is finished, and no more is asked for: its state may be gone."""
    return status.get("status") == "finished" and finished(config, Position(status["step"], status["minutes"]))


def read_run(run: Path) -> dict[str, Any]:
    """The state to go on from, with the run's "status" beside it; of a finished run without state, its position."""
    status = output_folder.read_description(run / STATUS)
    if (run / STATE).exists():
        return load_state(run / STATE) | {"status": status.get("status")}
    best = read_header(run / MODEL_FILES[0])["meta"].get("val_loss")
    return {**status, "best": math.inf if best is None else best}


def completed(old: dict[str, Any], config: TrainConfig) -> dict[str, Any]:
    """`old` with the defaults of settings that the version which wrote it did not have: it did as they say."""
    network, adversary = type(config.network)(), type(config.adversary)()
    defaults = json.loads(json.dumps(to_dict(TrainConfig(network=network, adversary=adversary))))

    def fill(default: Any, value: Any) -> Any:
        if not (isinstance(default, dict) and isinstance(value, dict)):
            return value
        return {**default, **{k: fill(default.get(k), v) for k, v in value.items()}}

    return fill(defaults, old)


def refuse_other_data(run: Path, digests: Digests) -> None:
    """UsageError unless the frames are those that the run began with; it says which files differ.

    A run of version 0.1 has no digests: it goes on.
    """
    old = _read_data(run).get("frames")
    if old is None:
        return
    both = sorted(old.keys() & digests.keys())
    found = _by_name(old, digests) | {
        # Some runs have digests of two ends of a file, with which that of the whole file begins.
        "have another image": [n for n in both if not digests[n][0].startswith(old[n][0])],
        "have another label map": [n for n in both if old[n][1] != digests[n][1]],
        "have the same label file, which comes to other class ids: a class file, names or colours have changed": [
            n for n in both if old[n][1] == digests[n][1] and old[n][2:] and old[n][2:] != digests[n][2:]
        ],
    }
    if lines := _listed(found):
        raise UsageError(
            f"{run} was trained on other frames: of {len(old)}, {lines}. Put them back to go on, or name "
            f"another folder with --out (--init {run} starts from its weights)"
        )


def changed_names(run: Path, names: Collection[str]) -> str:
    """In words, which of the run's frames are gone and which are new; "" where none are, or nothing is known."""
    old = _read_data(run).get("frames")
    return "" if old is None else _listed(_by_name(old, names))


def _by_name(old: Collection[str], new: Collection[str]) -> dict[str, list[str]]:
    return {"are gone": sorted(set(old) - set(new)), "are new": sorted(set(new) - set(old))}


def _listed(found: Mapping[str, Sequence[str]]) -> str:
    """Of each kind how many frames, and the first of them."""
    return "; ".join(
        f"{len(names)} {what} ({', '.join(names[:_LISTED])}{', ...' if len(names) > _LISTED else ''})"
        for what, names in found.items()
        if names
    )


def refuse_other_classes(run: Path, space: LabelSpace) -> None:
    """UsageError where the classes are others, or called otherwise, than those of the run's model; it says which.

    Names count where both sides have some: the model's weights are of what a name meant.
    """
    if not (run / MODEL_FILES[0]).is_file():
        return
    spaces = LabelSpace.from_dict(read_header(run / MODEL_FILES[0])["space"]), space
    named = all(map(is_named, spaces))
    old, new = ({f"class {c.id}": c.name if named else "there" for c in s.classes} for s in spaces)
    if lines := output_folder.differences(old, new):
        raise UsageError(
            f"{run} was trained with other classes ({'; '.join(lines)}): a class file or names beside the label "
            "maps have changed; put them back to go on, or name another folder with --out"
        )


def refuse_other_models(run: Path, models: Models) -> None:
    """UsageError where a setting names another model than when the run began, if only under the same path.

    A run that kept no hash of it goes on.
    """
    old = _read_data(run).get("models", {}) if models else {}
    for name, model in models.items():
        if name in old and old[name]["hash"] != model["hash"]:
            raise UsageError(
                f"{name} {model['file']}: holds another model than when {run} began; put that one back to go on, or "
                "name another folder with --out"
            )


def claim(
    run: Path,
    config: TrainConfig,
    digests: Digests,
    position: Position,
    left_out: Sequence[str] = (),
    models: Models | None = None,
) -> None:
    """Make the folder this run's: configuration, digests of its frames and of the `models` that its settings name, what
    was left out, status; leftovers of killed runs go."""
    output_folder.claim(run / CONFIG, to_dict(config), [run / SHEETS])
    more = {"left_out": left_out, "models": models}
    write_text(run / DATA, json.dumps({"frames": digests} | {k: v for k, v in more.items() if v}) + "\n")
    write_status(run, status="running", step=position.step, minutes=position.minutes)


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
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (zipfile.BadZipFile, pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as e:
        reason = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise ModelError(
            f"{path}: not a readable training state ({reason}); "
            f"delete the folder to start again, or train --init {path.with_name('last.safetensors')}"
        ) from None
    if not isinstance(state, dict) or "step" not in state:
        raise ModelError(f"{path}: not a training state of surgaug")
    return {OLD_NAMES.get(name, name): value for name, value in state.items()}


def write_status(run: Path, **values: Any) -> None:
    """`run.json`: {"status": "running" | "stopped" | "finished", "step": ..., ...}."""
    output_folder.write_description(run / STATUS, values)


def _read_data(run: Path) -> dict[str, Any]:
    """What `claim` wrote of the run's data; {} where it is not there. ModelError when it is damaged."""
    try:
        found = json.loads((run / DATA).read_text(encoding="utf-8"))
        if not isinstance(found["frames"], dict):
            raise ValueError("frames: no table")
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as e:
        raise ModelError(f"{run / DATA}: damaged ({e}); delete it to go on without comparing the frames") from None
    return dict(found)


def first_run(settings: Mapping[str, Any]) -> Path | None:
    """The run of the first stage that was trained beside the second one of these settings (`config.to_dict`); None
    where there is none, or another was given."""
    cascade = settings.get("cascade")
    if not cascade or not cascade.get("first"):
        return None
    run = Path(cascade["first"]).parent
    return run if run == Path(settings["out"]).with_name(STAGE_NAMES[0]) else None


def _wherever_it_lies(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of a run with the first stage that was trained beside it named as such: both may have moved."""
    if first_run(settings) is None:
        return settings
    return {**settings, "cascade": {**settings["cascade"], "first": OWN_FIRST}}
