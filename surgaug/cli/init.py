"""`surgaug init`: a commented surgaug.toml from what lies in the working folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from surgaug.cli import defaults, outcome, screen
from surgaug.runtime.paths import refuse_missing


def init(
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="The data set, where it does not lie here by a usual name.", show_default=False
        ),
    ] = None,
    json_file: outcome.JsonFile = None,
) -> None:
    """Write a surgaug.toml from what lies in this folder: which data, which settings are usual, what each is for.

    Lines that begin with # are what the commands do anyway, or suggestions. A file that is there is never replaced.

    Examples:
    surgaug init
    surgaug init --data /data/cadis
    """
    refuse_missing("--data", data)
    file = Path(defaults.FILE_NAME)
    if file.exists():
        from surgaug.errors import DataError

        raise DataError(f"{file}: is there already; edit it, or remove it first")

    from surgaug.datasets.dataset import items_of, usual_size
    from surgaug.datasets.splits import trains_apart
    from surgaug.datasets.usual_places import data_sets, validation_frames
    from surgaug.io.atomic import write_text

    found = [data] if data else [place.path for place in data_sets()]
    only = found[0] if len(found) == 1 else None
    size = usual_size(only) if only else None
    splits = only is not None and trains_apart(items_of(only))
    write_text(file, defaults.template(found, validation_frames(only) if only else None, size, splits))
    feedback = screen.feedback()
    if only:
        feedback.info(f"data: {only}; next: surgaug inspect {only}, then surgaug train")
    else:
        several = f"{' and '.join(map(str, found))} both could be" if found else "none was found that could be"
        feedback.warn(f"{several} the data: name it in {file}, where it says data = and masks =")
    outcome.show(json_file, file)
    outcome.write(json_file, outcome.result("init", file=file, data=found))
