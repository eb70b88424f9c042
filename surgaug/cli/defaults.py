"""What a line leaves out: `surgaug.toml` in the working folder, and paths that lie there by usual names.

The file has one table a subcommand, one key a flag. A flag on the line wins.

    [train]
    data = "cadis"
    size = "64x64"

    [score]
    metrics = ["psnr", "ssim"]

Being read from the working folder only, relative paths in it mean what they mean on the line.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from surgaug.cli import screen
from surgaug.errors import UsageError
from surgaug.runtime.options import nearest, parse_toml

FILE_NAME = "surgaug.toml"
Given = TypeVar("Given")


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


def template(data: Sequence[Path], val: Path | None, size: tuple[int, int] | None, splits: bool = False) -> str:
    """A commented file for a folder. data: the data sets there; unless it is one, none is set. val: the folder of its
    validation frames. size: (H, W) of its frames. splits: whether it has training frames beside others."""
    sets = [_quoted(path) for path in data] or [_quoted("DIR")]
    off = "" if len(data) == 1 else "# "
    said = "" if off == "" else "# which one is meant? Remove its #\n" if data else "# where the frames are\n"
    real = _quoted(val or (data[0] if len(data) == 1 else "DIR"))
    split = '\nsplit = "train"  # what is made from frames of val and test must not train' if splits else ""
    of_data = f'\n# split = "train"  # with masks = {sets[0]}' if splits else ""
    shown = f"; the frames are {size[0]}x{size[1]}" if size else ""
    return f"""\
# The flags of each command, for the folder that surgaug is started in. A flag on the line wins; relative paths start
# here. Lines behind # are suggestions, or what is done anyway. surgaug COMMAND --help explains every flag.

[train]
{said}{_lines(off, "data", sets)}
# val = {_quoted(val or "DIR")}  # else the data's own validation split, or frames held out
# preset = "tiny"  # small and base are for GPUs
# size = {_quoted(_training_size(size))}  # height x width{shown}
# minutes = 60

[augment-masks]
{said}{_lines(off, "masks", sets)}{split}
# n = 5000  # else one new label map for each
# balance = 0.05  # show rare classes more often

[synthesize]
# masks = "augmented"  # else what augment-masks wrote, or else the data{of_data}
# n = 5000
# model = "runs/NAME"  # else the newest finished run

[score]
# real = {real}
# synth = ["synthetic"]
# train = {sets[0]}  # finds copies of training frames; with labels, asks a segmenter
"""


def _lines(off: str, key: str, values: Sequence[str]) -> str:
    return "\n".join(f"{off}{key} = {value}" for value in values)


def _training_size(frames: tuple[int, int] | None) -> str:
    """256 pixels on the shorter side, or what the frames have, in their proportions and in steps of 16."""
    height, width = frames or (256, 448)
    scale = min(1.0, 256 / min(height, width))
    return "x".join(str(max(16, round(side * scale / 16) * 16)) for side in (height, width))


def _quoted(value: str | Path) -> str:
    """A text of TOML; JSON's quoting is a part of TOML's."""
    import json

    return json.dumps(value.as_posix() if isinstance(value, Path) else value, ensure_ascii=False)


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


def fill(*flags: tuple[str, Given | None, str]) -> list[Given | Path]:
    """The value of each flag: as given, else what lies in the working folder.

    flags: (flag, value or None, what is looked for: a key of `datasets.usual_places.FINDERS`). What was found is told
    with its reason. Raises UsageError naming the flag where nothing, or more than one thing, can be meant.
    """
    found: dict[str, Path] = {}
    values = [value if value is not None else found.setdefault(flag, _find(flag, what)) for flag, value, what in flags]
    if found:
        import shlex

        added = [word for flag, path in found.items() for word in (flag, str(path))]
        screen.feedback().info(f"in full: {shlex.join(['surgaug', *sys.argv[1:], *added])}")
    return values


def _find(flag: str, what: str) -> Path:
    from surgaug.datasets.usual_places import FINDERS

    try:
        place = FINDERS[what](Path())
    except UsageError as error:
        raise UsageError(f"{flag}: {error}; name it with {flag} DIR, or in surgaug.toml") from None
    screen.feedback().info(f"{flag} {place.path}: {place.why}")
    return place.path
