"""Draws operations, tries again what the constraints refuse, and keeps count of why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from surgaug.data.label_space import LabelSpace
from surgaug.errors import UsageError
from surgaug.perturb import ops as registry
from surgaug.perturb.constraints import map_is_sound
from surgaug.perturb.knowledge import Knowledge
from surgaug.perturb.rejection import NotApplicable, Rejected
from surgaug.perturb.scene import Scene
from surgaug.perturb.strength import strengthened

DEFAULT_OPS = (
    "pupil:0.15,gaze:0.15,eye_rotation:0.05,lids:0.15,elastic:0.05,remove:0.05,shift:0.3,approach:0.1,rotate:0.3,"
    "scale:0.1,swap:0.15,insert:0.15,duplicate:0.05,zoom:0.15,tilt:0.1,pan:0.1,flip:0.5"
)
TRIES = 20
MAX_STRENGTH = 3.0


@dataclass(frozen=True)
class Op:
    """One operation of a mix: how likely it is drawn for a map, how strongly it acts, and its settings by name."""

    name: str
    probability: float = 1.0
    strength: float = 1.0
    settings: tuple[tuple[str, Any], ...] = ()

    def params(self) -> Any:
        """The operation's `Params`."""
        return strengthened(registry.get(self.name).Params(**dict(self.settings)), self.strength)


@dataclass(frozen=True)
class Outcome:
    """A new label map [H, W] and what was done to get it; no records: nothing could be done.

    counts: pixels by id. tries: how often an operation was tried, the successful ones included. refused: how often, by
    "op: reason".
    """

    label_map: np.ndarray
    records: list[dict[str, Any]]
    counts: np.ndarray
    tries: int = 0
    refused: Counter[str] = field(default_factory=Counter)


def parse_ops(text: str | Iterable[str]) -> tuple[Op, ...]:
    """ "shift:0.5,swap:0.2,flip" (or the parts of it) to operations; without a number: always.

    A third part is the strength: "pupil:0.5:1.5". A lone name that ends with .toml is a recipe file. Raises UsageError
    for an unknown name, or a probability or strength that cannot be.
    """
    parts = [part.strip() for piece in ([text] if isinstance(text, str) else text) for part in piece.split(",")]
    parts = [part for part in parts if part]
    if len(parts) == 1 and parts[0].endswith(".toml"):
        from surgaug.perturb.recipe import read_recipe

        return read_recipe(Path(parts[0]))
    found = []
    for part in parts:
        name, *numbers = (piece.strip() for piece in part.split(":"))
        try:
            found.append(Op(name.replace("-", "_"), *(float(number) for number in numbers[:2])))
        except ValueError:
            raise UsageError(f"--ops {part}: expected NAME:PROBABILITY or NAME:PROBABILITY:STRENGTH") from None
        checked((found[-1],), f"--ops {part}")
    return checked(found)


def checked(ops: Iterable[Op], where: str = "--ops") -> tuple[Op, ...]:
    """The operations in the order in which they are done. Raises UsageError, beginning with `where`."""
    found: dict[str, Op] = {}
    for op in ops:
        if op.name not in registry.names():
            nearest = get_close_matches(op.name, registry.names(), n=1)
            hint = f"; did you mean {nearest[0]}?" if nearest else ""
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
    return tuple(sorted(found.values(), key=lambda op: (registry.get(op.name).STAGE, op.name)))


def settings_of(name: str) -> dict[str, Any]:
    """What can be set for an operation, with the defaults."""
    params = registry.get(name).Params
    return {f.name: f.default for f in fields(params)}


def perturb_one(
    label_map: np.ndarray,
    space: LabelSpace,
    ops: str | Iterable[str] | Iterable[Op],
    rng: np.random.Generator,
    knowledge: Knowledge | None = None,
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """A perturbed copy of `label_map` [H, W] and a record (a dict of plain JSON types) for each operation done to it.

    Every operation is drawn with its probability, so the list may be empty; an operation that is refused `TRIES` times
    is left out. knowledge: of the user's maps; without it nothing is inserted. The same for the same rng state.
    """
    outcome = mix(Scene(label_map, space, knowledge=knowledge), _as_ops(ops), rng, must_change=False)
    return outcome.label_map, outcome.records


def _as_ops(ops: str | Iterable[str] | Iterable[Op]) -> tuple[Op, ...]:
    if isinstance(ops, str):
        return parse_ops(ops)
    ops = tuple(ops)
    return ops if all(isinstance(op, Op) for op in ops) else parse_ops(ops)


def mix(
    scene: Scene, ops: Iterable[Op], rng: np.random.Generator, *, must_change: bool = True, tries: int = TRIES
) -> Outcome:
    """Draw from `ops` and apply them to `scene`. With `must_change` at least one is applied if any can be."""
    ops = tuple(ops)
    drawn = [op for op in ops if rng.random() < op.probability]
    refused: Counter[str] = Counter()
    records: list[dict[str, Any]] = []
    count = 0
    start = scene
    for op in drawn:
        scene, record, used = _attempt(scene, op, rng, tries, refused)
        count += used
        records += [record] if record else []
    if must_change and not records:
        spare = [op for op in ops if op not in drawn]
        weights = np.array([op.probability for op in spare])
        order = rng.choice(len(spare), len(spare), replace=False, p=weights / weights.sum()) if spare else []
        for i in order:
            scene, record, used = _attempt(scene, spare[i], rng, tries, refused)
            count += used
            if record:
                records.append(record)
                break
    reason = map_is_sound(start, scene) if records else None
    if reason is not None:
        refused[f"the whole map: {reason}"] += 1
        scene, records = start, []
    label_map = start.label_map.copy() if scene is start else scene.label_map
    return Outcome(label_map, records, scene.counts, count, refused)


def _attempt(
    scene: Scene, op: Op, rng: np.random.Generator, tries: int, refused: Counter[str]
) -> tuple[Scene, dict[str, Any] | None, int]:
    """The scene after the operation (itself if it failed), the operation's record, and the number of tries."""
    module, params = registry.get(op.name), op.params()
    for count in range(1, tries + 1):
        try:
            label_map, record = module.perturb(scene, rng, params)
        except NotApplicable as reason:
            refused[f"{op.name}: {reason}"] += 1
            return scene, None, count
        except Rejected as reason:
            refused[f"{op.name}: {reason}"] += 1
            continue
        return scene.changed(label_map, module.KEEPS), {"op": op.name, **record, "tries": count}, count
    return scene, None, tries
