"""The training loop of one network, top to bottom: frames in, a run folder with model files out."""

from __future__ import annotations

import copy
import math
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from surgaug.datasets.dataset import LabelMaps
from surgaug.datasets.space_match import of_model, start_space
from surgaug.errors import Interrupted, ModelError, SurgaugError, UsageError
from surgaug.io.atomic import write_png
from surgaug.io.lock import folder_lock
from surgaug.labels.label_space import LabelSpace
from surgaug.labels.sides import one_sided
from surgaug.models import families
from surgaug.models.checkpoint import check_classes, read_header, transfer
from surgaug.models.compiled import Compiler
from surgaug.models.model_files import METRICS, MODEL_FILES, SHEETS
from surgaug.runtime.device import is_out_of_memory, pick_precision
from surgaug.runtime.distributed import ProcessGroup
from surgaug.runtime.feedback import Feedback, Silent, Task
from surgaug.runtime.interrupt import graceful
from surgaug.runtime.notebook import picture_html, table_html
from surgaug.training import ema, methods
from surgaug.training.config import TrainConfig, to_dict
from surgaug.training.data import (
    Digests,
    choose_frames,
    digests,
    frame_names,
    label_digests,
    load_data,
    style_bank,
)
from surgaug.training.frames import FrameBatch, batches, repeat_factors
from surgaug.training.logs import Logs, StepFigures
from surgaug.training.presets import PHANTOM, start_file
from surgaug.training.run_folder import (
    Checkpoints,
    Models,
    Position,
    changed_names,
    claim,
    find_run,
    finished,
    first_run,
    read_run,
    refuse_other_classes,
    refuse_other_data,
    refuse_other_models,
)

if TYPE_CHECKING:
    import pandas as pd

LOG_SECONDS = 5.0
RISEN = 1.5  # times its lowest: a validation loss to be warned of at the end
LOOK_EVERY = 50  # steps after which a device that computes on its own is waited for, to see whether all is well


@dataclass(frozen=True)
class TrainResult:
    """Where the model lies and how far it was trained. val_loss: the lowest."""

    model: Path
    step: int
    minutes: float
    val_loss: float

    def metrics(self) -> pd.DataFrame:
        """What the run's metrics.csv say, a row a line; `stage` tells the two networks of a cascade apart."""
        import pandas as pd

        run = self.model.parent
        stages = {file.parent: file for file in (run / METRICS, *sorted(run.glob(f"*/{METRICS}"))) if file.is_file()}
        frames = [pd.read_csv(file).assign(stage=folder.name) for folder, file in stages.items()]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def _repr_html_(self) -> str:
        facts: list[list[Any]] = [
            ["model", self.model],
            ["steps", f"{self.step:,}"],
            ["minutes", f"{self.minutes:.1f}"],
        ]
        facts.append(["validation loss", f"{self.val_loss:.4g}"])
        sheets = sorted(self.model.parent.glob("**/samples/step_*.png"), key=lambda path: path.stat().st_mtime_ns)
        return table_html(["", ""], facts, "trained") + "".join(map(picture_html, sheets[-1:]))


def train_stage(
    config: TrainConfig,
    models: Models,
    feedback: Feedback,
    device: torch.device,
    group: ProcessGroup,
    resume: bool,
    held: ExitStack,
    other: Path | None = None,
) -> TrainResult:
    """Train one network (`training/run.py`). models: of `presets.given_models`; `held` takes the lock on the run's
    folder. other: of two stages the file of the other one, where it is there already; it must have the same classes."""
    run = Path(config.out)
    saved = group.from_main(lambda: _open_run(run, config, models, resume, held, feedback))
    position = Position(saved["step"], saved["minutes"], saved["best"]) if saved else Position()
    if saved and saved["status"] == "finished" and finished(config, position):
        feedback.info(f"{run} is trained already ({position.step} steps, {position.minutes:.1f} min)")
        group.from_main(lambda: _warn_of_other_frames(run, config, feedback))
        return _result(run, position)

    # Everything that may be refused comes before the folder is claimed.
    if config.init and not saved:
        read_header(start_file(config.init))  # before the frames are read, which may take minutes
    data = load_data(config, feedback, group)
    space = data.frames.paired.space
    if other:
        family = families.DIFFUSION if config.model == families.UPSAMPLER else families.UPSAMPLER
        check_classes(other, family, space, f"the frames of {config.data}")
    fingerprints = digests(data)
    group.from_main(lambda: _refuse_other_data(config, fingerprints, space, bool(saved)))
    styles = style_bank(data.frames) if getattr(config.network, "style", False) else []
    dtype = pick_precision(config.precision, device)
    net = build(config, data.frames.paired, styles, None if saved else config.init, feedback)
    net.to(device, memory_format=torch.channels_last)
    average = copy.deepcopy(net).eval().requires_grad_(False)
    method = methods.get(config.model).Method(config, net, space.num_classes, device, dtype, group)
    compiled_module = method.compiled_module
    compiler = Compiler(config.compile if compiled_module else "off", compiled_module or net, device, feedback)
    parts = {"average": average} | method.parts
    feedback.info(
        f"{config.model} {config.preset}: {sum(p.numel() for p in net.parameters()) / 1e6:.1f} M parameters; "
        f"{len(data.frames)} frames at "
        f"{config.size[0]}x{config.size[1]}, {space.num_classes} classes; {device}, {str(dtype or torch.float32)[6:]}"
    )
    begun = time.monotonic()
    method.prepare(data.frames, feedback)
    ready = (time.monotonic() - begun) / 60
    if not saved and config.minutes and ready > config.minutes / 2:
        feedback.warn(f"{ready:.2g} of {config.minutes:.2g} min went by before the first step; give more --minutes")
    if saved:
        begun = time.monotonic() - 60 * position.minutes  # as if it had been trained in one go
        for name, owner in parts.items():
            owner.load_state_dict(saved[name])
        feedback.info(f"going on at step {position.step} ({position.minutes:.1f} min trained)")
    validation = method.validation(data.val)
    about = {"statistics": data.statistics.to_dict(), "styles": styles, "label_maps": label_digests(data)}
    checkpoints = Checkpoints(run, config, space, average, parts, method.sampling, about)
    part = group.part(config.batch)
    flip = config.flip
    if flip and (sided := one_sided(space)):
        flip = ""
        feedback.info(f"frames are not mirrored: {sided[0]} would be of the other side, and that has no class")
    stream = batches(
        data.frames, factors=repeat_factors(data.presence, config.balance), seed=config.seed, batch=config.batch,
        step=position.step, part=part, flip=flip, zoom=config.zoom, paired=method.paired,
    )  # fmt: skip
    group.from_main(lambda: None if saved else _lock_new(run, config, held, feedback))
    group.from_main(lambda: claim(run, config, fingerprints, position, data.left_out, models))
    logs = Logs(run, position.step) if group.is_main else None

    by_time = config.steps is None
    bar_total, unit = (config.minutes, "min") if by_time else (config.steps, "steps")
    # What `prepare` took counts; were it the bar's first step, the time left would be far too short.
    bar_at = (time.monotonic() - begun) / 60 if by_time else position.step
    saved_at = validated_at = logged_at = time.monotonic()
    logged_step, figures = position.step, StepFigures()

    def refuse_spoilt() -> None:
        found = first_spoilt(figures, dtype)
        if group.any(found is not None):
            raise ModelError(
                f"{found or 'the loss of another process is no number'}: training cannot go on. "
                f"{run} keeps the last save. "
                f"Try a lower --lr (it is {config.lr:g}) or --precision fp32, with a new --out"
            )

    with graceful() as stop, feedback.task("training", bar_total, unit, bar_at) as bar:
        while not finished(config, position):
            # The learning rate, then one optimizer step.
            progress = max(position.step / (config.steps or math.inf), position.minutes / (config.minutes or math.inf))
            lr = method.set_rate(position.step, progress)
            torch.manual_seed(config.seed * 1_000_003 + position.step)  # dropout inside the network
            values = update_within_memory(method, next(stream), position.step, part, compiler, config, feedback)
            figures.add(position.step, values)
            if device.type == "cpu" or position.step % LOOK_EVERY == 0:
                refuse_spoilt()
            position.step += 1
            ema.update(average, net, position.step, config.ema_power, config.ema_decay)

            # One clock for all processes: other rates would let their weights drift apart.
            now = time.monotonic()
            position.minutes, stopping = group.largest((now - begun) / 60, stop.requested)

            # Log the means since the last row; compile once it is known that enough work is left.
            fields = {}
            if now - logged_at > LOG_SECONDS:
                means = figures.means()
                rate = (position.step - logged_step) * config.batch / (now - logged_at)
                by_steps = ((config.steps or math.inf) - position.step) * config.batch / rate
                compiler.consider(min(by_steps, 60 * ((config.minutes or math.inf) - position.minutes)))
                fields = {"loss": f"{means['loss']:.4f}", "images/s": f"{rate:.1f}"}
                if logs:
                    images = position.step * config.batch
                    logs.row(
                        step=position.step, minutes=position.minutes, images=images, lr=lr, images_per_s=rate, **means
                    )
                logged_at, logged_step = now, position.step
            reached = position.minutes if by_time else position.step
            bar.advance(reached - bar_at, **fields)
            bar_at = reached

            # Stop, validate, or save.
            if stopping:
                refuse_spoilt()
                # All wait: as soon as one has left, torchrun ends the one that saves.
                group.from_main(lambda: checkpoints.save(position, "stopped", compiled=compiler.compiled))
                raise Interrupted(
                    f"stopped at step {position.step} and saved in {run}; type the same line again to go on"
                )
            due = now - validated_at > 60 * config.sample_minutes or now - saved_at > 60 * config.save_minutes
            if logs and due and first_spoilt(figures, dtype) is None:
                better = False
                if now - validated_at > 60 * config.sample_minutes:
                    loss = validate(validation, average, config.batch, run, logs, position, Silent().task("", None))
                    better, validated_at = loss <= position.best, time.monotonic()
                checkpoints.save(position, "running", best=better, compiled=compiler.compiled)
                saved_at = time.monotonic()
        refuse_spoilt()

    if logs:
        # The weights first: what comes now may take minutes, too.
        checkpoints.save(position, "running", compiled=compiler.compiled)
        with feedback.task("validating", validation.work, "frames") as bar:
            loss = validate(validation, average, config.batch, run, logs, position, bar)
        if loss > RISEN * position.best:
            feedback.warn(
                f"the validation loss has risen to {loss:.4g}, from {position.best:.4g} at its lowest: look at "
                f"{run / SHEETS} before the model is used; {run / MODEL_FILES[1]} is of the lowest"
            )
        method.conclude(average, data.frames, data.val, position.step * config.batch, feedback)
        checkpoints.save(position, "finished", best=loss <= position.best, compiled=compiler.compiled)
        logs.close()
    return _result(run, position)


def _open_run(
    run: Path, config: TrainConfig, models: Models, resume: bool, held: ExitStack, feedback: Feedback
) -> dict[str, Any] | None:
    """The state of the run that lies in the folder, with the folder locked; None where there is none."""
    if not find_run(run, config, resume):
        return None
    refuse_other_models(run, models)
    held.enter_context(folder_lock(run, feedback))
    return read_run(run)


def _warn_of_other_frames(run: Path, config: TrainConfig, feedback: Feedback) -> None:
    """Say where the frames that a finished run would have today are others, by name, than it was trained on."""
    try:
        names = frame_names(*choose_frames(config, Silent()))
    except SurgaugError:
        return  # gone since: the model does without them
    if changes := changed_names(run, names):
        feedback.warn(
            f"its frames are others today: {changes}. To train on them, name another folder with --out; --init {run} "
            "starts from its weights"
        )


def _refuse_other_data(config: TrainConfig, fingerprints: Digests, space: LabelSpace, begun: bool) -> None:
    """UsageError unless frames and classes are those of the run, if it has begun, and of the first stage that it stands
    on."""
    first = first_run(to_dict(config))
    for run in ([first] if first else []) + ([Path(config.out)] if begun else []):
        refuse_other_data(run, fingerprints)
        refuse_other_classes(run, space)


def _lock_new(run: Path, config: TrainConfig, held: ExitStack, feedback: Feedback) -> None:
    """Make and lock the folder of a new run."""
    run.mkdir(parents=True, exist_ok=True)
    held.enter_context(folder_lock(run, feedback))
    if find_run(run, config, resume=False):
        raise UsageError(f"{run}: another process has trained here meanwhile; type the same line again to go on")


def build(
    config: TrainConfig, maps: LabelMaps, styles: list[dict[str, Any]], init: str | None, feedback: Feedback
) -> Any:
    """The network for the classes of `maps` with fresh weights from `config.seed`, or those of the model `init` as far
    as they fit; weights of a class where it is known to be the model's."""
    torch.manual_seed(config.seed)
    net = families.get(config.model).build(config.network, maps.space.num_classes)
    if styles:
        net.style.fit(torch.tensor([style["code"] for style in styles]))
    if init:
        file = start_file(init)
        header = read_header(file)
        known = of_model(LabelSpace.from_dict(header["space"]), file, header["meta"])
        fresh = transfer(net, start_space(maps, known, feedback), file)
        source = f"{PHANTOM}, the model that ships (--init none starts from nothing)" if init == PHANTOM else init
        feedback.info(f"weights from {source}" + (f"; starting fresh: {len(fresh)} of its tensors" if fresh else ""))
    return net


def spoilt(values: dict[str, float], dtype: torch.dtype | None) -> bool:
    """Whether the loss or the gradient is no number. In float16 a gradient may overflow: that step is skipped."""
    losses = [value for name, value in values.items() if name != "grad_norm"]
    return not all(map(math.isfinite, losses if dtype == torch.float16 else values.values()))


def first_spoilt(figures: StepFigures, dtype: torch.dtype | None) -> str | None:
    """The first step since the last row that is `spoilt`, in words; None where none is."""
    for step, values in figures.look().items():
        if spoilt(values, dtype):
            return f"the loss is {values['loss']} and the gradient {values['grad_norm']} at step {step}"
    return None


def update_within_memory(
    method: Any,
    frames: FrameBatch,
    step: int,
    part: slice,
    compiler: Compiler,
    config: TrainConfig,
    feedback: Feedback,
) -> dict[str, Tensor]:
    """`method.update` for `frames`, in smaller pieces where memory runs out.

    The pieces stay small from then on; the gradient is the same but for rounding (and dropout, where there is any).
    Where the compiled network fails, the step is done without compiling. Raises ModelError when even single frames are
    too much, or when the method cannot make pieces (see `methods`).
    """
    while True:
        try:
            return method.update(frames, step, part)
        except RuntimeError as error:
            if compiler.gave_up(error):
                method.net.zero_grad(set_to_none=True)  # of the pieces before the one that failed
                continue
            if not is_out_of_memory(error):
                raise
        # Outside the handler, whose traceback holds on to what filled the memory.
        if not method.halve():
            raise ModelError(
                f"out of memory with --batch {config.batch} at {config.size[0]}x{config.size[1]}: try --batch "
                f"{max(1, config.batch // 2)}, a smaller --size or --precision bf16"
            )
        feedback.warn(
            f"out of memory: each batch of {config.batch} is now computed in {method.pieces} pieces; "
            f"--set accumulate={method.pieces} begins so"
        )


def validate(
    validation: Any, average: nn.Module, batch: int, run: Path, logs: Logs, position: Position, bar: Task
) -> float:
    """Log the validation loss of the averaged weights, and write their sheet of samples.

    Returns the loss, and lowers `position.best` to it where it is the lowest so far.
    """
    by_level = validation.losses(average, batch, bar)
    value = float(np.mean(by_level))
    if not math.isfinite(value):
        raise ModelError(
            f"the validation loss is {value} at step {position.step}: the model in {run} makes no images. "
            "Try a lower --lr or --precision fp32, with a new --out"
        )
    position.best = min(position.best, value)
    shown = " ".join(f"{v:.4f}" for v in by_level)
    logs.row(step=position.step, minutes=position.minutes, val_loss=value, val_by_level=shown)
    sheet = validation.sheet(average, bar)
    write_png(run / SHEETS / f"step_{position.step:07d}.png", sheet)
    logs.image("samples", sheet, position.step)
    return value


def _result(run: Path, position: Position) -> TrainResult:
    return TrainResult(run / "last.safetensors", position.step, position.minutes, position.best)
