"""`surgaug augment-masks`: label maps in, a folder of new ones out."""

from __future__ import annotations

import shlex
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from surgaug.cli import screen
from surgaug.errors import UsageError

_What = partial(typer.Option, rich_help_panel="What")
_How = partial(typer.Option, rich_help_panel="How")
_Where = partial(typer.Option, rich_help_panel="Where and with what")


def augment_masks(
    masks: Annotated[
        str,
        _What(metavar="DIR|-", help="Folder of label maps, or a data set that has them; -: paths on standard input."),
    ],
    n: Annotated[int | None, _What("--n", help="New maps, over the masks in equal shares. Default: one each.")] = None,
    classes: Annotated[
        str,
        _What(
            metavar="auto|cadis|cadis-task1|cadis-task2|cadis-task3|FILE",
            help="Label space of the masks; auto: what a class file beside them or their ids tell.",
        ),
    ] = "auto",
    ops: Annotated[
        str,
        _How(
            metavar="LIST|FILE",
            help="Operations with probabilities (and strengths): shift:0.5,pupil:0.2:1.5,flip; or a recipe (.toml). "
            "Default: a mix of all.",
        ),
    ] = "",
    seed: Annotated[int, _How(help="Map K depends on the seed and K alone.")] = 0,
    out: Annotated[Path, _Where(help="Folder to write; a stopped run goes on in it.")] = Path("augmented"),
    keep_originals: Annotated[bool, _Where("--keep-originals", help="Also write the masks themselves.")] = False,
    workers: Annotated[int | None, _Where(help="Processes; changes no map. Default: one a CPU core.")] = None,
) -> None:
    """Make new label maps from real ones: instruments move as wholes and leave no hole, anatomy stays anatomy.

    Writes OUT/labels, OUT/manifest.jsonl, OUT/dataset.json and OUT/preview.png (before, after, difference). Stopped or
    killed, the same line goes on where it was. Prints the maps' paths when its output is piped.
    """
    from surgaug.perturb.config import AugmentConfig
    from surgaug.perturb.mixer import DEFAULT_OPS, parse_ops
    from surgaug.perturb.run import augment_masks as run

    config = AugmentConfig(
        masks=_read_paths() if masks == "-" else Path(masks),
        out=out,
        n=n,
        ops=parse_ops(ops or DEFAULT_OPS),
        classes=classes,
        seed=seed,
        workers=workers,
        keep_originals=keep_originals,
    )
    again = shlex.join(["surgaug", *sys.argv[1:]]) + (" (with the same paths on its input)" if masks == "-" else "")
    if sys.stdout.isatty():
        screen.result(run(config, screen.feedback(), again=again).out)
    else:
        run(config, screen.feedback(), emit=screen.result, again=again)


def _read_paths() -> tuple[Path, ...]:
    paths = tuple(Path(line.rstrip("\n")) for line in sys.stdin if line.strip())
    if not paths:
        raise UsageError("--masks -: no path came on standard input")
    return paths
