"""Strokes to pixels: instruments, hands and retractors, each with its material and its shadow."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from surgaug.phantom.canvas import Frame, Window, blurred, coverage
from surgaug.phantom.centre_lines import Stroke, arc_lengths, outline
from surgaug.phantom.material import MATERIALS
from surgaug.phantom.texture import octaves
from surgaug.phantom.video_style import Style


def draw_stroke(frame: Frame, stroke: Stroke, style: Style) -> None:
    """One stroke with its shadow."""
    least = 0.42 / frame.scale
    found = coverage(frame, outline(stroke, least))
    if found is None:
        return
    window, alpha = found
    _shadow(frame, window, alpha, float(stroke.half_width[len(stroke.half_width) // 2]))
    rows, columns = np.nonzero(alpha)
    share = alpha[rows, columns]
    rows, columns = rows + window[0].start, columns + window[1].start
    x, y = frame.x[0, columns], frame.y[rows, 0]
    v, s, w = stroke_coordinates(stroke, x, y, least)
    cells = _grain()
    grain = cells[(y * 540).astype(np.int32) & 511, (x * 540).astype(np.int32) & 511]
    grain = grain * np.float32(min(1.0, frame.scale / 300))
    material = MATERIALS[stroke.material]
    if float(stroke.half_width[0]) * frame.scale < 5:
        # A pixel sees much of a thin stroke's width: the mean of three looks, or its highlight breaks into a rope.
        reach = np.float32(0.8 / frame.scale) / w
        low, high = np.maximum(v - reach, -1), np.minimum(v + reach, 1)
        looks = np.concatenate([(5 * low + high) / 6, (low + high) / 2, (low + 5 * high) / 6])
        colour, opacity = material(looks, np.tile(s, 3), np.tile(grain, 3), stroke.phase, style)
        colour = colour.reshape(3, -1, 3).mean(axis=0)
        opacity = opacity.reshape(3, -1).mean(axis=0) if isinstance(opacity, np.ndarray) else opacity
    else:
        colour, opacity = material(v, s, grain, stroke.phase, style)
    under = frame.image[rows, columns]
    blend = (share.astype(np.float32) * np.float32(1 / 255)) * opacity
    frame.image[rows, columns] = under + (colour - under) * blend[:, None]
    keep = share >= 128
    frame.label_map[rows[keep], columns[keep]] = stroke.id


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


@lru_cache(maxsize=1)
def _grain() -> np.ndarray:
    """float32 [512, 512] noise of surfaces, one cell a pixel of a frame 540 high."""
    return octaves([7, 7], (512, 512), (512, 512), [0.25, 0.5, 1.0], 1.0)


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
