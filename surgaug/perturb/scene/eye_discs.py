"""Pupil, iris and cornea as closed shapes, also where something covers them.

An ellipse is fitted to the outline that is visible (Fitzgibbon, Pilu, Fisher 1999, direct least squares), and the
outline's deviation from it is kept as a factor by angle, interpolated over the angles that are covered. So a completed
outline meets the visible one without a step, and a pupil that iris hooks pull into a polygon stays one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from surgaug.perturb.scene.class_tables import looked_up

_BINS = 360
_VISIBLE = 0.3  # of the outline's angles; with less there is nothing to complete
_DEVIATION = 0.25  # of the radius; a shape farther from an ellipse is not one of these discs
_WRONG = 0.12  # of the disc's pixels that may be off where nothing hides them
_CORNEA = 1.3  # radii of the iris; a cornea's edge is not farther out
_FAR_TOO_MANY = 2 * _CORNEA**2  # of the iris's pixels
_MIN_POINTS = 24
_POINTS = 500  # of an outline that are looked at


@dataclass(frozen=True)
class Disc:
    """A closed shape by its radius over the angle, from `centre` (y, x); `class_ids` make it up with what lies inside,
    the commonest of them first, which is what is hidden of it.

    radius: float32 [360] in pixels, at angles 0, 1, ... degrees from +x towards +y.
    """

    class_ids: tuple[int, ...]
    centre: tuple[float, float]
    radius: np.ndarray

    def contains(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """bool, like y and x: whether these positions lie inside."""
        if np.size(y) == 0:
            return np.zeros(np.shape(y), bool)
        dy, dx = (y - self.centre[0]).astype(np.float32), (x - self.centre[1]).astype(np.float32)
        length, angle = cv2.cartToPolar(dx, dy, angleInDegrees=True)
        at = self.radius[np.minimum(angle.astype(np.int32), _BINS - 1)]
        return (length <= at).reshape(np.shape(y))

    def nearness(self, point: tuple[float, float]) -> float:
        """Distance of (y, x) from the centre, in radii at that angle: at most 1 inside."""
        dy, dx = point[0] - self.centre[0], point[1] - self.centre[1]
        return float(np.hypot(dy, dx) / self.radius[int(np.degrees(np.arctan2(dy, dx)) % 360)])

    @cached_property
    def outline(self) -> np.ndarray:
        """float64 [360, 2]: (x, y) of the outline."""
        angles = np.deg2rad(np.arange(_BINS) + 0.5)
        return np.stack(
            [self.centre[1] + self.radius * np.cos(angles), self.centre[0] + self.radius * np.sin(angles)], -1
        )

    def drawn(self, size: tuple[int, int], origin: tuple[int, int] = (0, 0)) -> np.ndarray:
        """uint8 [h, w] of `size`, its top left pixel at `origin` (y, x): 1 inside."""
        return drawn(self.outline, size, origin)

    def scaled(self, factor: float, about: tuple[float, float]) -> Disc:
        """The disc `factor` times as large, the point `about` (y, x) staying where it is."""
        centre = (about[0] + factor * (self.centre[0] - about[0]), about[1] + factor * (self.centre[1] - about[1]))
        return replace(self, centre=centre, radius=self.radius * np.float32(factor))

    @property
    def mean_radius(self) -> float:
        return float(self.radius.mean())


@dataclass(frozen=True)
class Eye:
    """The outermost disc of an eye: centre (y, x) and mean radius, in pixels."""

    centre: tuple[float, float]
    radius: float


def drawn(outline: np.ndarray, size: tuple[int, int], origin: tuple[int, int] = (0, 0)) -> np.ndarray:
    """uint8 [h, w] of `size`, its top left pixel at `origin` (y, x): 1 inside the closed outline [N, 2] of (x, y)."""
    canvas = np.zeros(size, np.uint8)
    cv2.fillPoly(canvas, [np.round((outline - (origin[1], origin[0])) * 16).astype(np.int32)], 1, shift=4)
    return canvas


def mark(ids: np.ndarray, discs: Sequence[Disc], y: np.ndarray, x: np.ndarray) -> None:
    """Write into the ids [N] of the places y, x [N], in place, those of the discs (inner to outer) that lie there."""
    for disc in reversed(discs):
        ids[disc.contains(y, x)] = disc.class_ids[0]


def find_discs(
    label_map: np.ndarray, levels: Sequence[tuple[int, ...]], hidden: np.ndarray, iris: Sequence[int] = ()
) -> tuple[Disc, ...]:
    """The discs of a label map [H, W], inner to outer.

    levels: class ids, inner to outer; each disc is its level and those within. hidden: uint8 [H, W], nonzero where
    something lies above the eye or nothing is known, so that the outline there is not the disc's own. iris: the ids of
    that level; what is much wider is no disc of the eye but all that the lids leave open (CaDIS's cornea).
    """
    table = np.full(int(np.iinfo(label_map.dtype).max) + 1, 255, np.uint8)
    for level, ids in enumerate(levels):
        table[list(ids)] = level
    depth = looked_up(table, label_map)
    near_hidden = cv2.dilate(np.minimum(hidden, 1), np.ones((5, 5), np.uint8))
    found: list[Disc] = []
    for level, ids in enumerate(levels):
        if not (depth == level).any():
            continue
        mask = np.uint8(255) * (depth <= level)
        inner = found[-1] if found and set(found[-1].class_ids) & set(iris) else None
        # So many pixels that it cannot be the cornea need no outline.
        if inner is not None and cv2.countNonZero(mask) > _FAR_TOO_MANY * np.pi * inner.mean_radius**2:
            continue
        # Of a lens and an implant, or cornea and limbus, the map may show one alone.
        shown = sorted(ids, key=lambda i: -np.count_nonzero(label_map == i)) if len(ids) > 1 else ids
        disc = _complete(tuple(shown), mask, near_hidden)
        if disc is not None and (inner is None or disc.mean_radius <= _CORNEA * inner.mean_radius):
            found.append(disc)
    return tuple(found)


def _complete(class_ids: tuple[int, ...], mask: np.ndarray, near_hidden: np.ndarray) -> Disc | None:
    (height, width), whole = mask.shape, mask
    x0, y0, w, h = cv2.boundingRect(whole)
    x1, y1 = x0 + w, y0 + h
    mask = whole[y0:y1, x0:x1]
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE, offset=(x0, y0))
    outline = np.concatenate(contours)[:, 0]  # (x, y)
    outline = outline[:: -(-len(outline) // _POINTS)]
    x, y = outline.T
    seen = (near_hidden[y, x] == 0) & (x > 0) & (y > 0) & (x < width - 1) & (y < height - 1)
    outline = outline[seen].astype(np.float32)
    if len(outline) < _MIN_POINTS:
        return None
    fitted = _ellipse(outline)
    if fitted is None:
        return None
    centre, axes, turn = fitted
    dx, dy = outline[:, 0] - centre[0], outline[:, 1] - centre[1]
    length, angle = cv2.cartToPolar(dx, dy, angleInDegrees=True)
    bins = np.minimum(angle.ravel().astype(np.int32), _BINS - 1)
    ratio = length.ravel() / _ellipse_radius(axes, turn, np.deg2rad(angle.ravel()))
    # Of several crossings at one angle (a notch, a speck) the one nearest to the ellipse is the outline.
    ratio_at = np.full(_BINS, np.nan, np.float32)
    order = np.argsort(-np.abs(ratio - 1), kind="stable")
    ratio_at[bins[order]] = ratio[order]
    known = np.flatnonzero(~np.isnan(ratio_at))
    if len(known) < _VISIBLE * _BINS or np.median(np.abs(ratio_at[known] - 1)) > _DEVIATION:
        return None
    factor = np.interp(np.arange(_BINS), known, ratio_at[known], period=_BINS)
    angles = np.deg2rad(np.arange(_BINS) + 0.5)
    # Half a pixel out: the outline runs through the centres of the outermost pixels.
    radius = _ellipse_radius(axes, turn, angles) * np.clip(factor, 0.5, 1.5) + 0.5
    disc = Disc(class_ids, (float(centre[1]), float(centre[0])), radius.astype(np.float32))
    # An arc may fit and yet be the inner side of a bow: the disc then fills pixels that the map does not.
    x0, y0 = np.maximum(np.minimum((x0, y0), np.floor(disc.outline.min(0)).astype(int)), 0)
    x1, y1 = np.minimum(np.maximum((x1, y1), np.ceil(disc.outline.max(0)).astype(int) + 1), (width, height))
    box = np.s_[y0:y1, x0:x1]
    off = (disc.drawn((y1 - y0, x1 - x0), (y0, x0)) > 0) != (whole[box] > 0)
    wrong = np.count_nonzero(off & (near_hidden[box] == 0))
    return disc if wrong <= _WRONG * cv2.countNonZero(mask) else None


def _ellipse(points: np.ndarray) -> tuple[tuple[float, float], tuple[float, float], float] | None:
    """Centre (x, y), half axes and rotation (radians) from float32 [N, 2] points (x, y), outliers left out once."""
    for again in (True, False):
        if len(points) < _MIN_POINTS:
            return None
        (cx, cy), axes, degrees = cv2.fitEllipseDirect(points)
        half, turn = (axes[0] / 2, axes[1] / 2), np.deg2rad(degrees)
        extent = float(np.ptp(points, axis=0).max())
        if not np.isfinite([cx, cy, *half, turn]).all() or not 2 < min(half) <= max(half) < 2 * extent:
            return None
        if again:
            length, angle = cv2.cartToPolar(points[:, 0] - np.float32(cx), points[:, 1] - np.float32(cy))
            off = np.abs(length.ravel() / _ellipse_radius(half, turn, angle.ravel()) - 1)
            points = points[off <= max(3 * float(np.sort(off)[len(off) // 2]), 0.02)]
    return (cx, cy), half, turn


def _ellipse_radius(half: tuple[float, float], turn: float, angle: np.ndarray) -> np.ndarray:
    c, s = np.cos(angle - turn), np.sin(angle - turn)
    return half[0] * half[1] / np.sqrt((half[1] * c) ** 2 + (half[0] * s) ** 2)
