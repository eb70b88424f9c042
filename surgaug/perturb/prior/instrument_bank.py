"""The instruments of a user's own label maps: cut out as a bank, how far their tips reach, which occur together.

`observe` each map, then `collect` the observations. A bank is small enough to be handed to every worker.
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

from surgaug.datasets.provenance import Origin
from surgaug.labels.label_space import LabelSpace
from surgaug.perturb.scene.eye_discs import Eye
from surgaug.perturb.scene.objects import SceneObject
from surgaug.perturb.scene.scene import Scene
from surgaug.runtime.spread import spread_over

BANK = 40  # instruments of one kind that are kept
_OFTEN = 5  # frames in which two instruments must have been seen together to belong together
_ROOM = 0.15  # radii of the eye by which a tip may reach beyond what was seen
_FEW = 8  # tips from which a class's own reach is told; with fewer, that of all classes


@dataclass(frozen=True)
class BankItem:
    """An instrument cut from a map. `packed`: its ids plus one, 0 where it is not, uint32, compressed.

    source: the map's name. donors: the real label maps to be seen in it.
    """

    source: str
    donors: tuple[Origin, ...]
    class_ids: tuple[int, ...]
    tip: tuple[float, float]
    obj: SceneObject
    packed: bytes
    eye: Eye | None

    @classmethod
    def of(cls, source: str, donors: tuple[Origin, ...], obj: SceneObject, eye: Eye | None) -> BankItem:
        ids = np.where(obj.mask, obj.ids.astype(np.uint32) + 1, 0).astype(np.uint32)
        nothing = np.zeros((0, 0), obj.ids.dtype)
        bare = replace(obj, ids=nothing, mask=nothing.astype(bool))
        return cls(source, donors, obj.class_ids, obj.tip, bare, zlib.compress(ids.tobytes(), 1), eye)

    def unpacked(self) -> SceneObject:
        """The object as it was found."""
        y0, x0, y1, x1 = self.obj.box
        ids = np.frombuffer(zlib.decompress(self.packed), np.uint32).reshape(y1 - y0, x1 - x0)
        mask = ids > 0
        return replace(self.obj, ids=np.where(mask, ids - 1, 0).astype(self.obj.ids.dtype), mask=mask)


@dataclass(frozen=True)
class Observation:
    """What one map shows: its instruments, their classes, and how far from the eye's centre each tip is (in radii)."""

    items: tuple[BankItem, ...]
    classes: tuple[tuple[int, ...], ...]
    reaches: tuple[float | None, ...]


@dataclass(frozen=True)
class InstrumentBank:
    """What all maps show together. Counts are of maps.

    items: instruments by their classes (tip, and handle if seen). pairs: two tip classes seen in one map. most: of one
    tip class in a map. most_objects: in one map. reach: by tip class, the farthest a tip was from the eye's centre, in
    radii; key -1 for all.
    """

    items: Mapping[tuple[int, ...], tuple[BankItem, ...]]
    pairs: Mapping[tuple[int, int], int]
    most: Mapping[int, int]
    most_objects: int
    reach: Mapping[int, float]

    @cached_property
    def kinds(self) -> tuple[tuple[int, ...], ...]:
        """The keys of `items` in a fixed order."""
        return tuple(sorted(self.items))

    def farthest(self, tip_class: int) -> float:
        """How far from the eye's centre a tip of that class may be, in radii; infinite where no eye was seen."""
        return self.reach.get(tip_class, self.reach.get(-1, float("inf"))) + _ROOM


def tips_of(obj: SceneObject, handles: Mapping[int, int]) -> tuple[int, ...]:
    """The classes of an object with handles counted as their tips."""
    return tuple(sorted({handles.get(i, i) for i in obj.class_ids}))


def observe(scene: Scene, name: str, donors: tuple[Origin, ...]) -> Observation:
    """The instruments of one map; `name` and `donors` say in the manifest where one of them came from."""
    objects = scene.objects
    reaches = [
        scene.discs[-1].nearness(obj.tip) if scene.discs and obj.entries and obj.kind == "instrument" else None
        for obj in objects
    ]
    return Observation(
        tuple(BankItem.of(name, donors, scene.whole(i), scene.eye) for i in range(len(objects))),
        tuple(tips_of(obj, scene.roles.handles) for obj in objects),
        tuple(reaches),
    )


def collect(observations: Iterable[Observation]) -> InstrumentBank:
    """The bank of all maps observed, the same for the same maps in the same order."""
    items: dict[tuple[int, ...], list[BankItem]] = {}
    pairs: Counter[tuple[int, int]] = Counter()
    most: Counter[int] = Counter()
    reaches: dict[int, list[float]] = {-1: []}
    most_objects = 0
    for seen in observations:
        most_objects = max(most_objects, len(seen.classes))
        tips = Counter(tip for classes in seen.classes for tip in classes)
        for tip, count in tips.items():
            most[tip] = max(most[tip], count)
        pairs.update(combinations(sorted(tips), 2))
        for item, classes, reach in zip(seen.items, seen.classes, seen.reaches, strict=True):
            items.setdefault(item.class_ids, []).append(item)
            if reach is not None:
                for key in (-1, *classes):
                    reaches.setdefault(key, []).append(reach)
    farthest = {key: float(np.quantile(v, 0.98)) for key, v in reaches.items() if len(v) >= _FEW or (key == -1 and v)}
    kept = {k: tuple(spread_over(v, BANK)) for k, v in items.items()}
    return InstrumentBank(kept, dict(pairs), dict(most), most_objects, farthest)


def belong_together(space: LabelSpace, bank: InstrumentBank | None, a: int, b: int) -> bool:
    """Whether two tip classes may be in one map: the user's maps show them together, or CaDIS does, or nothing is known
    of them."""
    if bank is not None and bank.pairs.get((min(a, b), max(a, b))):
        return True
    names = space.by_id(a).name, space.by_id(b).name
    known, pairs = _cadis()
    if known.issuperset(names):
        return pairs.get(frozenset(names), 0) >= _OFTEN
    # Many maps with both classes and never together say something; a few do not.
    return bank is None or bank.most.get(a, 0) == 0 or bank.most.get(b, 0) == 0


@lru_cache(maxsize=1)
def _cadis() -> tuple[frozenset[str], dict[frozenset[str], int]]:
    """The names of CaDIS's instruments, and the frames of each pair of them."""
    data = json.loads(Path(__file__).with_name("together.json").read_text(encoding="utf-8"))
    return frozenset(data["instruments"]), {frozenset((a, b)): n for a, b, n in data["pairs"]}
