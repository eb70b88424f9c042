"""Strokes to pixels: instruments, hands and retractors, each with its material and its shadow."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from surgaug.phantom.canvas import Frame, Window, blurred, coverage
from surgaug.phantom.materials import MATERIALS, Place, Surface
from surgaug.phantom.noise import octaves
from surgaug.phantom.scene import Stroke, arc_lengths, outline
from surgaug.phantom.video_style import Style

GRAIN = 540
"""Cells of the finest surface noise a frame height."""

FAINT, NO_NOISE = 2, np.zeros(1, np.float32)
"""Surface noise that is halved more often than that is no longer seen."""

LOOKS = 3
"""Places within a pixel from which a thin stroke's colour is averaged."""


def draw_stroke(frame: Frame, stroke: Stroke, style: Style) -> None:
    """One stroke with its shadow."""
    least = 0.42 / frame.scale
    found = coverage(frame, outline(stroke, least))
    if found is None:
        return
    window, alpha = found
    _shadow(frame, window, alpha, float(stroke.half_width[len(stroke.half_width) // 2]))
    rows, columns = np.nonzero(alpha)
    if not rows.size:
        return
    share = alpha[rows, columns]
    rows, columns = rows + window[0].start, columns + window[1].start
    colour, opacity = _surface(frame, stroke, style, frame.x[0, columns], frame.y[rows, 0], least)
    under = frame.image[rows, columns]
    blend = (share.astype(np.float32) * np.float32(1 / 255)) * opacity
    frame.image[rows, columns] = under + (colour - under) * blend[:, None]
    keep = share >= 128
    frame.label_map[rows[keep], columns[keep]] = stroke.id


def _surface(frame: Frame, stroke: Stroke, style: Style, x: np.ndarray, y: np.ndarray, least: float) -> Surface:
    """Colour and opacity of the stroke at scene points x, y [n]."""
    v, s, w = stroke_coordinates(stroke, x, y, least)
    reach = np.float32(0.5 / frame.scale) / w
    grain, brushed = _noise(frame, stroke, x, y, s, v * w)
    material = MATERIALS[stroke.material]
    if float(stroke.half_width[0]) * frame.scale >= 5:
        return material(Place(v, s, reach, grain, brushed, 1 / frame.scale, stroke.phase, style))
    # A pixel sees much of a thin stroke's width: the mean of three looks, or its highlight breaks into a rope.
    low, high = np.maximum(v - 1.6 * reach, -1), np.minimum(v + 1.6 * reach, 1)
    v = np.concatenate([(5 * low + high) / 6, (low + high) / 2, (low + 5 * high) / 6])
    s, reach = np.tile(s, LOOKS), np.tile(reach / LOOKS, LOOKS)
    grain, brushed = (np.tile(a, LOOKS) if a.size > 1 else a for a in (grain, brushed))
    colour, opacity = material(Place(v, s, reach, grain, brushed, 1 / frame.scale, stroke.phase, style))
    opacity = opacity.reshape(LOOKS, -1).mean(axis=0) if isinstance(opacity, np.ndarray) else opacity
    return colour.reshape(LOOKS, -1, 3).mean(axis=0), opacity


def _noise(
    frame: Frame, stroke: Stroke, x: np.ndarray, y: np.ndarray, s: np.ndarray, across: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Grain and brushed (see `Place`) at points of the stroke, float32 [n]; [1] where nothing is left of them."""
    halvings = max(0, round(np.log2(GRAIN / frame.scale)))
    if halvings > FAINT:
        return NO_NOISE, NO_NOISE
    cells = np.float32(GRAIN / 2**halvings)
    grain = _cell(_grain(halvings), y * cells, x * cells)
    return grain, _cell(_brushed(halvings), (across + np.float32(1 + stroke.phase)) * cells, s * cells)


def stroke_coordinates(
    stroke: Stroke, x: np.ndarray, y: np.ndarray, least: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For scene points x, y [n], by the nearest piece of the stroke: v across it, s along it, half width, float32 [n].

    v runs from -1 to 1 between the edges, s from 0 at the first point, in scene units; `least` is the least half width.
    """
    a, d = stroke.path[:-1], np.diff(stroke.path, axis=0)
    squared = np.maximum((d * d).sum(1), 1e-12)
    a, d, squared = a.astype(np.float32), d.astype(np.float32), squared.astype(np.float32)
    px, py = x[None] - a[:, :1], y[None] - a[:, 1:]
    t = np.clip((px * d[:, :1] + py * d[:, 1:]) / squared[:, None], 0, 1)
    ex, ey = px - t * d[:, :1], py - t * d[:, 1:]
    nearest = (ex * ex + ey * ey).argmin(axis=0)
    pick = np.arange(len(x))
    t = t[nearest, pick]
    length = np.sqrt(squared)[nearest]
    w = np.maximum(stroke.half_width, least).astype(np.float32)
    w = w[nearest] * (1 - t) + w[nearest + 1] * t
    across = (px[nearest, pick] * -d[nearest, 1] + py[nearest, pick] * d[nearest, 0]) / length
    s = arc_lengths(stroke.path)[nearest].astype(np.float32) + t * length
    return np.clip(across / w, -1, 1), s, w


def _cell(noise: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """float32 [n] the noise's cells at rows and columns [n], beyond its borders from the start again."""
    h, w = noise.shape  # powers of two
    return noise[row.astype(np.int32) & (h - 1), column.astype(np.int32) & (w - 1)]


@lru_cache(maxsize=16)
def _grain(halvings: int) -> np.ndarray:
    """float32 [h, w] noise of surfaces, a cell a pixel; each halving averages 2 x 2 cells to one."""
    return _halved(octaves([7, 7], (512, 512), (512, 512), [0.25, 0.5, 1.0], 1.0), halvings)


@lru_cache(maxsize=16)
def _brushed(halvings: int) -> np.ndarray:
    """float32 [h, w] noise of brushed metal, drawn out along the rows; cells and halvings as of `_grain`."""
    return _halved(octaves([7, 8], (512, 512), (512, 24), [0.5, 1.0], 1.0), halvings)


def _halved(noise: np.ndarray, halvings: int) -> np.ndarray:
    size = max(1, 512 >> halvings)
    return cv2.resize(noise, (size, size), interpolation=cv2.INTER_AREA)


def _shadow(frame: Frame, window: Window, alpha: np.ndarray, half_width: float) -> None:
    """A soft shadow of what covers the window, down and to the right; wider for thick (and so higher) strokes."""
    sigma = max(0.6, (0.004 + 0.25 * half_width) * frame.scale)
    right, down = round((0.35 * half_width + 0.006) * frame.scale), round((0.6 * half_width + 0.008) * frame.scale)
    pad = int(2 * sigma) + 1
    top, left = max(window[0].start + down - pad, 0), max(window[1].start + right - pad, 0)
    bottom, end = min(window[0].stop + down + pad, frame.hw[0]), min(window[1].stop + right + pad, frame.hw[1])
    if bottom <= top or end <= left:
        return
    wide = np.zeros((bottom - top, end - left), np.float32)
    row, column = window[0].start + down - top, window[1].start + right - left
    part = alpha[max(-row, 0) :, max(-column, 0) :]
    row, column = max(row, 0), max(column, 0)
    part = part[: max(wide.shape[0] - row, 0), : max(wide.shape[1] - column, 0)]
    wide[row : row + part.shape[0], column : column + part.shape[1]] = part
    frame.image[top:bottom, left:end] *= (1 - np.float32(0.42 / 255) * blurred(wide, sigma))[..., None]
