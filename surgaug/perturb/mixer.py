"""Draws operations, tries again what the constraints refuse, and keeps count of why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from surgaug.errors import UsageError
from surgaug.perturb import ops as registry
from surgaug.perturb.geometry.camera import view
from surgaug.perturb.geometry.eye import finished
from surgaug.perturb.prior.quotas import Asks
from surgaug.perturb.rejection import NotApplicable, Rejected
from surgaug.perturb.scene.scene import Scene
from surgaug.perturb.strength import strengthened
from surgaug.perturb.wish import Wish
from surgaug.runtime.options import did_you_mean

DEFAULT_OPS = (
    "elastic:0.2,lids:0.1,pupil:0.2,gaze:0.2,eye_rotation:0.05,remove:0.05,shift:0.2,approach:0.1,rotate:0.2,"
    "scale:0.05,swap:0.1,insert:0.1,duplicate:0.03,zoom:0.9,tilt:0.9,pan:0.9,flip:0.5"
)
TRIES = 20
MAX_STRENGTH = 3.0
_BALANCED = 50  # the stage before which quotas are met
_EXCHANGED = 0.5  # how often a class that is asked for takes another's place, if it can, rather than be added


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
    "op: reason". plausibility: see `surgaug.perturb.prior.plausibility`; None where it was not asked for.
    """

    label_map: np.ndarray
    records: list[dict[str, Any]]
    counts: np.ndarray
    tries: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    plausibility: float | None = None


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
    return tuple(sorted(found.values(), key=lambda op: (registry.get(op.name).STAGE, op.name)))


def settings_of(name: str) -> dict[str, Any]:
    """What can be set for an operation, with the defaults."""
    params = registry.get(name).Params
    return {f.name: f.default for f in fields(params)}


def mix(
    scene: Scene,
    ops: Iterable[Op],
    rng: np.random.Generator,
    *,
    asks: Asks | None = None,
    must_change: bool = True,
    tries: int = TRIES,
) -> Outcome:
    """Draw from `ops` and apply them to `scene`, each with its probability; one that is refused `tries` times is left
    out. asks: classes to bring in or to take out besides, before the camera moves. With `must_change` at least one
    operation is applied if any can be. The same for the same state of `rng`.
    """
    ops = tuple(ops)
    drawn = [op for op in ops if rng.random() < op.probability]
    start, attempt = scene, Attempts(rng, tries)
    late = [op for op in drawn if registry.get(op.name).STAGE >= _BALANCED]
    for op in (op for op in drawn if op not in late):
        scene = attempt(scene, op)
    if asks is not None:
        scene = _fulfilled(scene, asks, ops, attempt)
    camera = [op for op in late if registry.get(op.name).LAYER == "camera"]
    scene = attempt.moves(scene, camera)
    for op in (op for op in late if op not in camera):
        scene = attempt(scene, op)
    if must_change and not attempt.records:
        spare = [op for op in ops if op not in drawn]
        weights = np.array([op.probability for op in spare])
        order: Sequence[int] | np.ndarray = (
            rng.choice(len(spare), len(spare), replace=False, p=weights / weights.sum()) if spare else []
        )
        for i in order:
            scene = attempt(scene, spare[i])
            if attempt.records:
                break
    label_map = start.label_map.copy() if scene is start else scene.label_map
    return Outcome(label_map, attempt.records, scene.counts, attempt.count, attempt.refused)


def fulfil(scene: Scene, class_id: int, scarce: frozenset[int], ops: Iterable[Op], attempt: Attempts) -> Scene:
    """The scene with a class that it lacks brought in, by exchange or insertion; itself where neither can be done.

    Where it goes with nothing that is there, instruments that are not scarce make room for it.
    """
    wish = Wish(add=class_id, spare=scarce)
    ways = ("swap", "insert") if attempt.rng.random() < _EXCHANGED else ("insert", "swap")
    for name in ways:
        changed = attempt(scene, _as_set(name, ops), wish)
        if changed is not scene:
            return changed
    before, cleared = len(attempt.records), scene
    for thing in scene.objects:
        if scarce.isdisjoint(thing.class_ids):
            emptier = attempt(cleared, _as_set("remove", ops), Wish(drop=thing.class_ids[0]))
            if emptier is not cleared:
                cleared = emptier
                changed = attempt(cleared, _as_set("insert", ops), wish)
                if changed is not cleared:
                    return changed
    del attempt.records[before:]
    return scene


def _fulfilled(scene: Scene, asks: Asks, ops: tuple[Op, ...], attempt: Attempts) -> Scene:
    for class_id, chance in asks.out:
        if attempt.rng.random() < chance:
            while scene.counts[class_id]:
                changed = attempt(scene, _as_set("remove", ops), Wish(drop=class_id))
                if changed is scene:
                    break
                scene = changed
    for class_id, chance in asks.into:
        if attempt.rng.random() < chance and not scene.counts[class_id]:
            scene = fulfil(scene, class_id, asks.scarce, ops, attempt)
    return scene


def _as_set(name: str, ops: Iterable[Op]) -> Op:
    """The operation with the settings that it has in the mix, if it is there."""
    return next((op for op in ops if op.name == name), Op(name))


class Attempts:
    """Tries operations on scenes; keeps the records of those that succeeded, and counts tries and refusals."""

    def __init__(self, rng: np.random.Generator, tries: int = TRIES):
        self.rng, self.tries = rng, tries
        self.records: list[dict[str, Any]] = []
        self.refused: Counter[str] = Counter()
        self.count = 0

    def __call__(self, scene: Scene, op: Op, wish: Wish | None = None) -> Scene:
        """The scene after the operation; the scene itself if it failed."""
        module, params = registry.get(op.name), op.params()
        if module.LAYER == "camera":
            return self.moves(scene, [op])
        seen = scene if wish is None else scene.asking(wish)
        asked = {} if wish is None else {"balance": True}

        def draw() -> tuple[Scene, list[dict[str, Any]]]:
            # What the objects hide changes with the rest; they are put back as they are.
            below = scene.anatomy if module.LAYER == "anatomy" else seen
            label_map, record = module.perturb(below, self.rng, params)
            records = [{"op": op.name, **record, **asked}]
            if module.LAYER == "anatomy":
                after = getattr(module, "discs_after", None)
                discs = after(scene.discs, record, scene.roles) if after else None
                return scene.with_anatomy(finished(scene, label_map), label_map, discs), records
            if module.LAYER == "objects":
                return scene.with_objects(label_map), records
            return scene.remade(label_map), records

        return self._tried(draw, scene, op.name)

    def moves(self, scene: Scene, ops: Sequence[Op]) -> Scene:
        """The scene after all these movements of the camera, which are one: the map is resampled once."""
        if not ops:
            return scene

        def draw() -> tuple[Scene, list[dict[str, Any]]]:
            matrix, records = np.eye(3), []
            for op in ops:
                own, record = registry.get(op.name).motion(scene.frame, self.rng, op.params())
                matrix = np.vstack([own, (0, 0, 1)]) @ matrix
                records.append({"op": op.name, **record})
            return scene.remade(view(scene, matrix[:2])), records

        return self._tried(draw, scene, "+".join(op.name for op in ops))

    def _tried(self, draw: Callable[[], tuple[Scene, list[dict[str, Any]]]], scene: Scene, name: str) -> Scene:
        for tried in range(1, self.tries + 1):
            self.count += 1
            try:
                changed, records = draw()
            except Rejected as reason:
                self.refused[f"{name}: {reason}"] += 1
                if isinstance(reason, NotApplicable):
                    break
                continue
            self.records += [{**record, "tries": tried} for record in records]
            return changed
        return scene
