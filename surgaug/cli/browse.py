"""`surgaug browse`: thousands of pairs in a page that opens in any browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from surgaug.cli import outcome, screen
from surgaug.cli.choices import label_space
from surgaug.runtime.paths import refuse_missing


def browse(
    data: Annotated[
        Path, typer.Argument(metavar="DIR", help="An output of synthesize or augment-masks, or any data set.")
    ],
    real: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Real frames, each to be shown beside the images of its mask [default: where the manifest says the "
            "masks lay]",
            show_default=False,
        ),
    ] = None,
    classes: Annotated[str, label_space("Label space, if not its own.")] = "auto",
    out: Annotated[
        Path | None, typer.Option(help="Folder to write [default: DIR-browse, here]", show_default=False)
    ] = None,
    json_file: outcome.JsonFile = None,
) -> None:
    """Write a page to look at thousands of pairs: no server, any browser, keyboard or finger.

    Filter and sort by class, video, source mask, operation, style or agreement; see label map or overlay at a key, and
    the real frame of the mask beside each image. What is marked is saved as a list, for export --only or --without. The
    large pictures are those of DIR: keep the page where it can find them.

    Examples:
    surgaug browse synthetic
    surgaug export --data frames --synth synthetic --without marked.txt
    """
    refuse_missing("surgaug browse", data)
    refuse_missing("--real", real)

    from surgaug.inspect.browse import BrowseConfig
    from surgaug.inspect.browse import browse as run

    feedback = screen.feedback()
    done = run(BrowseConfig(data, out, real, classes), feedback)
    feedback.info(f"{done.pairs:,} pairs, {done.with_real:,} of them beside their real frame; open it in a browser:")
    outcome.show(json_file, done.page)
    outcome.write(json_file, outcome.result("browse", **vars(done)))
