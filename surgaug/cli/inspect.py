"""`surgaug inspect`: what a path holds, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from surgaug.cli import screen
from surgaug.cli.choices import spaces, suggesting


def inspect(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="DIR|RUN|FILE", help="A data set, label maps, a run, a model, an image, a manifest or a class file."
        ),
    ],
    classes: Annotated[
        str,
        typer.Option(**suggesting("auto", *spaces(), metavar="auto|NAME|FILE"), help="Label space, if not its own."),
    ] = "auto",
    sheet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw frames with their label maps over them into this PNG.")
    ] = None,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write everything as JSON; - for standard output.")
    ] = None,
) -> None:
    """Say what a data set, a run or a file holds, which classes, what is wrong with it, and how it looks.

    All problems are listed, not only the first.

    Example:  surgaug inspect cadis --sheet cadis.png
    """
    import json

    from surgaug.data.atomic import write_png, write_text
    from surgaug.errors import UsageError
    from surgaug.inspect.run import inspect as run

    feedback = screen.feedback()
    report = run(path, classes, feedback)
    feedback.table(f"{report.path}: {report.kind}", ["", ""], [list(fact) for fact in report.facts])
    for title, columns, rows in report.tables:
        feedback.table(title, columns, rows)
    for note in report.notes:
        feedback.info(note)
    for problem in report.problems:
        feedback.warn(problem)
    feedback.info(f"{len(report.problems)} problems" if report.problems else "nothing wrong with it")
    if sheet is not None:
        if report.frames is None:
            raise UsageError(f"--sheet: for data sets and label maps that can be read; {path} is a {report.kind}")
        from surgaug.inspect.sheet import draw_sheet

        write_png(sheet, draw_sheet(report.frames))
        screen.result(sheet)
    if json_file is not None:
        text = json.dumps(report.to_dict(), indent=2, ensure_ascii=False)
        if json_file == "-":
            screen.result(text)
        else:
            write_text(Path(json_file), f"{text}\n")
            screen.result(json_file)
