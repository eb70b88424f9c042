"""`surgaug.toml` in the working folder: one table a subcommand, one key a flag. A flag on the line wins.

    [train]
    data = "cadis"
    size = "64x64"

    [score]
    metrics = ["psnr", "ssim"]

Being read from the working folder only, relative paths in it mean what they mean on the line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from surgaug.errors import UsageError
from surgaug.runtime.options import nearest, parse_toml

FILE_NAME = "surgaug.toml"


def load(command: str, params: Sequence[Any], commands: Sequence[str]) -> dict[str, Any]:
    """Defaults of `command` from the working folder's surgaug.toml, by parameter name; empty without such a file.

    `params` are the command's typer parameters. Raises UsageError naming an unknown table or key and the nearest one.
    """
    path = Path(FILE_NAME)
    if not path.is_file():
        return {}
    try:
        tables = parse_toml(path.read_bytes())
    except ValueError as error:
        raise UsageError(f"{FILE_NAME}: not valid TOML: {error}") from error
    for name in tables:
        if name not in commands:
            raise UsageError(f"{FILE_NAME}: unknown table [{name}]{_nearest(name, commands)}")
    return flags(command, tables.get(command, {}), params)


def flags(command: str, table: Any, params: Sequence[Any]) -> dict[str, Any]:
    """The values of one table as they would stand on the command line, by parameter name."""
    if not isinstance(table, Mapping):
        raise UsageError(f"{FILE_NAME}: {command} must be a table: [{command}]")
    known = {flag[2:]: param for param in params for flag in param.opts if flag.startswith("--")}
    values = {}
    for key, value in table.items():
        flag = key.replace("_", "-")
        if flag not in known:
            raise UsageError(f"{FILE_NAME}: unknown key {key!r} in [{command}]{_nearest(flag, known)}")
        values[known[flag].name] = _as_typed(value, known[flag], f"{FILE_NAME}: [{command}] {key}")
    return values


def _as_typed(value: Any, param: Any, where: str) -> Any:
    is_flag = getattr(param, "is_flag", False)
    if isinstance(value, bool) != bool(is_flag):
        raise UsageError(f"{where} = {str(value).lower()}: {'true or false' if is_flag else 'a value'} is expected")
    if isinstance(value, bool):
        return value
    if isinstance(value, Mapping) or (isinstance(value, list) and any(isinstance(v, (list, Mapping)) for v in value)):
        raise UsageError(f"{where}: a text, a number or a list of these is expected")
    repeatable = getattr(param, "multiple", False)
    if isinstance(value, list):
        return [str(v) for v in value] if repeatable else ",".join(str(v) for v in value)
    return [str(value)] if repeatable else str(value)


def _nearest(name: str, known: Iterable[str]) -> str:
    match = nearest(name, known)
    return f"; did you mean {match!r}?" if match else f"; known are: {', '.join(sorted(known))}"
