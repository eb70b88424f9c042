"""Class quotas: in which share of the new maps each class is to be seen, and how often it must be asked for."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surgaug.errors import UsageError
from surgaug.labels.label_space import LabelSpace
from surgaug.runtime.options import did_you_mean, tomllib

_CLOSE = 0.005  # shares that differ by less are the same
_CORRECTION = 2.0  # the most by which a second look changes how often a class is asked for


@dataclass(frozen=True)
class Balance:
    """Either `threshold`, that of repeat-factor sampling, or `shares` of the maps by class (its name, or its id)."""

    threshold: float | None = None
    shares: tuple[tuple[str, float], ...] = ()

    def to_json(self) -> float | dict[str, float]:
        return dict(self.shares) if self.threshold is None else self.threshold


@dataclass(frozen=True)
class Asks:
    """How likely each class is asked for in a map that lacks it, or (`out`) is taken out of one that shows it.

    Both are (id, chance) in a fixed order. scarce: classes below their target, which nothing may be exchanged for.
    """

    into: tuple[tuple[int, float], ...] = ()
    out: tuple[tuple[int, float], ...] = ()
    scarce: frozenset[int] = frozenset()


def parse_balance(text: str) -> Balance:
    """ "0.1" (a threshold) or the path of a TOML, JSON or CSV file that gives shares. UsageError for anything else."""
    try:
        value = float(text)
    except ValueError:
        return balance_of(_read(Path(text)), text)
    return balance_of(value, "--balance")


def balance_of(value: Any, where: str) -> Balance:
    """The balance that a number, or a table of shares by class, stands for. UsageError, beginning with `where`."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not 0 < value <= 1:
            raise UsageError(f"{where} {value:g}: a threshold lies above 0 and is at most 1")
        return Balance(threshold=float(value))
    if not isinstance(value, Mapping) or not value:
        raise UsageError(f"{where}: expected a threshold (0.1), or shares of the maps by class (Lens = 0.2)")
    for name, share in value.items():
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
            raise UsageError(f"{where}: {name} = {share!r}: a share of the maps, from 0 to 1, is expected")
    return Balance(shares=tuple((str(name), float(share)) for name, share in value.items()))


def _read(path: Path) -> Any:
    try:
        content = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"--balance {path}: neither a number nor a file that is there") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error})") from None
    try:
        if path.suffix.lower() == ".csv":
            return {row[0].strip(): float(row[1]) for row in csv.reader(content.splitlines()[1:]) if row}
        data = json.loads(content) if path.suffix.lower() == ".json" else tomllib.loads(content)
    except (ValueError, IndexError) as error:  # JSON's and TOML's errors are ValueErrors
        raise UsageError(f"{path}: not a TOML, JSON or CSV (class,share) file of shares ({error})") from None
    return data["balance"] if isinstance(data, dict) and list(data) == ["balance"] else data


def targets(balance: Balance, space: LabelSpace, real: Mapping[int, float]) -> dict[int, float]:
    """The share of maps wanted, by class id; classes that are not named keep theirs.

    real: share of the real maps by id. With a threshold t a class in a share f < t of the maps is wanted in
    f * sqrt(t / f), the repeat factor of LVIS (Gupta, Dollar, Girshick 2019) times its share. Raises UsageError for a
    class that the space lacks.
    """
    if balance.threshold is not None:
        t = balance.threshold
        return {i: (t * f) ** 0.5 for i, f in real.items() if 0 < f < t}
    by_name = {c.name.lower(): c.id for c in space.classes} | {str(c.id): c.id for c in space.classes}
    found = {}
    for name, share in balance.shares:
        if name.lower() not in by_name:
            hint = did_you_mean(name, space.names)
            raise UsageError(f"--balance: {name} is no class of the label space '{space.name}'{hint}")
        found[by_name[name.lower()]] = share
    return found


@dataclass
class Trials:
    """What some maps made for trial tell, by class id: in how many of them (of `n`) the class is seen in the end, and
    how often it was asked for and came."""

    n: int
    seen: Mapping[int, int]
    asked: Mapping[int, int]
    came: Mapping[int, int]

    def share(self, class_id: int) -> float:
        return self.seen.get(class_id, 0) / self.n

    def success(self, class_id: int) -> float:
        return self.came.get(class_id, 0) / max(self.asked.get(class_id, 0), 1)


def first_asks(wanted: Mapping[int, float], trials: Trials) -> Asks:
    """Chances by which the wanted shares are reached, if `trials` (without asking) are like the maps to come."""
    into, out = [], []
    for class_id, share in sorted(wanted.items()):
        now, success = trials.share(class_id), trials.success(class_id)
        if share > now + _CLOSE and success > 0:
            into.append((class_id, min(1.0, (share - now) / ((1 - now) * success))))
        elif share < now - _CLOSE:
            out.append((class_id, (now - share) / now))
    return Asks(tuple(into), tuple(out), frozenset(i for i, _ in into))


def corrected(asks: Asks, wanted: Mapping[int, float], before: Trials, after: Trials) -> Asks:
    """The chances to come in once more, after a look at what they did: `after` are trials with them, `before` without.

    One class's coming in keeps another out, or takes its place.
    """
    into = []
    for class_id, chance in asks.into:
        needed = wanted[class_id] - before.share(class_id)
        gained = max(after.share(class_id) - before.share(class_id), needed / _CORRECTION)
        into.append((class_id, min(1.0, chance * max(needed / gained, 1 / _CORRECTION))))
    return Asks(tuple(into), asks.out, asks.scarce)


def unreachable(wanted: Mapping[int, float], asks: Asks, trials: Trials) -> Sequence[int]:
    """Classes that should be seen more often, and never came when they were asked for."""
    asked = {i for i, _ in asks.into}
    return [i for i, share in sorted(wanted.items()) if share > trials.share(i) + _CLOSE and i not in asked]
