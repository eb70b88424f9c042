"""`surgaug inspect`: what a path holds, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from surgaug.cli import outcome, screen
from surgaug.cli.choices import DEVICES, folder_within, label_space, one_of, without_bad
from surgaug.runtime.paths import refuse_missing


def inspect(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="DIR|RUN|FILE",
            help="A data set, label maps, runs, a model, an image, a manifest, a class file or COCO's JSON.",
        ),
    ],
    classes: Annotated[str, label_space("Label space, if not its own.")] = "auto",
    images: Annotated[Path | None, folder_within("DIR", "frames")] = None,
    labels: Annotated[Path | None, folder_within("DIR", "label maps")] = None,
    leave_out_bad: Annotated[bool, without_bad("frames", "they are listed")] = False,
    audit: Annotated[
        bool,
        typer.Option(
            "--audit",
            help="Rank frames and regions by how much their labels surprise a segmenter trained on the others.",
        ),
    ] = False,
    segmenter_steps: Annotated[
        int | None,
        typer.Option(metavar="N", help="Of each of the audit's trainings. Default: 100 a class, at least 800."),
    ] = None,
    device: Annotated[str, typer.Option(**one_of(*DEVICES), help="Where the audit computes.")] = "auto",
    sheet: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Draw it into this PNG: frames under their label maps (of an audit the worst), or a run's curves.",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a page to look at every frame, as browse does, and after --audit at what is doubted in each.",
        ),
    ] = None,
    json_file: outcome.JsonFile = None,
) -> None:
    """Say what a data set, a run or a file holds, which classes, what is wrong with it, and how it looks.

    Of each kind of problem the first ten are listed; --json names all.

    Examples:
    surgaug inspect cadis --sheet cadis.png
    surgaug inspect cadis --audit --html doubts.html --json doubts.json
    surgaug inspect runs/cadis-tiny-64x112 --sheet curves.png
    """
    refuse_missing("surgaug inspect", path)

    from surgaug.errors import UsageError
    from surgaug.inspect.report import shortened
    from surgaug.inspect.run import inspect as run
    from surgaug.io.atomic import write_png

    if html is not None and html.is_dir():
        raise UsageError(f"--html {html}: a folder; name a file in it, such as {html / 'index.html'}")
    for file in (sheet, html):
        outcome.to_be_written(file)
    feedback = screen.feedback()
    report = run(
        path,
        classes,
        feedback,
        images=images,
        labels=labels,
        leave_out_bad=leave_out_bad,
        audit=audit,
        segmenter_steps=segmenter_steps,
        device=device,
    )
    feedback.table(f"{report.path}: {report.kind}", ["", ""], [list(fact) for fact in report.facts])
    for title, columns, rows in report.tables:
        feedback.table(title, columns, rows)
    for note in report.notes:
        feedback.info(note)
    for doubt in report.doubts:
        feedback.warn(doubt)
    for problem in shortened(report.problems):
        feedback.warn(problem)
    problems, doubts = len(report.problems), len(report.doubts)
    counted = [f"{n} {what}{'s' * (n > 1)}" for n, what in ((problems, "problem"), (doubts, "doubt")) if n]
    sound = (
        "nothing wrong with it" if report.audit is None else "nothing wrong with its files; for its labels see above"
    )
    feedback.info(" and ".join(counted) or sound)
    if sheet is not None:
        if report.audit is not None:
            from surgaug.inspect.audit import draw_audit

            picture = draw_audit(report.audit, report.path)
        elif report.frames is not None:
            from surgaug.inspect.sheet import draw_sheet

            picture = draw_sheet(report.frames)
        elif logs := [log for log in report.logs if log.curves or log.samples]:
            from surgaug.inspect.sheet import draw_runs

            picture = draw_runs(logs)
        else:
            raise UsageError(f"--sheet: for data sets, label maps and runs that can be read; {path} is a {report.kind}")
        write_png(outcome.make_way(sheet), picture)
        outcome.show(json_file, sheet)
    if html is not None:
        from surgaug.inspect.browse import pictures_folder, write_page

        if report.frames is None:
            raise UsageError(f"--html: for data sets and label maps that can be read; {path} is a {report.kind}")
        shown = None
        if report.audit is not None:
            from surgaug.inspect.audit import doubts_by_frame

            shown = doubts_by_frame(report.audit)
        write_page(html, pictures_folder(html), report.frames, report.path, None, feedback, shown)
        outcome.show(json_file, html)
    outcome.write(json_file, report.to_dict())
