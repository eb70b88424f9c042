"""`surgaug export`: real and synthetic images as one training set, in the layout of a segmentation trainer."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from surgaug.cli import outcome, screen
from surgaug.cli.choices import WRITTEN, one_of, spaces, suggesting
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
    classes: Annotated[
        str, _What(**suggesting("auto", *spaces(), metavar="auto|NAME|FILE"), help="Label space of the data.")
    ] = "auto",
    exclude_known_errors: Annotated[
        bool, _What("--exclude-known-errors", help="CaDIS: without the 60 training frames known to be mislabelled.")
    ] = False,
    leave_out_bad: Annotated[
        bool, _What("--leave-out-bad", help="Go on without frames that cannot be used; the description lists them.")
    ] = False,
    only: Annotated[
        Path | None,
        _What(
            metavar="LIST", help="Of each set that the list names frames of, only these: a name a line, as of browse."
        ),
    ] = None,
    without: Annotated[
        Path | None, _What(metavar="LIST", help="All but the frames that the list names, real or synthetic.")
    ] = None,
    images: Annotated[
        Path | None, _What(metavar="DIR", help="Folder of the frames in --data, where its name does not tell.")
    ] = None,
    labels: Annotated[
        Path | None, _What(metavar="DIR", help="Folder of the label maps in --data, where its name does not tell.")
    ] = None,
    layout: Annotated[str, _Where(**one_of(*WRITTEN), help="Of the output (docs/data.md).")] = "folders",
    palette: Annotated[
        bool, _Where("--palette", help="Label maps as palette PNGs in the classes' colours, instead of grey ones.")
    ] = False,
    out: Annotated[Path, _Where(help="Folder to write; a stopped run goes on in it.")] = Path("training-set"),
    seed: Annotated[int, _Where(help="Of what is picked and held out.")] = 0,
    json_file: outcome.JsonFile = None,
) -> None:
    """Write real frames, and synthetic images if wanted, as one data set in the layout of a segmentation trainer.

    Synthetic images train only, and none whose mask is of a validation or test frame, or of its video.

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
    if json_file != outcome.STDOUT:
        screen.result(done.out)
    outcome.write(json_file, outcome.result("export", out=done.out, layout=layout, splits=done.by_split()))
