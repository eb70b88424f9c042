"""A label map as the operations see it: its objects, the discs of the eye, and the map without an object.

Everything is found when it is first asked for and kept, so that drawing a rejected try again costs little.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np

from surgaug.labels.label_space import LabelSpace
from surgaug.perturb.roles import Roles, roles
from surgaug.perturb.scene.class_tables import Tables, holds, tables
from surgaug.perturb.scene.eye_discs import Disc, find_discs
from surgaug.perturb.scene.find_objects import find_again, find_objects
from surgaug.perturb.scene.inpaint import fill
from surgaug.perturb.scene.objects import SceneObject
from surgaug.perturb.scene.occlusion import bridge
from surgaug.perturb.scene.sprites import Sprite, cut
from surgaug.perturb.scene.surroundings import surroundings
from surgaug.perturb.wish import Wish

if TYPE_CHECKING:
    from surgaug.perturb.prior.instrument_bank import Knowledge

BEYOND = 0.6  # of the diagonal: how far an instrument is continued outside the frame
ROWS = 4  # every so many-th row is counted where a share of the pixels is all that is asked for


class Scene:
    """label_map: ids [H, W], uint8 or uint16, whose ids all are in `space` (or its ignore value). It is not changed."""

    def __init__(
        self, label_map: np.ndarray, space: LabelSpace, knowledge: Knowledge | None = None, kin: Scene | None = None
    ):
        """kin: a scene with the same anatomy below its objects, if there is one."""
        self.label_map = label_map
        self.space = space
        self._without: dict[int, np.ndarray] = {}
        self._sprites: dict[int, Sprite] = {}
        self._kin = kin
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

    @cached_property
    def anatomy(self) -> Scene:
        """This scene without its objects."""
        if self._kin is not None:
            return self._kin.anatomy
        if not self.objects:
            return self
        scene = self._bared(self.bare)
        scene.discs = self.discs
        return scene

    def with_anatomy(self, label_map: np.ndarray, bare: np.ndarray, discs: tuple[Disc, ...] | None = None) -> Scene:
        """The scene of a map [H, W] in which what lies below this one's objects has become `bare` [H, W].

        discs: of that scene, where they are known.
        """
        below = self._bared(bare)
        if discs is not None:
            below.discs = discs
        scene = self.remade(label_map, below)
        scene.objects, scene._sprites = self.objects, self._sprites
        return scene

    def with_objects(self, label_map: np.ndarray) -> Scene:
        """The scene of a map [H, W] that differs from this one in its objects alone."""
        # Where the label space tells nothing, what was an object here may be taken for anatomy there.
        return self.remade(label_map, self if self.roles.known else None)

    def remade(self, label_map: np.ndarray, kin: Scene | None = None) -> Scene:
        """The scene of any other map [H, W] of the same label space."""
        scene = Scene(label_map, self.space, self.knowledge, kin)
        scene.roles = self.roles
        if self.roles.known:
            scene.tables = self.tables
        return scene

    def _bared(self, bare: np.ndarray) -> Scene:
        scene = self.remade(bare)
        scene.objects = ()
        return scene

    @cached_property
    def objects(self) -> tuple[SceneObject, ...]:
        if self._kin is not None:
            return find_again(self.label_map, self._kin.label_map, self._kin.objects, self.roles)
        return find_objects(self.label_map, self.roles, self.space.ignore)

    @cached_property
    def counts(self) -> np.ndarray:
        """int64 [max id + 1]: pixels by id."""
        return count_ids(self.label_map)

    @cached_property
    def sampled(self) -> np.ndarray:
        """As `counts`, in every `ROWS`-th row."""
        return count_ids(self.label_map[::ROWS])

    @cached_property
    def discs(self) -> tuple[Disc, ...]:
        """Inner to outer."""
        if self._kin is not None:
            return self._kin.discs
        hidden = holds(self.tables.covers, self.label_map).view(np.uint8)
        return find_discs(self.label_map, self.roles.discs, hidden, self.roles.iris)

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
            out[y0:y1, x0:x1][thing.mask] = self.bare[y0:y1, x0:x1][thing.mask]
            self._reveal(out, thing, thing.class_ids)
            self._without[index] = out
        return self._without[index]

    def sprite(self, index: int) -> Sprite:
        """`objects[index]` cut out, and continued behind what crosses it and beyond the frame."""
        if index not in self._sprites:
            former = self._kin.objects if self._kin is not None else ()
            same = next((i for i, thing in enumerate(former) if thing is self.objects[index]), None)
            self._sprites[index] = (
                cut(self.whole(index), BEYOND * self.diagonal)
                if same is None or self._kin is None
                else self._kin.sprite(same)
            )
        return self._sprites[index]

    @cached_property
    def bare(self) -> np.ndarray:
        """The label map [H, W] without any of `objects`, their places filled. Not to be changed."""
        if self._kin is not None:
            return self._kin.bare
        if not self.objects:
            return self.label_map
        out = self.label_map.copy()
        for thing in self.objects:
            y0, x0, y1, x1 = thing.box
            out[y0:y1, x0:x1] = fill(out, thing.mask, (y0, x0), self.tables.sources, self.discs)
        movable = {i for thing in self.objects for i in thing.class_ids}
        for thing in self.objects:
            self._reveal(out, thing, movable)
        return out

    @cached_property
    def soft(self) -> tuple[np.ndarray, np.ndarray | None]:
        """`bare` without what else is stiff, its places filled; and where that was, bool [H, W], or None.

        Stiff are hooks, rings and the like, and what lies above the instruments: a hand.
        """
        table = self.tables.stiff
        stiff = holds(table, self.bare)
        if not stiff.any():
            return self.bare, None
        y, x = (np.flatnonzero(stiff.any(axis)) for axis in (1, 0))
        box = np.s_[y[0] : y[-1] + 1, x[0] : x[-1] + 1]
        out = self.bare.copy()
        out[box] = fill(self.bare, np.ascontiguousarray(stiff[box]), (int(y[0]), int(x[0])), ~table, self.discs)
        return out, stiff

    @cached_property
    def surroundings(self) -> tuple[np.ndarray, list[np.ndarray]]:
        """Of a scene without objects: see `surgaug.perturb.scene.surroundings`, around the eye."""
        return surroundings(self.label_map, self.tables.sources & ~self.of_eye)

    def _reveal(self, out: np.ndarray, thing: SceneObject, gone: Iterable[int]) -> None:
        """Join in `out` the parts of other instruments between which `thing` lay; classes that are `gone` are not."""
        y0, x0, y1, x1 = _grown(thing.box, self.frame)
        around = self.label_map[y0:y1, x0:x1]
        hole = np.zeros(around.shape, bool)
        by, bx = thing.box[0] - y0, thing.box[1] - x0
        hole[by : by + thing.mask.shape[0], bx : bx + thing.mask.shape[1]] = thing.mask
        for class_id in np.flatnonzero(np.bincount(around.ravel())).tolist():
            if self.tables.instruments[class_id] and class_id not in gone:
                out[y0:y1, x0:x1][bridge(around == class_id, hole)] = class_id

    def whole(self, index: int) -> SceneObject:
        """`objects[index]` joined behind what lies across it."""
        thing = self.objects[index]
        if not thing.stray:
            return thing
        y0, x0, y1, x1 = thing.box
        over = self.tables.instruments[self.label_map[y0:y1, x0:x1]] & ~thing.mask
        hidden = bridge(thing.mask, over)
        ids = thing.ids.copy()
        ids[hidden] = thing.class_ids[0]
        return replace(thing, ids=ids, mask=thing.mask | hidden)

    @cached_property
    def tables(self) -> Tables:
        """What each id means."""
        found = () if self.roles.known else self.objects
        return tables(self.space, self.label_map.dtype, frozenset(i for thing in found for i in thing.class_ids))

    @cached_property
    def of_eye(self) -> np.ndarray:
        """bool by id: the classes that make up the eye's discs."""
        table = np.zeros_like(self.tables.covers)
        for disc in self.discs:
            table[list(disc.class_ids)] = True
        return table


def _grown(box: tuple[int, int, int, int], frame: tuple[int, int], margin: int = 16) -> tuple[int, int, int, int]:
    y0, x0, y1, x1 = box
    return max(y0 - margin, 0), max(x0 - margin, 0), min(y1 + margin, frame[0]), min(x1 + margin, frame[1])


def count_ids(label_map: np.ndarray) -> np.ndarray:
    """int64 [max of the dtype + 1]: pixels by id."""
    size = int(np.iinfo(label_map.dtype).max) + 1
    if label_map.dtype == np.uint8:
        return cv2.calcHist([label_map], [0], None, [size], [0, size]).ravel().astype(np.int64)
    return np.bincount(label_map.ravel(), minlength=size)
