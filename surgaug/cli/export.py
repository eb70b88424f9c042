"""`surgaug export`: real and synthetic images as one training set, in the layout of a segmentation trainer."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from surgaug.cli import outcome, screen
from surgaug.cli.choices import WRITTEN, as_palette, folder_within, label_space, mislabelled, one_of, without_bad
from surgaug.runtime.paths import refuse_missing

_What = partial(typer.Option, rich_help_panel="What")
_Where = partial(typer.Option, rich_help_panel="Where and how")


def export(
    data: Annotated[Path, _What(metavar="DIR", help="Real frames with label maps: any data set that is read.")],
    synth: Annotated[
        list[Path] | None,
        _What(metavar="DIR", help="Synthetic images, an output of synthesize; may be repeated."),
    ] = None,
    ratio: Annotated[
        float | None, _What(help="Synthetic images for each real training frame, at random. Default: all.")
    ] = None,
    hold_out: Annotated[
        float, _What(help="Data without splits: validate on this share of the frames, in whole videos.")
    ] = 0.0,
    classes: Annotated[str, label_space("Label space of the data.", panel="What")] = "auto",
    exclude_known_errors: Annotated[bool, mislabelled("What")] = False,
    leave_out_bad: Annotated[bool, without_bad("frames", "the description lists them", "What")] = False,
    only: Annotated[
        Path | None,
        _What(
            metavar="LIST",
            help="Only the frames that the list names, a name a line, as browse saves it; of data sets that it names "
            "none of, all.",
        ),
    ] = None,
    without: Annotated[
        Path | None, _What(metavar="LIST", help="All but the frames that the list names, real or synthetic.")
    ] = None,
    images: Annotated[Path | None, folder_within("--data", "frames", "What")] = None,
    labels: Annotated[Path | None, folder_within("--data", "label maps", "What")] = None,
    layout: Annotated[str, _Where(**one_of(*WRITTEN), help="Of the output (docs/data.md).")] = "folders",
    palette: Annotated[bool, as_palette("Where and how")] = False,
    out: Annotated[Path, _Where(help="Folder to write; a stopped run goes on in it.")] = Path("training-set"),
    seed: Annotated[int, _Where(help="Of what is picked and held out.")] = 0,
    json_file: outcome.JsonFile = None,
) -> None:
    """Write real frames, and synthetic images if wanted, as one data set in the layout of a segmentation trainer.

    Synthetic images go to the training part alone, and none whose mask is of a validation or test frame, or of its
    video.

    Example:  surgaug export --data cadis --synth synthetic --ratio 1 --layout nnunet --out Dataset501_Cadis
    """
    refuse_missing("--data", data)
    refuse_missing("--synth", *(synth or ()))
    refuse_missing("--only", only)
    refuse_missing("--without", without)

    from surgaug.export import ExportConfig
    from surgaug.export import export as run

    config = ExportConfig(
        data=data, out=out, synth=tuple(synth or ()), layout=layout, ratio=ratio, hold_out=hold_out, classes=classes,
        exclude_known_errors=exclude_known_errors, seed=seed, palette=palette,
        leave_out_bad=leave_out_bad, images=images, labels=labels, only=only, without=without,
    )  # fmt: skip
    done = run(config, screen.feedback())
    outcome.show(json_file, done.out)
    outcome.write(json_file, outcome.result("export", out=done.out, layout=layout, splits=done.by_split()))
