"""`train`: frames in, a run folder with one model file out. A cascade is two runs, one for each stage, in one folder.

OUT/first/, OUT/second/   the stages' own run folders (`run_folder.py`), each resumed and inspected as any run
OUT/last.safetensors      both in one file
OUT/run.json              status: running, stopped or finished
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch

from surgaug.errors import UsageError
from surgaug.models import families
from surgaug.models.checkpoint import check_second, save_cascade
from surgaug.models.description import STAGE_NAMES
from surgaug.models.model_files import CONFIG, MODEL_FILES, STATUS
from surgaug.runtime.device import pick_device
from surgaug.runtime.distributed import ProcessGroup, join, leave, torchrun_group
from surgaug.runtime.feedback import Feedback, Silent, WithoutTables
from surgaug.training.config import Cascade, TrainConfig, cascade_of, check
from surgaug.training.data import warn_of_crops
from surgaug.training.loop import TrainResult, train_stage
from surgaug.training.presets import check_student, first_stage, given_models, second_stage, start_file
from surgaug.training.run_folder import find_run, write_status


def train(config: TrainConfig, feedback: Feedback | None = None, *, resume: bool = False) -> TrainResult:
    """Train as configured into `config.out`; goes on where an earlier run of the same settings stopped.

    UsageError and DataError come before anything long starts, and before the folder is made. ModelError: the loss is no
    longer finite (the last save is kept), or memory ran out. Interrupted: after Ctrl-C, with everything saved.
    """
    check(config)
    check_student(config)
    place = torchrun_group()
    device = pick_device(config.device, place.local_rank, place.local_size)
    group = join(device, feedback)
    try:
        if group.size > 1 and config.model not in families.STAGES:
            raise UsageError(f"--model {config.model} trains in one process, not in {group.size} under torchrun")
        shown = feedback if feedback and group.is_main else Silent()
        warn_of_crops(config, shown)
        if config.model == families.DIFFUSION and config.cascade:
            return _train_cascade(config, config.cascade, shown, device, group, resume)
        with ExitStack() as held:
            return train_stage(config, given_models(config), shown, device, group, resume, held)
    finally:
        leave()


def _train_cascade(
    config: TrainConfig, cascade: Cascade, feedback: Feedback, device: torch.device, group: ProcessGroup, resume: bool
) -> TrainResult:
    """Each stage that is not given, then both in one file."""
    out = Path(config.out)
    # All that may be refused of either stage is, before the first one is trained for an hour.
    first = start_file(cascade.first) if cascade.first else out / STAGE_NAMES[0] / MODEL_FILES[0]
    stages = dict(zip(STAGE_NAMES, (first_stage(config), second_stage(config, first)), strict=True))
    for stage in stages.values():
        check(stage)
    if cascade.second:
        check_second(start_file(cascade.second), cascade_of(config)[1])
    models = given_models(config)
    trained = [stages[name] for name in STAGE_NAMES if not getattr(cascade, name)]
    group.from_main(lambda: _refuse_others(out, trained, resume))
    results: list[TrainResult] = []
    files: list[Path] = []
    for name, given in zip(STAGE_NAMES, (cascade.first, cascade.second), strict=True):
        if given:
            files.append(start_file(given))
            feedback.info(f"{name} stage: {files[-1]}")
            continue
        stage = stages[name]
        share = f", for {stage.minutes:.3g} of {config.minutes:g} min" if stage.minutes and config.minutes else ""
        feedback.info(f"{name} stage: {stage.out}, at {stage.size[0]}x{stage.size[1]}{share}")
        with ExitStack() as held:
            # --resume insists on the stage that was stopped; the one behind it may not have begun.
            begun = (Path(stage.out) / STATUS).is_file()
            told = WithoutTables(feedback) if results else feedback  # the first one's are of the same frames
            other = files[0] if files else start_file(cascade.second) if cascade.second else None
            results.append(train_stage(stage, models, told, device, group, resume and begun, held, other))
        group.from_main(lambda: None)  # the others wait until the file of the stage is there
        files.append(results[-1].model)
    model = out / MODEL_FILES[0]
    step, minutes = sum(r.step for r in results), sum(r.minutes for r in results)
    if group.is_main:
        out.mkdir(parents=True, exist_ok=True)
        save_cascade(model, files[0], files[1])
        write_status(out, status="finished", step=step, minutes=minutes)
    return TrainResult(model, step, minutes, results[-1].val_loss if results else float("nan"))


def _refuse_others(out: Path, stages: Sequence[TrainConfig], resume: bool) -> None:
    """UsageError where the folder holds something else than a cascade, or nothing though `resume` insists on a run, or
    one of the `stages` that are trained with other settings (`find_run`)."""
    known = {*STAGE_NAMES, MODEL_FILES[0], STATUS}
    names = {p.name for p in out.iterdir() if not p.name.startswith(".")} if out.is_dir() else set()
    if not names <= known:
        what = "a run without a second stage" if CONFIG in names else "something else"
        raise UsageError(f"{out}: holds {what} ({min(names - known)}); name another folder with --out")
    if resume and not names & set(STAGE_NAMES):
        raise UsageError(f"--resume: {out} holds no run to resume; leave --resume out to start one")
    for stage in stages:
        find_run(Path(stage.out), stage, resume=False)
