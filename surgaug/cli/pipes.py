"""What commands that take masks and give files share: paths on standard input, results on standard output."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from surgaug.cli import outcome, screen
from surgaug.errors import UsageError
from surgaug.runtime.distributed import torchrun_group
from surgaug.runtime.paths import refuse_missing


def source(masks: str | Path) -> Path | tuple[Path, ...]:
    """The folder that `--masks` names, or with "-" the paths on standard input (see `listed`).

    UsageError where none came, DataError for a folder that is not there.
    """
    if masks != "-":
        refuse_missing("--masks", Path(masks))
        return Path(masks)
    if not (paths := listed(sys.stdin.read())):
        raise UsageError("--masks -: no path came on standard input")
    return paths


def listed(text: str) -> tuple[Path, ...]:
    """The paths of a list, one a line or (`find -print0`) with zero bytes between, whatever program wrote it: line ends
    and byte order marks of Windows, spaces around it and quotes go, unless a file is really called so.

    UsageError for a path with backslashes that is not there.
    """
    lines = text.removeprefix("\ufeff").split("\0") if "\0" in text else text.removeprefix("\ufeff").splitlines()
    paths = []
    for line in filter(str.strip, lines):
        plain = line.strip()
        bare = plain[1:-1] if len(plain) > 1 and plain[0] == plain[-1] and plain[0] in "'\"" else plain
        path = next((p for p in map(Path, (line, plain, bare)) if p.exists()), Path(bare))
        if "\\" in bare and not path.exists():
            raise UsageError(f"--masks -: {bare}: no such file; on this system write / instead of \\")
        paths.append(path)
    return tuple(paths)


def run(name: str, command: Callable[..., Any], config: Any, json_file: str | None) -> None:
    """Run `command`, called `name`, on `config`; on a terminal its folder is the result, in a pipe each file as it is
    finished, and with `--json -` what `command` returns."""
    from_pipe = isinstance(config.masks, tuple)
    again = shlex.join(["surgaug", *sys.argv[1:]]) + (" (with the same paths on its input)" if from_pipe else "")
    to_terminal, as_json = sys.stdout.isatty(), json_file == outcome.STDOUT
    emit = {} if to_terminal or as_json else {"emit": screen.result}
    done = command(config, screen.feedback(), again=again, **emit)
    if torchrun_group().is_main:
        if to_terminal and not as_json:
            screen.result(done.out)
        outcome.write(json_file, outcome.result(name, **vars(done)))
