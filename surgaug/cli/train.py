"""`surgaug train`."""

from __future__ import annotations

import shlex
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from surgaug.cli import defaults, outcome, screen
from surgaug.cli.choices import (
    COMPILE,
    DEVICES,
    PRECISIONS,
    folder_within,
    label_space,
    mislabelled,
    one_of,
    plugins,
    without_bad,
)
from surgaug.runtime.distributed import torchrun_group
from surgaug.runtime.paths import refuse_missing

DATA, MODEL, LENGTH, MACHINE = "Data", "Model", "Length and pace", "Machine"


def train(
    data: Annotated[
        Path | None,
        typer.Option(
            help="Frames with label maps: any data set that is read (docs/data.md) [default: what lies here by a usual "
            "name]",
            rich_help_panel=DATA,
            show_default=False,
        ),
    ] = None,
    val: Annotated[
        Path | None,
        typer.Option(
            help="Validation frames, likewise [default: the data's own split, or some held out]",
            rich_help_panel=DATA,
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Run folder [default: runs/DATA-PRESET-SIZE]", rich_help_panel=DATA, show_default=False),
    ] = None,
    classes: Annotated[
        str, label_space("Label space: auto finds the ids, NAME is a built-in one, FILE lists classes.", panel=DATA)
    ] = "auto",
    exclude_known_errors: Annotated[bool, mislabelled(DATA)] = False,
    leave_out_bad: Annotated[bool, without_bad("frames", "the run's data.json lists them", DATA)] = False,
    images: Annotated[Path | None, folder_within("--data", "frames", DATA)] = None,
    labels: Annotated[Path | None, folder_within("--data", "label maps", DATA)] = None,
    model: Annotated[
        str | None,
        typer.Option(
            **one_of(*plugins("models/families")),
            help="diffusion (ours), upsampler (a second stage alone), or a baseline: pix2pix, pix2pixhd, cyclegan, "
            "spade or clade [default: diffusion]",
            rich_help_panel=MODEL,
            show_default=False,
        ),
    ] = None,
    preset: Annotated[
        str,
        typer.Option(
            **one_of("tiny", "small", "base", "thesis", "thesis-tiny", "sdm", "sdm-tiny"),
            help="How large; of diffusion, thesis and sdm are published configurations.",
            rich_help_panel=MODEL,
        ),
    ] = "tiny",
    size: Annotated[
        str | None,
        typer.Option(
            help="Training size HxW, e.g. 64x112 [default: the preset's, in the frames' proportions]",
            rich_help_panel=MODEL,
            show_default=False,
        ),
    ] = None,
    cascade: Annotated[
        str,
        typer.Option(
            **one_of("auto", "on", "off"),
            help="Two stages in one model: a small picture, then a large one. auto: above 128 pixels a side.",
            rich_help_panel=MODEL,
        ),
    ] = "auto",
    init: Annotated[
        str | None,
        typer.Option(
            metavar="RUN|FILE|phantom|none",
            help="Start from another model's weights; phantom is the one that ships [default: phantom for tiny]",
            rich_help_panel=MODEL,
            show_default=False,
        ),
    ] = None,
    distill: Annotated[
        str | None,
        typer.Option(
            metavar="RUN|FILE",
            help="Distill this model into a student that samples in few steps.",
            rich_help_panel=MODEL,
            show_default=False,
        ),
    ] = None,
    student_steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Network calls that the student needs an image, by progressive distillation. [default: 4]",
            rich_help_panel=MODEL,
            show_default=False,
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            help="Optimizer steps [default: the preset's, without --minutes]",
            rich_help_panel=LENGTH,
            show_default=False,
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="Minutes of training; with --steps, whichever ends first.", rich_help_panel=LENGTH, show_default=False
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            help="Frames an optimizer step [default: the preset's; 8 of tiny]",
            rich_help_panel=LENGTH,
            show_default=False,
        ),
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(help="Peak learning rate [default: the preset's]", rich_help_panel=LENGTH, show_default=False),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Insist on going on. (A stopped run goes on with the same line anyway.)",
            rich_help_panel=LENGTH,
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of every random choice.", rich_help_panel=MACHINE)] = 0,
    device: Annotated[
        str, typer.Option(**one_of(*DEVICES), help="Where to compute.", rich_help_panel=MACHINE)
    ] = "auto",
    precision: Annotated[
        str, typer.Option(**one_of(*PRECISIONS), help="auto: bf16 on GPUs, else fp32.", rich_help_panel=MACHINE)
    ] = "auto",
    compile_: Annotated[
        str,
        typer.Option(
            "--compile",
            **one_of(*COMPILE),
            help="torch.compile; auto: on CUDA, with ten minutes ahead.",
            rich_help_panel=MACHINE,
        ),
    ] = "auto",
    config: Annotated[
        Path | None,
        typer.Option(
            help="TOML file of settings; a flag on the line wins.", rich_help_panel=MACHINE, show_default=False
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Any other setting, e.g. network.channels=64,128,192.",
            rich_help_panel=MACHINE,
            show_default=False,
        ),
    ] = None,
    json_file: outcome.JsonFile = None,
) -> None:
    """Train a model that synthesizes images from label maps.

    The run folder gets last.safetensors, the model. metrics.csv and samples/ to look at lie beside it, of two stages in
    first/ and second/. A run that was stopped or killed goes on when the same line is typed again.

    Examples:
    surgaug train --data frames/train --val frames/val --size 64x112 --minutes 60
    surgaug train --data cadis --classes cadis --preset small --minutes 600 --out runs/cadis
    surgaug train --data frames/train --distill runs/frames-train-tiny-64x112 --minutes 30 --out runs/fast
    """
    (data,) = defaults.fill(("--data", data, "data set"))
    refuse_missing("--data", data)
    refuse_missing("--val", val)
    refuse_missing("--config", config)

    from surgaug.datasets.dataset import items_of
    from surgaug.datasets.splits import trains_apart
    from surgaug.errors import DataError
    from surgaug.models.description import STAGE_NAMES
    from surgaug.models.families import UPSAMPLER
    from surgaug.models.model_files import SHEETS
    from surgaug.training.presets import from_command_line
    from surgaug.training.run import train as run

    given = {
        "model": model,
        "data": str(data),
        "val": None if val is None else str(val),
        "out": None if out is None else str(out),
        "classes": classes,
        "exclude_known_errors": exclude_known_errors,
        "leave_out_bad": leave_out_bad,
        "images": None if images is None else str(images),
        "labels": None if labels is None else str(labels),
        "size": size,
        "cascade": cascade,
        "init": init,
        "distill": distill,
        "student_steps": student_steps,
        "steps": steps,
        "minutes": minutes,
        "batch": batch,
        "lr": lr,
        "seed": seed,
        "device": device,
        "precision": precision,
        "compile": compile_,
    }
    feedback = screen.feedback()
    settings = from_command_line(preset, given, config, set_ or [])
    done = run(settings, feedback, resume=resume)
    feedback.info(f"{done.step} steps in {done.minutes:.1f} min; lowest validation loss {done.val_loss:.4f}")
    run_folder = done.model.parent
    sheets = [str(f) for f in (run_folder / SHEETS, *(run_folder / s / SHEETS for s in STAGE_NAMES)) if f.is_dir()]
    if sheets:
        feedback.info(f"what it makes of validation frames: {', '.join(sheets)}")
    if settings.model != UPSAMPLER:
        masks = [str(Path(settings.data) / (settings.labels or ""))]
        if not (settings.images or settings.labels):
            with suppress(DataError):  # gone since: what was trained is not lost for that
                masks += ["--split", "train"] if trains_apart(items_of(Path(settings.data))) else []
        line = ["surgaug", "synthesize", "--masks", *masks, "--model", str(run_folder)]
        feedback.info(f"to synthesize, type: {shlex.join(line)}")
    if torchrun_group().is_main:
        outcome.show(json_file, done.model)
        outcome.write(json_file, outcome.result("train", **vars(done)))
