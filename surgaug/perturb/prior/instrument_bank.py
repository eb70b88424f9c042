"""What a user's own label maps tell: their instruments as a bank, how far tips reach, what occurs with what.

`look` at each map, then `learn` from what was seen. Everything is small enough to be handed to every worker.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import combinations
from pathlib import Path

import numpy as np

from surgaug.labels.label_space import LabelSpace
from surgaug.perturb.scene.objects import SceneObject
from surgaug.perturb.scene.scene import Scene

BANK = 40  # instruments of one kind that are kept
_OFTEN = 5  # frames in which two instruments must have been seen together to belong together
_ROOM = 0.15  # radii of the eye by which a tip may reach beyond what was seen
_FEW = 8  # tips from which a class's own reach is told; with fewer, that of all classes


@dataclass(frozen=True)
class Eye:
    """The outermost disc of an eye: centre (y, x) and mean radius, in pixels."""

    centre: tuple[float, float]
    radius: float


@dataclass(frozen=True)
class BankItem:
    """An instrument cut from a map. `packed`: its ids plus one, 0 where it is not, uint32, compressed."""

    source: str
    class_ids: tuple[int, ...]
    tip: tuple[float, float]
    thing: SceneObject
    packed: bytes
    eye: Eye | None

    @classmethod
    def of(cls, source: str, thing: SceneObject, eye: Eye | None) -> BankItem:
        ids = np.where(thing.mask, thing.ids.astype(np.uint32) + 1, 0).astype(np.uint32)
        nothing = np.zeros((0, 0), thing.ids.dtype)
        bare = replace(thing, ids=nothing, mask=nothing.astype(bool))
        return cls(source, thing.class_ids, thing.tip, bare, zlib.compress(ids.tobytes(), 1), eye)

    def unpacked(self) -> SceneObject:
        """The object as it was found."""
        y0, x0, y1, x1 = self.thing.box
        ids = np.frombuffer(zlib.decompress(self.packed), np.uint32).reshape(y1 - y0, x1 - x0)
        mask = ids > 0
        return replace(self.thing, ids=np.where(mask, ids - 1, 0).astype(self.thing.ids.dtype), mask=mask)


@dataclass(frozen=True)
class Sight:
    """One map looked at: its instruments, their classes, and how far from the eye's centre each tip is (in radii)."""

    items: tuple[BankItem, ...]
    classes: tuple[tuple[int, ...], ...]
    reaches: tuple[float | None, ...]


@dataclass(frozen=True)
class Knowledge:
    """What was learnt. Counts are of maps.

    bank: instruments by their classes (tip, and handle if seen). pairs: two tip classes seen in one map. most: of one
    tip class in a map. most_objects: in one map. reach: by tip class, the farthest a tip was from the eye's centre, in
    radii; key -1 for all.
    """

    bank: Mapping[tuple[int, ...], tuple[BankItem, ...]]
    pairs: Mapping[tuple[int, int], int]
    most: Mapping[int, int]
    most_objects: int
    reach: Mapping[int, float]

    @cached_property
    def kinds(self) -> tuple[tuple[int, ...], ...]:
        """The bank's keys in a fixed order."""
        return tuple(sorted(self.bank))

    def farthest(self, tip_class: int) -> float:
        """How far from the eye's centre a tip of that class may be, in radii; infinite where no eye was seen."""
        return self.reach.get(tip_class, self.reach.get(-1, float("inf"))) + _ROOM


def eye_of(scene: Scene) -> Eye | None:
    """The eye of a scene, None where no disc of it is found."""
    return Eye(scene.discs[-1].centre, scene.discs[-1].mean_radius) if scene.discs else None


def tips_of(thing: SceneObject, handles: Mapping[int, int]) -> tuple[int, ...]:
    """The classes of an object with handles counted as their tips."""
    return tuple(sorted({handles.get(i, i) for i in thing.class_ids}))


def look(scene: Scene, name: str) -> Sight:
    """What there is to learn from one map."""
    eye = eye_of(scene)
    things = scene.objects
    reaches = [
        scene.discs[-1].nearness(thing.tip) if eye and thing.entries and thing.kind == "instrument" else None
        for thing in things
    ]
    return Sight(
        tuple(BankItem.of(name, scene.whole(i), eye) for i in range(len(things))),
        tuple(tips_of(thing, scene.roles.handles) for thing in things),
        tuple(reaches),
    )


def learn(sights: Iterable[Sight]) -> Knowledge:
    """Knowledge from the maps looked at, the same for the same maps in the same order."""
    bank: dict[tuple[int, ...], list[BankItem]] = {}
    pairs: Counter[tuple[int, int]] = Counter()
    most: Counter[int] = Counter()
    reaches: dict[int, list[float]] = {-1: []}
    most_objects = 0
    for sight in sights:
        most_objects = max(most_objects, len(sight.classes))
        tips = Counter(tip for classes in sight.classes for tip in classes)
        for tip, count in tips.items():
            most[tip] = max(most[tip], count)
        pairs.update(combinations(sorted(tips), 2))
        for item, classes, reach in zip(sight.items, sight.classes, sight.reaches, strict=True):
            bank.setdefault(item.class_ids, []).append(item)
            if reach is not None:
                for key in (-1, *classes):
                    reaches.setdefault(key, []).append(reach)
    farthest = {key: float(np.quantile(v, 0.98)) for key, v in reaches.items() if len(v) >= _FEW or (key == -1 and v)}
    return Knowledge({k: _spread(v) for k, v in bank.items()}, dict(pairs), dict(most), most_objects, farthest)


def _spread(items: list[BankItem]) -> tuple[BankItem, ...]:
    """At most `BANK` of them, evenly over all: neighbouring frames of a video show the same."""
    return tuple(items[int(i)] for i in np.linspace(0, len(items) - 1, min(len(items), BANK)).round())


def belong_together(space: LabelSpace, knowledge: Knowledge | None, a: int, b: int) -> bool:
    """Whether two tip classes may be in one map: seen so by the user, or in CaDIS, or nothing is known of them."""
    if knowledge is not None and knowledge.pairs.get((min(a, b), max(a, b))):
        return True
    names = space.by_id(a).name, space.by_id(b).name
    known, pairs = _cadis()
    if known.issuperset(names):
        return pairs.get(frozenset(names), 0) >= _OFTEN
    # Many maps with both classes and never together say something; a few do not.
    return knowledge is None or knowledge.most.get(a, 0) == 0 or knowledge.most.get(b, 0) == 0


@lru_cache(maxsize=1)
def _cadis() -> tuple[frozenset[str], dict[frozenset[str], int]]:
    """The names of CaDIS's instruments, and the frames of each pair of them."""
    data = json.loads(Path(__file__).with_name("together.json").read_text(encoding="utf-8"))
    return frozenset(data["instruments"]), {frozenset((a, b)): n for a, b, n in data["pairs"]}
