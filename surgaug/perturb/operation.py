"""An operation as the mix knows it: how often and how strongly it acts, and what it may know beyond the scene."""

from __future__ import annotations

from dataclasses import Field, dataclass, fields, replace
from typing import Any

from surgaug.perturb import ops as registry
from surgaug.perturb.prior.instrument_bank import InstrumentBank

# Settings that were called otherwise before version 0.2, and may be so in a recipe.
OLD_SETTINGS = {"way": "displacement"}
# Marks a setting that is a factor (1 changes nothing): twice as strong is its square. Other fractions are multiplied.
FACTOR = {"factor": True}


@dataclass(frozen=True)
class ClassRequest:
    """What a try is for. add: the class that must come in. drop: the class that must go. protected: classes that must
    not be exchanged for it."""

    add: int | None = None
    drop: int | None = None
    protected: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Context:
    """What an operation may know beyond the scene. bank: the user's instruments; None where no masks were observed.
    request: a class to bring in or to take out; None for a plain draw."""

    bank: InstrumentBank | None = None
    request: ClassRequest | None = None


@dataclass(frozen=True)
class Op:
    """One operation of a mix: how likely it is drawn for a map, how strongly it acts, and its settings by name."""

    name: str
    probability: float = 1.0
    strength: float = 1.0
    settings: tuple[tuple[str, Any], ...] = ()

    def params(self) -> Any:
        """The operation's `Params`, with the strength worked in."""
        settings = {OLD_SETTINGS.get(name, name): value for name, value in self.settings}
        return strengthened(registry.get(self.name).Params(**settings), self.strength)


def is_factor(setting: Field) -> bool:
    """Whether a field of an operation's `Params` is a factor."""
    return bool(setting.metadata.get("factor", False))


def strengthened(params: Any, strength: float) -> Any:
    """An operation's `Params`, `strength` times as strong. Whole numbers and switches stay."""
    values = {f.name: (getattr(params, f.name), is_factor(f)) for f in fields(params)}
    changed = {
        name: value**strength if factor else value * strength
        for name, (value, factor) in values.items()
        if isinstance(value, float)
    }
    return replace(params, **changed)
