"""What commands that take masks and give files share: paths on standard input, results on standard output."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from surgaug.cli import screen
from surgaug.errors import UsageError
from surgaug.runtime.distributed import torchrun_group


def source(masks: str) -> Path | tuple[Path, ...]:
    """The folder that `--masks` names, or with "-" the paths on standard input. UsageError where none came."""
    if masks != "-":
        return Path(masks)
    paths = tuple(Path(line.rstrip("\n")) for line in sys.stdin if line.strip())
    if not paths:
        raise UsageError("--masks -: no path came on standard input")
    return paths


def run(command: Callable[..., Any], config: Any) -> None:
    """Run `command` on `config`; on a terminal its folder is the result, in a pipe each file as it is finished."""
    from_pipe = isinstance(config.masks, tuple)
    again = shlex.join(["surgaug", *sys.argv[1:]]) + (" (with the same paths on its input)" if from_pipe else "")
    if sys.stdout.isatty():
        out = command(config, screen.feedback(), again=again).out
        if torchrun_group().is_main:
            screen.result(out)
    else:
        command(config, screen.feedback(), emit=screen.result, again=again)
