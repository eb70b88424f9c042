"""Strokes to pixels: instruments, hands and retractors, each with its material and its shadow.

A material says how a surface looks: colour and opacity from the place on the stroke. It is a function of v (across the
stroke, -1..1), s (along it, frame heights from its start), grain (noise of standard deviation 1) and the video's style;
float32 arrays [n]. It returns colour [n, 3] and opacity (a number or [n]).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from surgaug.phantom.canvas import Frame, Window, blurred, coverage
from surgaug.phantom.scene import Stroke, arc_lengths, outline
from surgaug.phantom.texture import octaves
from surgaug.phantom.video_style import Style

Surface = tuple[np.ndarray, "np.ndarray | float"]


def _bump(v: np.ndarray, at: float, width: float) -> np.ndarray:
    t = (v - np.float32(at)) * np.float32(1 / width)
    return np.exp(-t * t)


def _tinted(level: np.ndarray, tint: tuple[float, float, float]) -> np.ndarray:
    return level[:, None] * np.array(tint, np.float32)


def _cylinder(
    v: np.ndarray, s: np.ndarray, grain: np.ndarray, phase: float, base: float, shine: float, rough: float
) -> np.ndarray:
    """Polished rod: dark flanks, a sharp highlight along the axis on the lit side, a weaker reflection opposite."""
    sway = np.float32(0.25) * np.sin(s * 7 + phase * 6.3)
    level = base * (1 - 0.75 * v * v) + shine * _bump(v + 0.3 * sway, -0.32, 0.27) + 0.3 * shine * _bump(v, 0.5, 0.25)
    return level * (1 + rough * grain) * (1 + 0.5 * sway)


def _rod(base: float, shine: float, tint: tuple[float, float, float], rough: float = 0.06) -> Callable[..., Surface]:
    def surface(v: np.ndarray, s: np.ndarray, grain: np.ndarray, phase: float, style: Style) -> Surface:
        return _tinted(_cylinder(v, s, grain, phase, base, shine, rough), tint), 1.0

    return surface


def _plastic(tint: tuple[float, float, float], opacity: float = 1.0, gloss: float = 0.3) -> Callable[..., Surface]:
    def surface(v: np.ndarray, s: np.ndarray, grain: np.ndarray, phase: float, style: Style) -> Surface:
        level = 0.45 + 0.55 * np.sqrt(np.maximum(1 - v * v * 0.9, 0)) * (1 - 0.2 * v)
        colour = _tinted(level * (1 + 0.02 * grain), tint) + (gloss * _bump(v, -0.35, 0.14))[:, None]
        return colour, opacity

    return surface


def _knife_handle(v: np.ndarray, s: np.ndarray, grain: np.ndarray, phase: float, style: Style) -> Surface:
    return _plastic(style.knife_handle, 1.0, 0.16)(v, s, grain, phase, style)


def _blade(v: np.ndarray, s: np.ndarray, grain: np.ndarray, phase: float, style: Style) -> Surface:
    """Flat steel with a ground bevel at both edges and a glint that moves along it."""
    flat = 0.3 + 0.28 * _bump(s, 0.05 + 0.1 * phase, 0.05) + 0.1 * v
    bevel = 0.5 * np.clip((np.abs(v) - 0.62) / 0.15, 0, 1)
    rod = _cylinder(v, s, grain, phase, 0.34, 0.45, 0.05)
    shank = np.clip((s - 0.2) / 0.05, 0, 1)
    level = (flat + bevel) * (1 + 0.05 * grain) * (1 - shank) + rod * shank
    return _tinted(level, (0.98, 0.97, 0.93)), 1.0


def _grained(v: np.ndarray, s: np.ndarray, grain: np.ndarray, phase: float, style: Style) -> Surface:
    level = 0.46 - 0.12 * v * v + 0.3 * _bump(v, -0.55, 0.3) + 0.13 * grain * (0.6 + np.maximum(grain, 0) * 0.5)
    level = level - 0.22 * np.clip((v - 0.7) / 0.2, 0, 1)
    return _tinted(np.maximum(level, 0.05), (0.97, 0.95, 0.84)), 1.0


def _ported(v: np.ndarray, s: np.ndarray, grain: np.ndarray, phase: float, style: Style) -> Surface:
    level = _cylinder(v, s, grain, phase, 0.36, 0.6, 0.04)
    port = np.exp(-(((s - 0.028) / 0.009) ** 2) - ((v - 0.1) / 0.4) ** 2)
    return _tinted(level * (1 - 0.85 * port), (0.96, 0.97, 0.97)), 1.0


def _cartridge(v: np.ndarray, s: np.ndarray, grain: np.ndarray, phase: float, style: Style) -> Surface:
    """Clear plastic: bright walls, the folded lens and the plunger seen through."""
    walls = np.clip((np.abs(v) - 0.7) / 0.2, 0, 1)
    core = _bump(v, 0.05, 0.4) * np.clip((s - 0.1) / 0.2, 0, 1)
    tint = np.array(style.lens_tint, np.float32)
    level = 0.5 + 0.3 * walls + 0.25 * _bump(v, -0.4, 0.12) + 0.03 * grain
    colour = (
        level[:, None] * (0.4 + 0.6 * tint) * (1 - core[:, None]) + core[:, None] * tint * (0.75 + 0.2 * v)[:, None]
    )
    return colour, np.clip(0.5 + 0.3 * walls + 0.35 * core, 0, 1)


def _sleeve(v: np.ndarray, s: np.ndarray, grain: np.ndarray, phase: float, style: Style) -> Surface:
    level = 0.5 + 0.3 * np.sqrt(np.maximum(1 - v * v, 0)) + 0.3 * _bump(v, -0.4, 0.18) + 0.03 * grain
    hard = np.clip((s - 0.3) / 0.1, 0, 1)
    rod = _cylinder(v, s, grain, phase, 0.42, 0.5, 0.04)
    colour = _tinted(level, (0.72, 0.78, 0.86)) * (1 - hard)[:, None] + _tinted(rod, (0.95, 0.95, 0.95)) * hard[:, None]
    return colour, 0.72 + 0.28 * hard


def _hand(v: np.ndarray, s: np.ndarray, grain: np.ndarray, phase: float, style: Style) -> Surface:
    round_off = np.sqrt(np.maximum(1 - 0.85 * v * v, 0)) * (1 - 0.25 * v)
    tone = np.array((0.84, 0.62, 0.42) if style.gloved else style.skin, np.float32) * (0.85 + 0.25 * phase)
    fold = 0.05 * np.sin(s * 40 + phase * 9) * np.exp(-((s - 0.22) ** 2) / 0.003) + 0.012 * grain
    return tone * (0.4 + 0.6 * round_off + fold)[:, None] + (0.06 * _bump(v, -0.35, 0.25))[:, None], 1.0


def _cotton(v: np.ndarray, s: np.ndarray, grain: np.ndarray, phase: float, style: Style) -> Surface:
    level = 0.68 + 0.22 * np.sqrt(np.maximum(1 - v * v, 0)) + 0.06 * grain + 0.05 * np.sin(s * 60 + 5 * v)
    return _tinted(level, (1.0, 0.96, 0.9)), 1.0


def _ink(v: np.ndarray, s: np.ndarray, grain: np.ndarray, phase: float, style: Style) -> Surface:
    colour = np.array((0.12, 0.08, 0.30), np.float32) * (1 + 0.15 * grain + 0.3 * v * v)[:, None]
    return colour, np.clip(0.86 - 0.25 * v * v + 0.05 * grain, 0.4, 1)


def _graduated(v: np.ndarray, s: np.ndarray, grain: np.ndarray, phase: float, style: Style) -> Surface:
    """A flat steel ring with engraved degree marks, every third one longer."""
    turn = s * np.float32(24 / 3.0)
    tick = np.abs(turn - np.round(turn)) < 0.07
    long = np.round(turn) % 3 == 0
    mark = tick & (v > np.where(long, -0.5, 0.15))
    level = 0.5 + 0.16 * _bump(v, -0.85, 0.12) + 0.16 * _bump(v, 0.85, 0.12) + 0.14 * np.sin(s * 2.1 + 6 * phase)
    level = level * (1 + 0.05 * grain) * np.where(mark, 0.35, 1.0).astype(np.float32)
    return _tinted(level, (0.97, 0.96, 0.9)), 1.0


MATERIALS: dict[str, Callable[..., Surface]] = {
    "steel": _rod(0.42, 0.6, (0.98, 0.97, 0.93)),
    "dark_steel": _rod(0.3, 0.46, (0.95, 0.95, 0.92)),
    "black_steel": _rod(0.1, 0.26, (0.9, 0.95, 1.0)),
    "titanium": _rod(0.42, 0.34, (0.9, 0.93, 1.0)),
    "brass": _rod(0.36, 0.5, (1.0, 0.86, 0.58)),
    "bronze": _rod(0.33, 0.5, (1.0, 0.9, 0.66)),
    "retractor": _rod(0.44, 0.62, (1.0, 0.93, 0.76)),
    "nylon": _rod(0.16, 0.2, (0.8, 0.75, 1.0)),
    "hub": _plastic((0.72, 0.74, 0.72), 0.88),
    "amber": _plastic((0.72, 0.46, 0.12), 0.95),
    "pale_plastic": _plastic((0.80, 0.82, 0.82), 1.0, 0.18),
    "knife_handle": _knife_handle,
    "blade": _blade,
    "grained": _grained,
    "ported": _ported,
    "cartridge": _cartridge,
    "sleeve": _sleeve,
    "hand": _hand,
    "cotton": _cotton,
    "ink": _ink,
    "graduated": _graduated,
}


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
