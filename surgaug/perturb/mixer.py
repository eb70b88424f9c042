"""Draws operations, tries again what the constraints refuse, and keeps count of why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from surgaug.perturb import NotApplicable, Rejected
from surgaug.perturb import ops as registry
from surgaug.perturb.geometry.camera import view
from surgaug.perturb.geometry.eye import finished
from surgaug.perturb.operation import ClassRequest, Context, Op
from surgaug.perturb.prior.instrument_bank import InstrumentBank
from surgaug.perturb.prior.quotas import RequestRates
from surgaug.perturb.recipe import TRIES
from surgaug.perturb.scene.scene import Scene

_EXCHANGED = 0.5  # how often a requested class takes another's place, if it can, rather than be added


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


def mix(
    scene: Scene,
    ops: Iterable[Op],
    rng: np.random.Generator,
    *,
    bank: InstrumentBank | None = None,
    rates: RequestRates | None = None,
    must_change: bool = True,
    tries: int = TRIES,
) -> Outcome:
    """Draw from `ops` and apply them to `scene`, each with its probability, in the order of `ops.ORDER`; one that is
    refused `tries` times is left out.

    bank: the user's instruments. rates: how often classes are to be brought in or taken out besides, before the camera
    moves. must_change: at least one operation is applied if any can be. The same for the same state of `rng`.
    """
    ops = tuple(ops)
    drawn = [op for op in ops if rng.random() < op.probability]
    start, attempt = scene, Attempts(rng, bank, tries)
    for op in drawn:
        if registry.layer(op.name) in ("anatomy", "objects"):
            scene = attempt(scene, op)
    if rates is not None:
        scene = _requests_met(scene, rates, ops, attempt)
    scene = attempt.move_camera(scene, [op for op in drawn if registry.layer(op.name) == "camera"])
    for op in drawn:
        if registry.layer(op.name) == "picture":
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


def bring_in(scene: Scene, class_id: int, scarce: frozenset[int], ops: Iterable[Op], attempt: Attempts) -> Scene:
    """The scene with a class that it lacks brought in, by exchange or insertion; itself where neither can be done.

    Where the class goes with nothing that is there, instruments that are not scarce make room for it.
    """
    request = ClassRequest(add=class_id, protected=scarce)
    names = ("swap", "insert") if attempt.rng.random() < _EXCHANGED else ("insert", "swap")
    for name in names:
        changed = attempt(scene, _as_set(name, ops), request)
        if changed is not scene:
            return changed
    before, cleared = len(attempt.records), scene
    for obj in scene.objects:
        if scarce.isdisjoint(obj.class_ids):
            emptier = attempt(cleared, _as_set("remove", ops), ClassRequest(drop=obj.class_ids[0]))
            if emptier is not cleared:
                cleared = emptier
                changed = attempt(cleared, _as_set("insert", ops), request)
                if changed is not cleared:
                    return changed
    del attempt.records[before:]
    return scene


def _requests_met(scene: Scene, rates: RequestRates, ops: tuple[Op, ...], attempt: Attempts) -> Scene:
    for class_id, chance in rates.drop:
        if attempt.rng.random() < chance:
            while scene.counts[class_id]:
                changed = attempt(scene, _as_set("remove", ops), ClassRequest(drop=class_id))
                if changed is scene:
                    break
                scene = changed
    for class_id, chance in rates.add:
        if attempt.rng.random() < chance and not scene.counts[class_id]:
            scene = bring_in(scene, class_id, rates.scarce, ops, attempt)
    return scene


def _as_set(name: str, ops: Iterable[Op]) -> Op:
    """The operation with the settings that it has in the mix, if it is there."""
    return next((op for op in ops if op.name == name), Op(name))


class Attempts:
    """Tries operations on scenes; keeps the records of those that succeeded, and counts tries and refusals."""

    def __init__(self, rng: np.random.Generator, bank: InstrumentBank | None = None, tries: int = TRIES):
        self.rng, self.bank, self.tries = rng, bank, tries
        self.records: list[dict[str, Any]] = []
        self.refused: Counter[str] = Counter()
        self.count = 0

    def __call__(self, scene: Scene, op: Op, request: ClassRequest | None = None) -> Scene:
        """The scene after the operation; the scene itself if it failed."""
        if registry.layer(op.name) == "camera":
            return self.move_camera(scene, [op])
        return self._tried(partial(perform, scene, op, self.rng, Context(self.bank, request)), scene, op.name)

    def move_camera(self, scene: Scene, ops: Sequence[Op]) -> Scene:
        """The scene after all these movements of the camera; the scene itself if they failed."""
        if not ops:
            return scene
        return self._tried(partial(move_camera, scene, ops, self.rng), scene, "+".join(op.name for op in ops))

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


def perform(scene: Scene, op: Op, rng: np.random.Generator, context: Context) -> tuple[Scene, list[dict[str, Any]]]:
    """One draw of an operation that is not the camera's: the new scene and what was done. Raises Rejected."""
    module, layer = registry.get(op.name), registry.layer(op.name)
    # What the objects hide changes with the rest; they are put back as they are.
    below = scene.anatomy if layer == "anatomy" else scene
    label_map, record = module.perturb(below, rng, op.params(), context)
    records = [{"op": op.name, **record, **({} if context.request is None else {"balance": True})}]
    if layer == "anatomy":
        after = getattr(module, "discs_after", None)
        discs = after(scene.discs, record, scene.roles) if after else None
        return scene.with_anatomy(finished(scene, label_map), label_map, discs), records
    return scene.with_objects(label_map) if layer == "objects" else scene.remade(label_map), records


def move_camera(scene: Scene, ops: Sequence[Op], rng: np.random.Generator) -> tuple[Scene, list[dict[str, Any]]]:
    """One draw of all these movements of the camera, which become one, so that the map is resampled once.

    Raises Rejected.
    """
    matrix, records = np.eye(3), []
    for op in ops:
        own, record = registry.get(op.name).motion(scene.frame, rng, op.params())
        matrix = np.vstack([own, (0, 0, 1)]) @ matrix
        records.append({"op": op.name, **record})
    return scene.remade(view(scene, matrix[:2])), records
