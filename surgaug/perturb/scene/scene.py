"""A label map as the operations see it: its objects, the discs of the eye, and the map without an object.

Everything is found when it is first asked for and kept, so that drawing a rejected try again costs little.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from surgaug.labels.class_roles import Roles, roles
from surgaug.labels.label_space import LabelSpace
from surgaug.perturb import NotApplicable
from surgaug.perturb.scene.class_tables import Tables, holds, tables
from surgaug.perturb.scene.eye_discs import Disc, Eye, find_discs
from surgaug.perturb.scene.find_objects import find_again, find_objects
from surgaug.perturb.scene.inpaint import bridge, fill, nearest_ids, surroundings
from surgaug.perturb.scene.objects import SceneObject
from surgaug.perturb.scene.sprites import Sprite, cut

BEYOND = 0.6  # of the diagonal: how far an instrument is continued outside the frame
ROWS = 4  # every so many-th row is counted where a share of the pixels is all that is asked for


class Scene:
    """A label map of ids [H, W], uint8 or uint16, whose ids all are in `space` (or its ignore value); never changed.

    `Scene(label_map, space)` finds everything by itself. The methods that make a scene of a changed map hand on what is
    known of it already: its objects with the sprites cut of them, its discs, or a scene with the same anatomy.
    """

    def __init__(
        self,
        label_map: np.ndarray,
        space: LabelSpace,
        *,
        of_classes: tuple[Roles, Tables | None] | None = None,
        same_anatomy: Scene | None = None,
        objects: tuple[SceneObject, ...] | None = None,
        discs: tuple[Disc, ...] | None = None,
        sprites: dict[int, Sprite] | None = None,
    ):
        self.label_map = label_map
        self.space = space
        self.roles, self._tables = of_classes or (roles(space), None)
        self._same_anatomy = same_anatomy
        self._objects, self._discs = objects, discs
        self._sprites: dict[int, Sprite] = {} if sprites is None else sprites
        self._without: dict[int, np.ndarray] = {}

    @property
    def frame(self) -> tuple[int, int]:
        """(H, W)"""
        return self.label_map.shape

    @property
    def diagonal(self) -> float:
        """Of the frame, in pixels: the unit in which the operations' distances are given."""
        return float(np.hypot(*self.frame))

    def with_anatomy(self, label_map: np.ndarray, bare: np.ndarray, discs: tuple[Disc, ...] | None = None) -> Scene:
        """The scene of a map [H, W] in which what lies below this one's objects has become `bare` [H, W].

        discs: of that scene, where they are known.
        """
        below = self._derived(bare, objects=(), discs=discs)
        return self._derived(label_map, same_anatomy=below, objects=self.objects, sprites=self._sprites)

    def with_objects(self, label_map: np.ndarray) -> Scene:
        """The scene of a map [H, W] that differs from this one in its objects alone."""
        # Where the label space tells nothing, what was an object here may be taken for anatomy there.
        return self._derived(label_map, same_anatomy=self if self.roles.known else None)

    def remade(self, label_map: np.ndarray) -> Scene:
        """The scene of any other map [H, W] of the same label space."""
        return self._derived(label_map)

    def _derived(self, label_map: np.ndarray, **known: Any) -> Scene:
        """The scene of another map of the same label space; `known`: as in the constructor."""
        # Where the roles are not known, the tables depend on the objects of each map.
        return Scene(label_map, self.space, of_classes=(self.roles, self.tables if self.roles.known else None), **known)

    @cached_property
    def anatomy(self) -> Scene:
        """This scene without its objects."""
        if self._same_anatomy is not None:
            return self._same_anatomy.anatomy
        return self._derived(self.bare, objects=(), discs=self.discs) if self.objects else self

    @cached_property
    def objects(self) -> tuple[SceneObject, ...]:
        """What can be moved, in the same order for the same map."""
        if self._objects is not None:
            return self._objects
        if self._same_anatomy is not None:
            former = self._same_anatomy
            return find_again(self.label_map, former.label_map, former.objects, self.roles, self.bare)
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
        """The discs of the eye, inner to outer."""
        if self._discs is not None:
            return self._discs
        if self._same_anatomy is not None:
            return self._same_anatomy.discs
        hidden = holds(self.tables.covers, self.label_map).view(np.uint8)
        return find_discs(self.label_map, self.roles.discs, hidden, self.roles.iris)

    @property
    def eye(self) -> Eye | None:
        """The outermost disc of the eye; None where no disc is found."""
        return Eye(self.discs[-1].centre, self.discs[-1].mean_radius) if self.discs else None

    @cached_property
    def ignored(self) -> np.ndarray | None:
        """bool [H, W]: pixels without a label; None where there are none."""
        if self.space.ignore is None:
            return None
        ignored = self.label_map == self.space.ignore
        return ignored if ignored.any() else None

    def keep_ignored(self, changed: np.ndarray) -> np.ndarray:
        """`changed` [H, W] with the ignored pixels where this scene has them.

        What is ignored belongs to the picture (a vignette, a caption), not to what it shows: it does not move with it.
        Where ignored pixels were moved away from, the map is filled from the surroundings.
        """
        ignore = self.space.ignore
        if self.ignored is None:
            return changed
        out = changed.copy()
        uncovered = (changed == ignore) & ~self.ignored
        if uncovered.any():
            everything = np.ones(int(np.iinfo(changed.dtype).max) + 1, bool)
            everything[ignore] = False
            try:
                out = fill(changed, uncovered, (0, 0), everything, ())
            except NotApplicable:
                raise NotApplicable("nothing but ignored pixels") from None
        out[self.ignored] = ignore
        return out

    def without(self, index: int) -> np.ndarray:
        """The label map [H, W] without `objects[index]`, its place filled. Not to be changed."""
        if index not in self._without:
            obj = self.objects[index]
            y0, x0, y1, x1 = obj.box
            out = self.label_map.copy()
            out[y0:y1, x0:x1][obj.mask] = self.bare[y0:y1, x0:x1][obj.mask]
            self._reveal(out, obj, obj.class_ids)
            self._without[index] = out
        return self._without[index]

    def sprite(self, index: int) -> Sprite:
        """`objects[index]` cut out, and continued behind what crosses it and beyond the frame."""
        if index not in self._sprites:
            former = self._same_anatomy.objects if self._same_anatomy is not None else ()
            same = next((i for i, obj in enumerate(former) if obj is self.objects[index]), None)
            self._sprites[index] = (
                cut(self.whole(index), BEYOND * self.diagonal)
                if same is None or self._same_anatomy is None
                else self._same_anatomy.sprite(same)
            )
        return self._sprites[index]

    @cached_property
    def bare(self) -> np.ndarray:
        """The label map [H, W] without any of `objects`, their places filled. Not to be changed."""
        if self._same_anatomy is not None:
            return self._same_anatomy.bare
        if not self.objects:
            return self.label_map
        out = self.label_map.copy()
        for obj in self.objects:
            y0, x0, y1, x1 = obj.box
            out[y0:y1, x0:x1] = fill(out, obj.mask, (y0, x0), self.tables.sources, self.discs)
        movable = {i for obj in self.objects for i in obj.class_ids}
        for obj in self.objects:
            self._reveal(out, obj, movable)
        return out

    @cached_property
    def soft(self) -> tuple[np.ndarray, np.ndarray | None]:
        """`bare` without the other stiff classes, their places filled; and bool [H, W] where these were, None for
        nowhere.

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
        """Of a scene without objects: see `inpaint.surroundings`, around the eye."""
        return surroundings(self.label_map, self.tables.sources & ~self.of_eye)

    def _reveal(self, out: np.ndarray, obj: SceneObject, gone: Iterable[int]) -> None:
        """In `out`, join the parts of other instruments that `obj` lay between, except those of classes that are
        `gone`."""
        y0, x0, y1, x1 = _grown(obj.box, self.frame)
        around = self.label_map[y0:y1, x0:x1]
        hole = np.zeros(around.shape, bool)
        by, bx = obj.box[0] - y0, obj.box[1] - x0
        hole[by : by + obj.mask.shape[0], bx : bx + obj.mask.shape[1]] = obj.mask
        for class_id in np.flatnonzero(np.bincount(around.ravel())).tolist():
            if self.tables.instruments[class_id] and class_id not in gone:
                out[y0:y1, x0:x1][bridge(around == class_id, hole)] = class_id

    def whole(self, index: int) -> SceneObject:
        """`objects[index]` joined behind what lies across it: a handle by a handle, a tip by a tip."""
        obj = self.objects[index]
        if not obj.stray:
            return obj
        y0, x0, y1, x1 = obj.box
        over = self.tables.instruments[self.label_map[y0:y1, x0:x1]] & ~obj.mask
        hidden = bridge(obj.mask, over)
        ids = obj.ids.copy()
        ids[hidden] = nearest_ids(obj.ids, obj.mask)[0][hidden]
        return replace(obj, ids=ids, mask=obj.mask | hidden)

    @cached_property
    def tables(self) -> Tables:
        """What each id means."""
        if self._tables is not None:
            return self._tables
        found = () if self.roles.known else self.objects
        return tables(self.space, self.label_map.dtype, frozenset(i for obj in found for i in obj.class_ids))

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
