"""Class quotas: the share of the new maps that each class is to be seen in, and how often it must be requested."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surgaug.errors import UsageError
from surgaug.labels.label_space import LabelSpace
from surgaug.runtime.options import did_you_mean, parse_toml

_CLOSE = 0.005  # shares that differ by less are the same
_CORRECTION = 2.0  # the most by which a correction changes how often a class is requested


@dataclass(frozen=True)
class Balance:
    """Either `threshold`, that of repeat-factor sampling, or `shares` of the maps by class (its name, or its id)."""

    threshold: float | None = None
    shares: tuple[tuple[str, float], ...] = ()

    def to_json(self) -> float | dict[str, float]:
        return dict(self.shares) if self.threshold is None else self.threshold


@dataclass(frozen=True)
class RequestRates:
    """How likely each class is brought into a map that lacks it (`add`), or taken out of one that shows it (`drop`).

    Both are (id, chance) in a fixed order. scarce: classes below their target, which are not given up for another.
    """

    add: tuple[tuple[int, float], ...] = ()
    drop: tuple[tuple[int, float], ...] = ()
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
            rows = [row for row in csv.reader(content.splitlines()) if row]
            return {row[0].strip(): float(row[1]) for row in rows[1 if _is_header(rows) else 0 :]}
        data = json.loads(content) if path.suffix.lower() == ".json" else parse_toml(content.encode())
    except (ValueError, IndexError) as error:  # JSON's and TOML's errors are ValueErrors
        raise UsageError(f"{path}: not a TOML, JSON or CSV (class,share) file of shares ({error})") from None
    return data["balance"] if isinstance(data, dict) and list(data) == ["balance"] else data


def _is_header(rows: list[list[str]]) -> bool:
    """Whether the first row of a table names its columns: its share is no number."""
    try:
        float(rows[0][1])
    except ValueError:
        return True
    return False


def target_shares(balance: Balance, space: LabelSpace, real: Mapping[int, float]) -> dict[int, float]:
    """The target share of maps by class id; classes that are not named keep the share that they have.

    real: share of the real maps by id. With a threshold t the target of a class in a share f < t of the maps is
    f * sqrt(t / f), its share times the repeat factor of LVIS (Gupta, Dollar, Girshick 2019). Raises UsageError for a
    class that the space lacks.
    """
    if balance.threshold is not None:
        t = balance.threshold
        return {i: (t * f) ** 0.5 for i, f in real.items() if 0 < f < t}
    by_name = {c.name.lower(): c.id for c in space.classes} | {str(c.id): c.id for c in space.classes}
    found = {}
    for name, share in balance.shares:
        if name.lower() not in by_name:
            hint = f"{did_you_mean(name, space.names) or '.'} It has {', '.join(space.names)}"
            raise UsageError(f"--balance: {name} is no class of the label space '{space.name}'{hint}")
        found[by_name[name.lower()]] = share
    return found


@dataclass
class Trials:
    """What `n` maps made for trial show, by class id. seen: maps that show the class in the end. requested, came: how
    often it was requested of a map that lacks it, and how often it could be brought in."""

    n: int
    seen: Mapping[int, int]
    requested: Mapping[int, int]
    came: Mapping[int, int]

    def share(self, class_id: int) -> float:
        return self.seen.get(class_id, 0) / self.n

    def success(self, class_id: int) -> float:
        return self.came.get(class_id, 0) / max(self.requested.get(class_id, 0), 1)


def first_rates(targets: Mapping[int, float], trials: Trials) -> RequestRates:
    """Rates that reach the target shares, if `trials` (made without requests) are like the maps to come."""
    add, drop = [], []
    for class_id, share in sorted(targets.items()):
        now, success = trials.share(class_id), trials.success(class_id)
        if share > now + _CLOSE and success > 0:
            add.append((class_id, min(1.0, (share - now) / ((1 - now) * success))))
        elif share < now - _CLOSE:
            drop.append((class_id, (now - share) / now))
    return RequestRates(tuple(add), tuple(drop), frozenset(i for i, _ in add))


def corrected(rates: RequestRates, targets: Mapping[int, float], before: Trials, after: Trials) -> RequestRates:
    """`rates`, with the chances to bring in corrected by what they did: `after` are trials with them, `before` without.

    They need it because a class that comes in keeps another out, or takes its place.
    """
    add = []
    for class_id, chance in rates.add:
        needed = targets[class_id] - before.share(class_id)
        gained = max(after.share(class_id) - before.share(class_id), needed / _CORRECTION)
        add.append((class_id, min(1.0, chance * max(needed / gained, 1 / _CORRECTION))))
    return RequestRates(tuple(add), rates.drop, rates.scarce)


def unreachable(targets: Mapping[int, float], rates: RequestRates, trials: Trials) -> Sequence[int]:
    """Classes that should be seen more often, and never came when they were requested."""
    requested = {i for i, _ in rates.add}
    return [i for i, share in sorted(targets.items()) if share > trials.share(i) + _CLOSE and i not in requested]
