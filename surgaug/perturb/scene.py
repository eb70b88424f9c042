"""A label map as the operations see it: its objects, the discs of the eye, and the map without an object.

Everything is found when it is first asked for and kept, so that drawing a rejected try again costs little.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np

from surgaug.data.label_space import LabelSpace
from surgaug.perturb.bridge import bridge
from surgaug.perturb.discs import Disc, find_discs
from surgaug.perturb.fill import fill
from surgaug.perturb.objects import SceneObject, find_objects
from surgaug.perturb.roles import Roles, roles
from surgaug.perturb.sprites import Sprite, cut
from surgaug.perturb.wish import Wish

if TYPE_CHECKING:
    from surgaug.perturb.knowledge import Knowledge

BEYOND = 0.6  # of the diagonal: how far an instrument is continued outside the frame
NOTHING_ABOVE = 1 << 14


class Scene:
    """label_map: ids [H, W], uint8 or uint16, whose ids all are in `space` (or its ignore value). It is not changed."""

    def __init__(
        self,
        label_map: np.ndarray,
        space: LabelSpace,
        discs: tuple[Disc, ...] | None = None,
        knowledge: Knowledge | None = None,
    ):
        """discs: of the eye, where they are known from the scene that this one came from."""
        self.label_map = label_map
        self.space = space
        self._without: dict[int, np.ndarray] = {}
        self._sprites: dict[int, Sprite] = {}
        self._discs = discs
        self.knowledge = knowledge
        self.wish: Wish | None = None

    def asking(self, wish: Wish) -> Scene:
        """This scene, whose operations heed `wish`; what it has found out is shared."""
        scene = copy(self)
        scene.wish = wish
        return scene

    @property
    def frame(self) -> tuple[int, int]:
        """(H, W)"""
        return self.label_map.shape

    @property
    def diagonal(self) -> float:
        """Of the frame, in pixels: the unit in which the operations' distances are given."""
        return float(np.hypot(*self.frame))

    @cached_property
    def roles(self) -> Roles:
        return roles(self.space)

    def changed(self, label_map: np.ndarray, keeps: Collection[str]) -> Scene:
        """The scene of a map [H, W] made from this one; `keeps`: which of "eye" and "objects" are as before."""
        scene = Scene(label_map, self.space, self.discs if "eye" in keeps else None, self.knowledge)
        scene.roles = self.roles
        if "objects" in keeps:
            scene.objects, scene._sprites = self.objects, self._sprites
        return scene

    @cached_property
    def objects(self) -> tuple[SceneObject, ...]:
        return find_objects(self.label_map, self.roles, self.space.ignore)

    @cached_property
    def counts(self) -> np.ndarray:
        """int64 [max id + 1]: pixels by id."""
        return count_ids(self.label_map)

    @property
    def discs(self) -> tuple[Disc, ...]:
        """Inner to outer."""
        if self._discs is None:
            hidden = holds(self.covers, self.label_map).view(np.uint8)
            self._discs = find_discs(self.label_map, self.roles.discs, hidden, self.roles.iris)
        return self._discs

    @cached_property
    def ignored(self) -> np.ndarray | None:
        """bool [H, W]: pixels without a label; None where there are none."""
        if self.space.ignore is None:
            return None
        ignored = self.label_map == self.space.ignore
        return ignored if ignored.any() else None

    def without(self, index: int) -> np.ndarray:
        """The label map [H, W] without `objects[index]`, its place filled. Not to be changed."""
        if index not in self._without:
            thing = self.objects[index]
            y0, x0, y1, x1 = thing.box
            out = self.label_map.copy()
            out[y0:y1, x0:x1] = fill(self.label_map, thing.mask, (y0, x0), self.sources, self.discs)
            self._reveal(out, thing, thing.class_ids)
            self._without[index] = out
        return self._without[index]

    def sprite(self, index: int) -> Sprite:
        """`objects[index]` cut out, and continued behind what crosses it and beyond the frame."""
        if index not in self._sprites:
            self._sprites[index] = cut(self.whole(index), BEYOND * self.diagonal)
        return self._sprites[index]

    @cached_property
    def bare(self) -> np.ndarray:
        """The label map [H, W] without any of `objects`, their places filled. Not to be changed."""
        if not self.objects:
            return self.label_map
        out = self.label_map.copy()
        for thing in self.objects:
            y0, x0, y1, x1 = thing.box
            out[y0:y1, x0:x1] = fill(out, thing.mask, (y0, x0), self.sources, self.discs)
        movable = {i for thing in self.objects for i in thing.class_ids}
        for thing in self.objects:
            self._reveal(out, thing, movable)
        return out

    @cached_property
    def soft(self) -> tuple[np.ndarray, np.ndarray | None]:
        """`bare` without what else is stiff, its places filled; and where that was, bool [H, W], or None.

        Stiff are hooks, rings and the like, and what lies above the instruments: a hand.
        """
        table = self.instruments | (self.depths > self._lowest)
        if self.space.ignore is not None:
            table[self.space.ignore] = False
        stiff = holds(table, self.bare)
        if not stiff.any():
            return self.bare, None
        y, x = (np.flatnonzero(stiff.any(axis)) for axis in (1, 0))
        box = np.s_[y[0] : y[-1] + 1, x[0] : x[-1] + 1]
        out = self.bare.copy()
        out[box] = fill(self.bare, np.ascontiguousarray(stiff[box]), (int(y[0]), int(x[0])), ~table, self.discs)
        return out, stiff

    def _reveal(self, out: np.ndarray, thing: SceneObject, gone: Iterable[int]) -> None:
        """Join in `out` the parts of other instruments between which `thing` lay; classes that are `gone` are not."""
        y0, x0, y1, x1 = _grown(thing.box, self.frame)
        around = self.label_map[y0:y1, x0:x1]
        hole = np.zeros(around.shape, bool)
        by, bx = thing.box[0] - y0, thing.box[1] - x0
        hole[by : by + thing.mask.shape[0], bx : bx + thing.mask.shape[1]] = thing.mask
        for class_id in np.flatnonzero(np.bincount(around.ravel())):
            if self.instruments[class_id] and class_id not in gone:
                out[y0:y1, x0:x1][bridge(around == class_id, hole)] = class_id

    def whole(self, index: int) -> SceneObject:
        """`objects[index]` joined behind what lies across it."""
        thing = self.objects[index]
        if not thing.stray:
            return thing
        y0, x0, y1, x1 = thing.box
        over = self.instruments[self.label_map[y0:y1, x0:x1]] & ~thing.mask
        hidden = bridge(thing.mask, over)
        ids = thing.ids.copy()
        ids[hidden] = thing.class_ids[0]
        return replace(thing, ids=ids, mask=thing.mask | hidden)

    @cached_property
    def instruments(self) -> np.ndarray:
        """bool by id: instruments, those that stay where they are included, and what else can be moved."""
        table = self._table()
        table[[c.id for c in self.space.classes if c.kind == "instrument"]] = True
        table[sorted(self.roles.movable)] = True
        for thing in self.objects:
            table[list(thing.class_ids)] = True
        return table

    @cached_property
    def depths(self) -> np.ndarray:
        """int16 by id: what has more lies above; ignored pixels above everything."""
        table = np.zeros(int(np.iinfo(self.label_map.dtype).max) + 1, np.int16)
        for c in self.space.classes:
            table[c.id] = c.depth
        if self.space.ignore is not None:
            table[self.space.ignore] = NOTHING_ABOVE
        return table

    @cached_property
    def _lowest(self) -> int:
        """The depth of the lowest movable class."""
        return min((self.space.by_id(i).depth for i in self.roles.movable), default=NOTHING_ABOVE)

    @cached_property
    def sources(self) -> np.ndarray:
        """bool by id: classes that may spread into a hole, which are neither objects nor ignored."""
        table = self._table()
        table[list(self.space.ids)] = True
        table &= ~self.instruments
        if self.space.ignore is not None:
            table[self.space.ignore] = False
        return table

    @cached_property
    def of_eye(self) -> np.ndarray:
        """bool by id: the classes that make up the eye's discs."""
        table = self._table()
        for disc in self.discs:
            table[list(disc.class_ids)] = True
        return table

    @cached_property
    def covers(self) -> np.ndarray:
        """bool by id: what can lie above the eye's discs, or is not known."""
        table = self._table()
        discs = {i for level in self.roles.discs for i in level}
        deepest = max((self.space.by_id(i).depth for i in discs), default=0)
        for c in self.space.classes:
            table[c.id] = c.id not in discs and (c.kind == "instrument" or c.depth > deepest)
        table[sorted(self.roles.movable)] = True
        if self.space.ignore is not None:
            table[self.space.ignore] = True
        return table

    def _table(self) -> np.ndarray:
        return np.zeros(int(np.iinfo(self.label_map.dtype).max) + 1, bool)


def holds(table: np.ndarray, label_map: np.ndarray) -> np.ndarray:
    """`table[label_map]`, bool [H, W], for a table bool by id."""
    if label_map.dtype == np.uint8:
        return cv2.LUT(label_map, table.view(np.uint8)[None]).view(bool)
    return table[label_map]


def _grown(box: tuple[int, int, int, int], frame: tuple[int, int], margin: int = 16) -> tuple[int, int, int, int]:
    y0, x0, y1, x1 = box
    return max(y0 - margin, 0), max(x0 - margin, 0), min(y1 + margin, frame[0]), min(x1 + margin, frame[1])


def count_ids(label_map: np.ndarray) -> np.ndarray:
    """int64 [max of the dtype + 1]: pixels by id."""
    size = int(np.iinfo(label_map.dtype).max) + 1
    if label_map.dtype == np.uint8:
        return cv2.calcHist([label_map], [0], None, [size], [0, size]).ravel().astype(np.int64)
    return np.bincount(label_map.ravel(), minlength=size)
