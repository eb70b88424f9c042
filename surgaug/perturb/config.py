"""What decides a set of new label maps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from surgaug.errors import UsageError
from surgaug.perturb.mixer import DEFAULT_OPS, TRIES, Op, parse_ops

MAX_SEED = 2**63 - 1


@dataclass(frozen=True)
class AugmentConfig:
    """One set of new label maps.

    masks: a folder of label maps (or a data set with them), or the files themselves. n: None for one new map a mask.
    classes: the label space, by name, file, or "auto". workers: None for one a CPU core; changes no map. tries: of an
    operation on a map before it is left out, and of a map before it is skipped.
    """

    masks: Path | tuple[Path, ...]
    out: Path = Path("augmented")
    n: int | None = None
    ops: tuple[Op, ...] = parse_ops(DEFAULT_OPS)
    classes: str = "auto"
    seed: int = 0
    workers: int | None = None
    keep_originals: bool = False
    tries: int = TRIES


def check(config: AugmentConfig) -> None:
    """Refuse what cannot be meant. UsageError names the flag and the value."""
    if config.n is not None and config.n < 1:
        raise UsageError(f"--n {config.n}: at least 1")
    if config.workers is not None and config.workers < 1:
        raise UsageError(f"--workers {config.workers}: at least 1")
    if not 0 <= config.seed <= MAX_SEED:
        raise UsageError(f"--seed {config.seed}: from 0 to {MAX_SEED}")
