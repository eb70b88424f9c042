"""The training loop, top to bottom: frames in, a run folder with model files out."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from surgaug.errors import Interrupted, ModelError, UsageError
from surgaug.io.atomic import clean_leftovers, write_png
from surgaug.io.lock import folder_lock
from surgaug.models import families
from surgaug.models.checkpoint import save_model, transfer
from surgaug.models.compiled import Compiler
from surgaug.runtime.device import pick_device, pick_precision
from surgaug.runtime.distributed import ProcessGroup, join, leave
from surgaug.runtime.feedback import Feedback, Silent
from surgaug.runtime.interrupt import graceful
from surgaug.training import ema, methods
from surgaug.training.attempt import attempt
from surgaug.training.config import TrainConfig, check, to_dict
from surgaug.training.data import load_data
from surgaug.training.frames import batches, repeat_factors
from surgaug.training.logs import Logs
from surgaug.training.presets import PHANTOM, check_student, start_file
from surgaug.training.run_folder import prepare, save_state, write_status
from surgaug.training.styles import style_bank
from surgaug.version import __version__

LOG_SECONDS = 5.0


@dataclass(frozen=True)
class TrainResult:
    """Where the model lies and how far it was trained."""

    model: Path
    step: int
    minutes: float
    val_loss: float


def train(config: TrainConfig, feedback: Feedback | None = None, *, resume: bool = False) -> TrainResult:
    """Train as configured into `config.out`; goes on where an earlier run of the same settings stopped.

    UsageError and DataError come before anything long starts. ModelError: the loss is no longer finite (the last save
    is kept), or memory ran out. Interrupted: after Ctrl-C, with everything saved.
    """
    check(config)
    check_student(config)
    device = pick_device(config.device)
    group = join(device.type)
    try:
        if group.size > 1 and config.model != families.DIFFUSION:
            raise UsageError(f"--model {config.model} trains in one process, not in {group.size} under torchrun")
        if config.device in ("auto", "cuda"):
            device = pick_device(config.device, group.local_rank)
        run = Path(config.out)
        if not group.is_main:
            return _train(config, Silent(), run, device, group, resume)
        run.mkdir(parents=True, exist_ok=True)
        with folder_lock(run, feedback or Silent()):
            return _train(config, feedback or Silent(), run, device, group, resume)
    finally:
        leave()


def finished(config: TrainConfig, step: int, minutes: float) -> bool:
    """Whether either bound is reached."""
    return step >= (config.steps or math.inf) or minutes >= (config.minutes or math.inf)


def spoilt(values: dict[str, float], dtype: torch.dtype | None) -> bool:
    """Whether training is beyond help. In float16 a gradient that overflowed is skipped, and is none of that."""
    losses = [value for name, value in values.items() if name != "grad_norm"]
    return not all(map(math.isfinite, losses if dtype == torch.float16 else values.values()))


def _train(
    config: TrainConfig, feedback: Feedback, run: Path, device: torch.device, group: ProcessGroup, resume: bool
) -> TrainResult:
    saved = group.from_main(lambda: prepare(run, config, resume))
    step, minutes_before, best = (saved["step"], saved["minutes"], saved["best"]) if saved else (0, 0.0, math.inf)
    if finished(config, step, minutes_before):
        feedback.info(f"{run} is trained already ({step} steps, {minutes_before:.1f} min)")
        return TrainResult(run / "last.safetensors", step, minutes_before, best)

    frames, val_frames, statistics, presence = load_data(config, feedback)
    space = frames.paired.space
    styles = style_bank(frames) if getattr(config.network, "style", False) else []
    dtype = pick_precision(config.precision, device)
    torch.manual_seed(config.seed)
    net = families.get(config.model).build(config.network, space.num_classes)
    if styles:
        net.style.fit(torch.tensor([style["code"] for style in styles]))
    if config.init and not saved:
        fresh = transfer(net, space, start_file(config.init))
        shipped = f"{PHANTOM}, the model that ships (--init none starts from nothing)"
        source = shipped if config.init == PHANTOM else config.init
        feedback.info(f"weights from {source}" + (f"; {len(fresh)} tensors start fresh" if fresh else ""))
    net = net.to(device, memory_format=torch.channels_last)
    average = copy.deepcopy(net).eval().requires_grad_(False)
    method = methods.get(config.model).Method(config, net, space.num_classes, device, dtype, group)
    compiler = Compiler(config.compile if method.trained else "off", method.trained or net, device, feedback)
    parts = {"average": average} | method.parts
    if saved:
        for name, owner in parts.items():
            owner.load_state_dict(saved[name])
        feedback.info(f"going on at step {step} ({minutes_before:.1f} min trained)")
    feedback.info(
        f"{config.model} {config.preset}: {sum(p.numel() for p in net.parameters()) / 1e6:.1f} M parameters; "
        f"{len(frames)} frames at "
        f"{config.size[0]}x{config.size[1]}, {space.num_classes} classes; {device}, {str(dtype or torch.float32)[6:]}"
    )

    validation = method.validation(val_frames)
    logs = Logs(run, step) if group.is_main else None
    start = time.monotonic()

    def minutes() -> float:
        return minutes_before + (time.monotonic() - start) / 60

    def save(status: str, names: tuple[str, ...] = ("last",)) -> None:
        """Model files first, then the state that resuming reads, then the status: a kill in between loses nothing."""
        meta = {
            "surgaug": __version__,
            "step": step,
            "minutes": minutes(),
            "images": step * config.batch,
            "val_loss": best if math.isfinite(best) else None,
            "train": to_dict(config),
            "statistics": statistics,
            "styles": styles,
        }
        for name in names:
            save_model(
                run / f"{name}.safetensors",
                average.state_dict(),
                family=config.model,
                config=config.network,
                space=space,
                size=config.size,
                meta=meta,
                **method.sampling,
            )
        position = {"step": step, "minutes": minutes(), "best": best}
        save_state(run / "state.pt", position | {name: owner.state_dict() for name, owner in parts.items()})
        write_status(run, status=status, step=step, minutes=minutes(), compiled=compiler.compiled)

    def look(status: str) -> None:
        """Validation loss and sample sheet with the averaged weights; then save, also as the best if it is."""
        nonlocal best
        by_level = validation.losses(average, config.batch)
        value = float(np.mean(by_level))
        better, best = value < best, min(best, value)
        assert logs is not None  # only the leading process looks
        logs.row(step=step, minutes=minutes(), val_loss=value, val_by_level=" ".join(f"{v:.4f}" for v in by_level))
        sheet = validation.sheet(average)
        write_png(run / "samples" / f"step_{step:07d}.png", sheet)
        logs.image("samples", sheet, step)
        save(status, ("last", "best") if better else ("last",))

    if group.is_main:
        (run / "samples").mkdir(exist_ok=True)
        for folder in (run, run / "samples"):
            clean_leftovers(folder)
        write_status(run, status="running", step=step, minutes=minutes())
    part = group.part(config.batch)
    stream = batches(
        frames, factors=repeat_factors(presence, config.balance), seed=config.seed, batch=config.batch, step=step,
        part=part, flip=config.flip, zoom=config.zoom, paired=method.paired,
    )  # fmt: skip
    by_time = config.steps is None
    bar_total, unit = (config.minutes, "min") if by_time else (config.steps, "steps")
    saved_at = looked_at = logged_at = time.monotonic()
    logged_step, window = step, []

    with graceful() as stop, feedback.task("training", bar_total, unit, minutes() if by_time else step) as bar:
        shown = minutes() if by_time else step
        # One clock for all processes: other rates would let their weights drift apart.
        while not finished(config, step, clock := group.largest(minutes())):
            progress = max(step / (config.steps or math.inf), clock / (config.minutes or math.inf))
            lr = method.set_rate(step, progress)
            torch.manual_seed(config.seed * 1_000_003 + step)  # dropout inside the network
            values = attempt(method, next(stream), step, part, compiler, config, feedback)
            if group.any(spoilt(values, dtype)):
                raise ModelError(
                    f"the loss is {values['loss']} and the gradient {values['grad_norm']} at step {step}: "
                    f"training cannot go on. {run} keeps the last save. "
                    f"Try a lower --lr (it is {config.lr:g}) or --precision fp32, with a new --out"
                )
            step += 1
            ema.update(average, net, step, config.ema_power)

            now = time.monotonic()
            window.append(values)
            fields = {}
            if now - logged_at > LOG_SECONDS:
                means = {name: float(np.mean([values[name] for values in window])) for name in window[0]}
                rate = (step - logged_step) * config.batch / (now - logged_at)
                by_steps = ((config.steps or math.inf) - step) * config.batch / rate
                compiler.consider(min(by_steps, 60 * ((config.minutes or math.inf) - minutes())))
                fields = {"loss": f"{means['loss']:.4f}", "images/s": f"{rate:.1f}"}
                if logs:
                    logs.row(
                        step=step, minutes=minutes(), images=step * config.batch, lr=lr, images_per_s=rate, **means
                    )
                logged_at, logged_step, window = now, step, []
            bar.advance((minutes() if by_time else step) - shown, **fields)
            shown = minutes() if by_time else step

            stopping = group.any(stop.requested)
            if group.is_main and stopping:
                save("stopped")
            elif group.is_main and now - looked_at > 60 * config.sample_minutes:
                look("running")
                saved_at = looked_at = time.monotonic()
            elif group.is_main and now - saved_at > 60 * config.save_minutes:
                save("running")
                saved_at = time.monotonic()
            if stopping:
                raise Interrupted(f"stopped at step {step} and saved in {run}; type the same line again to go on")
    if logs:
        look("finished")
        logs.close()
    return TrainResult(run / "last.safetensors", step, minutes(), best)
