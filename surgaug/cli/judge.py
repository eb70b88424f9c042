"""`surgaug judge`: real frames in, a file out that `synthesize --judge` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from surgaug.cli import defaults, outcome, screen
from surgaug.cli.choices import DEVICES, label_space, one_of, without_bad
from surgaug.runtime.paths import refuse_missing


def judge(
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Real frames with label maps; of a data set with splits its training frames [default: the data that "
            "lies here by a usual name]",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="FILE", callback=outcome.to_be_written, help="The file to write.")
    ] = Path("judge.safetensors"),
    classes: Annotated[str, label_space("Label space of the labels.")] = "auto",
    leave_out_bad: Annotated[bool, without_bad("frames", "they are counted")] = False,
    segmenter: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="unet (compact), efficientnet-lite0 (pretrained; with surgaug[features]), or one of torchvision's.",
        ),
    ] = "unet",
    segmenter_steps: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Of each of its trainings. Default: 100 a class, at least 800."),
    ] = None,
    segmenter_size: Annotated[
        str | None,
        typer.Option(metavar="HxW", help="Size to read at. Default: the frames' own, up to 128x128 pixels."),
    ] = None,
    device: Annotated[str, typer.Option(**one_of(*DEVICES), help="Where to compute.")] = "auto",
    json_file: outcome.JsonFile = None,
) -> None:
    """Train a segmenter of real frames that says of every pixel of a synthetic image whether its label can be trusted.

    synthesize --judge DIR trains one by itself; a file is for machines that have a model and no real frames, or for
    many runs with other settings than the usual.

    Examples:
    surgaug judge --data cadis --out cadis-judge.safetensors
    surgaug synthesize --masks new_maps --judge cadis-judge.safetensors
    """
    (data,) = defaults.fill(("--data", data, "data set"))
    refuse_missing("--data", data)

    from surgaug.runtime.options import parse_size
    from surgaug.scoring.judge import JudgeConfig, train_judge
    from surgaug.segmenter.network import MULTIPLE

    feedback = screen.feedback()
    size = parse_size(segmenter_size, "--segmenter-size", least=MULTIPLE) if segmenter_size else None
    config = JudgeConfig(data, out, classes, segmenter, size, segmenter_steps, device, leave_out_bad)
    found = train_judge(config, feedback)
    feedback.table(
        f"judge: {found.frames} real frames at {found.size[0]}x{found.size[1]}",
        ["id", "class", "frames", "mean surprise"],
        [[c.id, c.name, c.frames, "-" if c.surprise is None else f"{c.surprise:.3f}"] for c in found.classes],
        "mean cross-entropy in nats of real labels, each read by a network that had not seen its frame",
    )
    values = {"frames": found.frames, "size": found.size, "classes": [vars(c) for c in found.classes]}
    outcome.write(json_file, outcome.result("judge", file=out, **values))
    outcome.show(json_file, out)
