"""What decides a set of new label maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from surgaug.errors import UsageError
from surgaug.perturb.prior.quotas import parse_balance
from surgaug.perturb.recipe import Recipe, check_recipe, parse_recipe
from surgaug.runtime.options import MAX_N, MAX_SEED


@dataclass(frozen=True)
class AugmentConfig:
    """One set of new label maps.

    masks: a folder of label maps (or a data set with them), or the files themselves. n: None for one new map a mask.
    classes: the label space, by name, file, or "auto". workers: None for one a CPU core; changes no map.
    leave_out_bad: go on without masks that cannot be used, instead of refusing them. split: of a data set with splits,
    these masks alone.
    """

    masks: Path | tuple[Path, ...]
    out: Path = Path("augmented")
    recipe: Recipe = field(default_factory=Recipe)
    n: int | None = None
    classes: str = "auto"
    seed: int = 0
    workers: int | None = None
    keep_originals: bool = False
    leave_out_bad: bool = False
    split: str | None = None


def check(config: AugmentConfig) -> None:
    """Refuse what cannot be meant. UsageError names the flag and the value."""
    check_recipe(config.recipe)
    if config.n is not None and not 1 <= config.n <= MAX_N:
        raise UsageError(f"--n {config.n}: from 1 to {MAX_N:,}")
    if config.workers is not None and config.workers < 1:
        raise UsageError(f"--workers {config.workers}: at least 1")
    if not 0 <= config.seed <= MAX_SEED:
        raise UsageError(f"--seed {config.seed}: from 0 to {MAX_SEED}")


def configure(
    masks: Path | tuple[Path, ...],
    out: Path,
    ops: str,
    balance: str | None,
    plausibility: float | None,
    tries: int | None,
    line: Mapping[str, Any],
) -> AugmentConfig:
    """What the command line says, over what its recipe says, over the defaults. None: not said on the line.

    ops: a list, the path of a recipe file, or "" for the usual mix. line: values by the names in `recipe.RUN_KEYS`.
    """
    recipe = parse_recipe(ops) if ops else Recipe()
    given: dict[str, Any] = {
        "balance": None if balance is None else parse_balance(balance),
        "plausibility": plausibility,
        "tries": tries,
    }
    recipe = replace(recipe, **{key: value for key, value in given.items() if value is not None})
    said = recipe.run | {key: value for key, value in line.items() if value is not None}
    return AugmentConfig(masks, out, recipe, **said)
