"""`surgaug demo`: the whole pipeline on rendered phantom scenes."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from surgaug.cli import outcome, screen


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write; a stopped demo goes on in it.")] = Path(
        "surgaug-demo"
    ),
    minutes: Annotated[float, typer.Option(min=0.05, help="Minutes of training; the rest takes two or three.")] = 3.0,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other scenes.")] = 0,
    json_file: outcome.JsonFile = None,
) -> None:
    """Run the whole pipeline on rendered phantom scenes; needs no data.

    Renders drawings of eyes under a surgical microscope, trains a small model on them, makes new label maps,
    synthesizes images from these, and scores the result. Prints the folder of pairs, the score file and the contact
    sheet.

    Examples:
    surgaug demo
    surgaug demo --out try --minutes 10
    """
    from surgaug.demo import DemoConfig, run

    feedback = screen.feedback()
    again = shlex.join(["surgaug", *sys.argv[1:]])
    done = run(DemoConfig(out=out, minutes=minutes, seed=seed), feedback, again=again)
    feedback.info(
        "\nDone. The last of these shows label maps and what was synthesized from them. "
        f"What each step had to say is in {done.details}. "
        "Next: surgaug train --data YOUR_FRAMES, as in docs/quickstart.md."
    )
    paths = {"pairs": done.pairs, "score": done.score, "preview": done.preview}
    outcome.show(json_file, *paths.values())
    outcome.write(json_file, outcome.result("demo", **paths, details=done.details))
