"""A recipe file (TOML): the operations of a mix with their probabilities, strengths and settings.

[ops]
flip = 0.5                                              # a probability
shift = { probability = 0.4, along = 0.2 }              # and settings of the operation
pupil = { probability = 0.3, strength = 1.5 }           # or all of them stronger
"""

from __future__ import annotations

import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from surgaug.errors import UsageError
from surgaug.perturb import ops as registry
from surgaug.perturb.mixer import Op, checked, settings_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_KEYS = ("ops",)


def read_recipe(path: Path) -> tuple[Op, ...]:
    """The operations of a recipe file. UsageError names file, key and value of what is wrong."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path}: no such recipe") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not a TOML file ({error})") from None
    if unknown := [key for key in data if key not in _KEYS]:
        raise UsageError(f"{path}: {unknown[0]}: no such key (there is {', '.join(_KEYS)})")
    table = data.get("ops")
    if not isinstance(table, dict) or not table:
        raise UsageError(f"{path}: [ops] names no operation (there are {', '.join(registry.names())})")
    return checked(_op(path, name, given) for name, given in table.items())


def _op(path: Path, name: str, given: Any) -> Op:
    where = f"{path}: ops.{name}"
    settings = dict(given) if isinstance(given, dict) else {"probability": given}
    probability, strength = (_number(where, key, settings.pop(key, 1.0)) for key in ("probability", "strength"))
    op = Op(name.replace("-", "_"), probability, strength, tuple(settings.items()))
    checked((op,), where)
    known = settings_of(op.name)
    for key, value in settings.items():
        if key not in known:
            nearest = get_close_matches(key, known, n=1)
            hint = f"; did you mean {nearest[0]}?" if nearest else ""
            raise UsageError(f"{where}.{key}: no such setting{hint} (there are {', '.join(known) or 'none'})")
        wanted = type(known[key])
        if not (isinstance(value, wanted) or (wanted is float and type(value) is int)):
            raise UsageError(f"{where}.{key} = {value!r}: expected a {_NAMES[wanted]}, as in {key} = {known[key]!r}")
    return op


_NAMES = {float: "number", int: "whole number", bool: "true or false"}


def _number(where: str, key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UsageError(f"{where}: {key} = {value!r}: expected a number")
    return float(value)
