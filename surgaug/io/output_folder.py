"""Settings of a run beside those of an earlier one in the same folder."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from surgaug.errors import DataError, UsageError

_LONGEST = 200  # characters of a value; more is cut; paths fit


def differences(
    old: Mapping[str, Any], new: Mapping[str, Any], *, free: Collection[str] = (), prefix: str = ""
) -> list[str]:
    """`key: old there, new now` for every setting that differs and is not `free` to.

    Of tables only what differs in them is told; `free` names settings that are in none.
    """
    lines = []
    for key in {**old, **new}:
        a, b = old.get(key), new.get(key)
        if key in free:
            continue
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            lines += differences(a, b, prefix=f"{prefix}{key}.")
        elif a != b:
            lines.append(f"{prefix}{key}: {_short(a)} there, {_short(b)} now")
    return lines


def refuse_other_settings(file: Path, description: Mapping[str, Any], what: str) -> None:
    """Refuse to go on in a folder unless the `what` ("a data set") that `file` describes is that of `description`.

    Raises DataError when it is no such description, UsageError, with the differences, when it was begun with other
    settings or with more samples.
    """
    try:
        old = json.loads(file.read_text(encoding="utf-8"))
        if old["format"] != description["format"]:
            raise ValueError
        settings, samples = old["settings"], old["samples"]
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{file}: not a description of {what} of surgaug; give another --out") from None
    if lines := differences(settings, description["settings"]):
        raise UsageError(
            f"{file.parent} holds {what} made with other settings ({'; '.join(lines)}); "
            "repeat the settings it began with, or give another --out"
        )
    if samples > description["samples"]:
        raise UsageError(
            f"{file.parent} was begun with --n {samples}, and --n {description['samples']} would leave some out; "
            f"give --n {samples} or more, or another --out"
        )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
