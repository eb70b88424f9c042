"""A recipe: everything that decides what new maps are like, and its file (TOML).

n = 5000                                                # what the command's flags say, by their names
seed = 7
plausibility = 0.05
balance = 0.1                                           # or a table [balance] of shares by class
[ops]
flip = 0.5                                              # a probability
shift = { probability = 0.4, along = 0.2 }              # and settings of the operation
pupil = { probability = 0.3, strength = 1.5 }           # or all of them stronger
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from surgaug.errors import UsageError
from surgaug.perturb import ops as registry
from surgaug.perturb.operation import OLD_SETTINGS, Op, is_factor
from surgaug.perturb.prior.quotas import Balance, balance_of
from surgaug.runtime.options import did_you_mean, parse_toml

# What belongs to a run of augment-masks and not to the maps' making, with the type of its value.
RUN_KEYS = {"n": int, "classes": str, "seed": int, "workers": int, "keep_originals": bool}
_KEYS = ("ops", "balance", "plausibility", "tries", *RUN_KEYS)
_NAMES = {float: "number", int: "whole number", bool: "true or false", str: "text"}
TRIES = 20
_MOST_TRIES = 1000
MAX_STRENGTH = 3.0
_MOST = 1000  # of a setting: degrees, cells, objects, shares of the diagonal


def parse_ops(text: str | Iterable[str]) -> tuple[Op, ...]:
    """ "shift:0.5,swap:0.2,flip" (or the parts of it) to operations; without a number: always.

    A third part is the strength: "pupil:0.5:1.5". Raises UsageError for an unknown name, or a probability or strength
    that cannot be.
    """
    parts = [part.strip() for piece in ([text] if isinstance(text, str) else text) for part in piece.split(",")]
    found = []
    for part in filter(None, parts):
        name, *numbers = (piece.strip() for piece in part.split(":"))
        try:
            given: list[Any] = [float(number) for number in numbers[:2]]
            found.append(Op(name.replace("-", "_"), *given))
        except ValueError:
            raise UsageError(f"--ops {part}: expected NAME:PROBABILITY or NAME:PROBABILITY:STRENGTH") from None
        checked((found[-1],), f"--ops {part}")
    return checked(found)


def checked(ops: Iterable[Op], where: str = "--ops") -> tuple[Op, ...]:
    """The operations in the order in which they are done. Raises UsageError, beginning with `where`."""
    found: dict[str, Op] = {}
    for op in ops:
        if op.name not in registry.names():
            hint = did_you_mean(op.name, registry.names())
            raise UsageError(f"{where}: no such operation{hint} (there are {', '.join(registry.names())})")
        if not 0 < op.probability <= 1:
            raise UsageError(f"{where}: a probability lies above 0 and is at most 1")
        if not 0 < op.strength <= MAX_STRENGTH:
            raise UsageError(f"{where}: a strength lies above 0 and is at most {MAX_STRENGTH:g}")
        if op.name in found:
            raise UsageError(f"{where}: {op.name} is named twice")
        found[op.name] = op
    if not found:
        raise UsageError(f"{where}: names no operation (there are {', '.join(registry.names())})")
    return tuple(sorted(found.values(), key=lambda op: registry.position(op.name)))


def settings_of(name: str) -> dict[str, Any]:
    """What can be set for an operation, with the defaults."""
    params = registry.get(name).Params
    return {f.name: f.default for f in fields(params)}


def _factors_of(name: str) -> set[str]:
    """The settings of an operation that are factors."""
    return {f.name for f in fields(registry.get(name).Params) if is_factor(f)}


@dataclass(frozen=True)
class Recipe:
    """ops: the mix. balance: class quotas, if any. plausibility: maps below it are drawn again (0: none).

    tries: of an operation on a map before it is left out, and of a map before it is given up. run: what a file says
    beyond that, by the names in `RUN_KEYS`.
    """

    ops: tuple[Op, ...] = parse_ops(registry.USUAL)
    balance: Balance | None = None
    plausibility: float = 0.0
    tries: int = TRIES
    run: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types: what of the recipe decides the maps."""
        return {
            "ops": {
                op.name: {"probability": op.probability, "strength": op.strength, **dict(op.settings)}
                for op in self.ops
            },
            "balance": None if self.balance is None else self.balance.to_json(),
            "plausibility": self.plausibility,
            "tries": self.tries,
        }


def parse_recipe(text: str | Iterable[str]) -> Recipe:
    """A list of operations (see `parse_ops`), or the path of a recipe file, which ends with .toml."""
    parts = [text] if isinstance(text, str) else list(text)
    if len(parts) == 1 and parts[0].strip().endswith(".toml"):
        return read_recipe(Path(parts[0].strip()))
    return Recipe(parse_ops(parts))


def read_recipe(path: Path) -> Recipe:
    """A recipe file. UsageError names file, key and value of what is wrong."""
    try:
        data = parse_toml(path.read_bytes())
    except FileNotFoundError:
        raise UsageError(f"{path}: no such recipe") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not a TOML file ({error})") from None
    data = {key.replace("-", "_"): value for key, value in data.items()}
    if unknown := [key for key in data if key not in _KEYS]:
        raise UsageError(
            f"{path}: {unknown[0]}: no such key{did_you_mean(unknown[0], _KEYS)} (there is {', '.join(_KEYS)})"
        )
    for key, expected in {**RUN_KEYS, "tries": int, "plausibility": float}.items():
        if key in data:
            _typed(f"{path}: {key}", data[key], expected)
    recipe = Recipe(
        _ops(path, data["ops"]) if "ops" in data else Recipe.ops,
        balance_of(data["balance"], f"{path}: balance") if "balance" in data else None,
        float(data.get("plausibility", 0.0)),
        data.get("tries", TRIES),
        {key: data[key] for key in RUN_KEYS if key in data},
    )
    check_recipe(recipe, f"{path}: ")
    return recipe


def check_recipe(recipe: Recipe, where: str = "--") -> None:
    """UsageError for figures that cannot be meant."""
    if not 0 <= recipe.plausibility < 1:
        raise UsageError(f"{where}plausibility {recipe.plausibility:g}: from 0 to below 1")
    if not 1 <= recipe.tries <= _MOST_TRIES:
        raise UsageError(f"{where}tries {recipe.tries}: from 1 to {_MOST_TRIES}")


def _ops(path: Path, table: Any) -> tuple[Op, ...]:
    if not isinstance(table, dict) or not table:
        raise UsageError(f"{path}: [ops] names no operation (there are {', '.join(registry.names())})")
    return checked(_op(path, name, given) for name, given in table.items())


def _op(path: Path, name: str, given: Any) -> Op:
    where = f"{path}: ops.{name}"
    settings = dict(given) if isinstance(given, dict) else {"probability": given}
    probability, strength = (settings.pop(key, 1.0) for key in ("probability", "strength"))
    _typed(f"{where}: probability", probability, float)
    _typed(f"{where}: strength", strength, float)
    op = Op(name.replace("-", "_"), float(probability), float(strength), tuple(settings.items()))
    checked((op,), where)
    known = settings_of(op.name)
    for key, value in settings.items():
        name = OLD_SETTINGS.get(key, key)
        if name not in known or (name != key and name in settings):
            raise UsageError(
                f"{where}.{key}: no such setting{did_you_mean(key, known)} (there are {', '.join(known) or 'none'})"
            )
        _typed(f"{where}.{key}", value, type(known[name]), f", as in {key} = {known[name]!r}")
        _ranged(f"{where}.{key}", value, known[name], name in _factors_of(op.name))
    chosen = known | {OLD_SETTINGS.get(key, key): value for key, value in settings.items()}
    switches = [key for key, value in known.items() if isinstance(value, bool)]
    if switches and not any(chosen[key] for key in switches):
        raise UsageError(f"{where}: one of {', '.join(switches)} must be true; leave {op.name} out otherwise")
    return op


def _ranged(where: str, value: float, default: float, is_factor: bool) -> None:
    """UsageError for a setting that no operation can use. `default` tells whether a count may be 0."""
    if isinstance(value, bool):
        return
    low = min(default, 1) if isinstance(default, int) else 1 / _MOST if is_factor else 0.0
    if not low <= value <= _MOST:  # nor is it where the value is nan
        raise UsageError(f"{where} = {value!r}: from {low:g} to {_MOST}")


def _typed(where: str, value: Any, expected: type, example: str = "") -> None:
    whole_for_float = expected is float and type(value) is int
    if type(value) is not expected and not whole_for_float:
        article = "" if expected in (bool, str) else "a "
        raise UsageError(f"{where} = {value!r}: expected {article}{_NAMES[expected]}{example}")
