"""`surgaug augment-masks`: label maps in, a folder of new ones out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from surgaug.cli import defaults, outcome, pipes
from surgaug.cli.choices import label_space, list_of, one_of, plugins, without_bad

_What = partial(typer.Option, rich_help_panel="What")
_How = partial(typer.Option, rich_help_panel="How")
_Where = partial(typer.Option, rich_help_panel="Where and with what")


def augment_masks(
    masks: Annotated[
        str | None,
        _What(
            metavar="DIR|-",
            help="Folder of label maps, or a data set that has them; -: paths on standard input. Default: what lies "
            "here by a usual name.",
        ),
    ] = None,
    n: Annotated[int | None, _What("--n", help="New maps, over the masks in equal shares. Default: one each.")] = None,
    classes: Annotated[
        str | None,
        label_space("Label space of the masks; auto: what a class file beside them or their ids tell.", panel="What"),
    ] = None,
    leave_out_bad: Annotated[bool, without_bad("masks", "dataset.json lists them", "What")] = False,
    split: Annotated[
        str | None,
        _What(**one_of("train", "val", "test"), help="Of a data set with splits: only these masks. Default: all."),
    ] = None,
    ops: Annotated[
        str,
        _How(
            "--ops",
            "--recipe",
            **list_of(*plugins("perturb/ops"), metavar="LIST|FILE"),
            help="Operations with probabilities (and strengths): shift:0.5,pupil:0.2:1.5,flip; or a recipe (.toml), "
            "which may hold every other setting too. Default: a mix of all.",
        ),
    ] = "",
    balance: Annotated[
        str | None,
        _How(
            metavar="T|FILE",
            help="Show rare classes more often: those in a share f < T of the maps in a share sqrt(T f); or as a file "
            "says (class = share).",
        ),
    ] = None,
    plausibility: Annotated[
        float | None,
        _How(metavar="F", help="Draw again what is stranger than all but a share F of the real maps; 0.05, say."),
    ] = None,
    tries: Annotated[
        int | None, _How(help="How often an operation, or a map, is tried before it is left out. Default: 20.")
    ] = None,
    seed: Annotated[int | None, _How(help="Map K depends on the seed and K alone. Default: 0.")] = None,
    out: Annotated[Path, _Where(help="Folder to write; a stopped run goes on in it.")] = Path("augmented"),
    keep_originals: Annotated[bool, _Where("--keep-originals", help="Also write the masks themselves.")] = False,
    workers: Annotated[int | None, _Where(help="Processes; changes no map. Default: one a CPU core.")] = None,
    json_file: outcome.JsonFile = None,
) -> None:
    """Make new label maps from real ones: instruments move as wholes and leave no hole, anatomy stays anatomy.

    Writes OUT/labels, OUT/manifest.jsonl, OUT/dataset.json and OUT/preview.png (before, after, difference). Stopped or
    killed, the same line goes on where it was. Prints the maps' paths when its output is piped.

    Examples:
    surgaug augment-masks --masks frames/train --n 5000 --out masks
    surgaug augment-masks --masks frames/train --n 5000 --ops shift,rotate:0.3,flip:0.5 --balance 0.05
    surgaug augment-masks --masks frames/train --n 500 | surgaug synthesize --masks - --n 500
    """
    source = pipes.source(*defaults.fill(("--masks", masks, "data set")))

    from surgaug.perturb.config import configure
    from surgaug.perturb.run import augment_masks as run

    line = {"n": n, "classes": classes, "seed": seed, "workers": workers, "keep_originals": keep_originals or None}
    line |= {"leave_out_bad": leave_out_bad, "split": split}
    pipes.run("augment-masks", run, configure(source, out, ops, balance, plausibility, tries, line), json_file)
