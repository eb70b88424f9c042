"""Which model file is meant."""

from __future__ import annotations

import json
from pathlib import Path

from surgaug.errors import ModelError
from surgaug.models.model_files import SHIPPED, STATUS, model_file
from surgaug.runtime.feedback import Feedback

RUNS = Path("runs")


def resolve_model(given: Path | None, feedback: Feedback, runs: Path = RUNS, shipped: Path = SHIPPED) -> Path:
    """The model file: that of `given` (a file or a run), else of the newest finished run, else the one that ships.

    `given` comes from --model, SURGAUG_MODEL or surgaug.toml, in this order; the command line sees to that.
    Raises ModelError saying what was looked for.
    """
    if given is not None:
        return find_given(given, runs)
    newest = newest_run(runs)
    if newest is not None:
        feedback.info(f"model: {newest}, of the newest finished run under {runs}/ (--model names another)")
        return newest
    if not shipped.is_file():
        raise ModelError(
            f"no model: neither --model nor SURGAUG_MODEL is given, no run under {runs}/ is finished, and {shipped} "
            "is missing; train one with: surgaug train --data DIR"
        )
    feedback.warn(
        "NO MODEL OF YOUR OWN WAS FOUND. Using the small model that ships with surgaug: it has seen nothing "
        "but rendered PHANTOM scenes, never surgery. Good for a try, NOT for training or judging anything. "
        "Train your own with `surgaug train --data DIR`, or name one with --model."
    )
    return shipped


def newest_run(runs: Path) -> Path | None:
    """The model file of the run under `runs` that finished last; None when none has."""
    finished = [
        (status.stat().st_mtime_ns, status.parent) for status in runs.glob(f"*/{STATUS}") if _is_finished(status)
    ]
    for _, run in sorted(finished, reverse=True):
        try:
            return model_file(run)
        except ModelError:
            continue
    return None


def _is_finished(status: Path) -> bool:
    try:
        return json.loads(status.read_text(encoding="utf-8")).get("status") == "finished"
    except (OSError, ValueError, AttributeError):
        return False


def find_given(given: Path, runs: Path = RUNS) -> Path:
    """The model file that a path names, of a run also without its parent folder. ModelError where there is none."""
    beside = runs / given
    return model_file(beside if beside.exists() and not given.exists() else given)
