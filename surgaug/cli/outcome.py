"""`--json` of every command: what it did, for programs."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from surgaug.cli import screen

FORMAT = "surgaug-result-1"
STDOUT = "-"


def to_be_written(file: str | Path | None) -> str | Path | None:
    """Callback of an option that names a file: OSError, naming it, where it cannot be written, before any work.

    Folders that lead to it may be missing (see `make_way`). None and `STDOUT` are passed over.
    """
    if file is None or str(file) == STDOUT:
        return file
    import errno
    import tempfile

    path = Path(file).absolute()
    try:
        if path.is_dir():
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        with tempfile.TemporaryFile(dir=next(folder for folder in path.parents if folder.exists())):
            return file
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(file)) from None


def make_way(file: Path) -> Path:
    """`file`, with the folders that lead to it made."""
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


JsonFile = Annotated[
    str | None,
    typer.Option(
        "--json",
        metavar="FILE",
        callback=to_be_written,
        help="Write the result as JSON; - for standard output, in place of paths.",
        rich_help_panel="Everywhere",
    ),
]


def result(command: str, **values: Any) -> dict[str, Any]:
    """What `--json` writes of a command that has no report of its own: its name and `values`."""
    return {"format": FORMAT, "command": command, **values}


def show(json_file: str | None, *paths: Path) -> None:
    """Print paths as results, a line each; nothing where `--json -` has standard output to itself."""
    for path in paths if json_file != STDOUT else ():
        screen.result(path)


def write(json_file: str | None, document: Mapping[str, Any]) -> None:
    """Write `document` to the file that `--json` names, or to standard output; nothing without the flag.

    Paths become text, and numbers that JSON has no word for (NaN, infinity) null.
    """
    if json_file is None:
        return
    import json

    from surgaug.io.atomic import write_text

    text = json.dumps(_plain(document), indent=2, ensure_ascii=False, allow_nan=False)
    if json_file == STDOUT:
        screen.result(text)
    else:
        write_text(make_way(Path(json_file)), f"{text}\n")
        screen.result(json_file)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, Path):
        return str(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
