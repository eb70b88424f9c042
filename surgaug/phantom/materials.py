"""How surfaces look: colour and opacity from the place on a stroke.

A material is a function of `Place`; it returns colour float32 [n, 3] and opacity (a number or [n]).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from surgaug.phantom.noise import seen
from surgaug.phantom.video_style import Style

Surface = tuple[np.ndarray, "np.ndarray | float"]


@dataclass(frozen=True)
class Place:
    """Points on a stroke, arrays float32 [n].

    v across it (-1..1), s along it (frame heights from its start), reach (half a pixel in units of v), grain and
    brushed (noise, the second drawn out along the stroke, of standard deviation 1 before it is averaged over a pixel),
    pixel (frame heights), phase (0..1, the stroke's own).
    """

    v: np.ndarray
    s: np.ndarray
    reach: np.ndarray
    grain: np.ndarray
    brushed: np.ndarray
    pixel: float
    phase: float
    style: Style


Material = Callable[[Place], Surface]


def _gauss(x: np.ndarray, at: float, width: float) -> np.ndarray:
    t = (x - np.float32(at)) * np.float32(1 / width)
    return np.exp(-t * t)


def _line(p: Place, at: float | np.ndarray, width: float) -> np.ndarray:
    """A bright line of that half width along the stroke at v = `at`, averaged over the pixels it is seen by."""
    spread = np.float32(width * width) + np.float32(2 / 3) * p.reach * p.reach
    t = p.v - np.float32(at)
    return np.exp(-t * t / spread) * (np.float32(width) / np.sqrt(spread))


def _edge(p: Place, at: float, width: float) -> np.ndarray:
    """0..1, rising from |v| = `at` over `width`, over a pixel at least."""
    return np.clip((np.abs(p.v) - np.float32(at)) / np.maximum(np.float32(width), 2 * p.reach), 0, 1)


def _tinted(level: np.ndarray, tint: tuple[float, float, float]) -> np.ndarray:
    return level[:, None] * np.array(tint, np.float32)


def _cylinder(p: Place, base: float, shine: float, rough: float) -> np.ndarray:
    """Metal rod that mirrors its surroundings: dark flanks, the lamps as a sharp line in a broad light along the lit
    side, a dark band where the room is mirrored, the bright drape opposite; brushed along its length."""
    sway = np.float32(0.25) * np.sin(p.s * 7 + p.phase * 6.3)
    lit = -0.32 - 0.3 * sway
    level = base * (1 - 0.75 * p.v * p.v)
    if p.reach.min() > 0.3:  # too thin to tell the sharp line and the band from what they lie in
        level = level - 0.1 * base + shine * (0.91 * _line(p, lit, 0.27) + 0.3 * _line(p, 0.5, 0.22))
        return level * (1 + 0.5 * sway)
    level = level + shine * (0.72 * _line(p, lit, 0.27) + 0.75 * _line(p, lit - 0.03, 0.07) + 0.3 * _line(p, 0.5, 0.22))
    level = level - 0.3 * base * _line(p, 0.12, 0.16)
    return level * (1 + rough * p.grain + 1.6 * rough * p.brushed) * (1 + 0.5 * sway)


def _rod(base: float, shine: float, tint: tuple[float, float, float], rough: float = 0.06) -> Material:
    def surface(p: Place) -> Surface:
        return _tinted(_cylinder(p, base, shine, rough), tint), 1.0

    return surface


def _knurled(base: float, shine: float, tint: tuple[float, float, float]) -> Material:
    """Matt metal of a handle, turned: rings all the way in bands, where a finger holds it."""

    def surface(p: Place) -> Surface:
        level = _cylinder(p, base, shine, 0.04)
        period = 0.011
        band = np.clip(4 * np.sin(p.s * 16 + 6 * p.phase), 0, 1)
        rings = np.sin(p.s * np.float32(2 * np.pi / period)) * seen(period / p.pixel)
        return _tinted(level * (1 + band * (0.22 * rings - 0.08)), tint), 1.0

    return surface


def _plastic(tint: tuple[float, float, float], opacity: float = 1.0, gloss: float = 0.3) -> Material:
    def surface(p: Place) -> Surface:
        level = 0.45 + 0.55 * np.sqrt(np.maximum(1 - p.v * p.v * 0.9, 0)) * (1 - 0.2 * p.v)
        light = gloss * (0.7 * _line(p, -0.35, 0.14) + 0.6 * _line(p, -0.38, 0.05))
        return _tinted(level * (1 + 0.02 * p.grain), tint) + light[:, None], opacity

    return surface


def _knife_handle(p: Place) -> Surface:
    return _plastic(p.style.knife_handle, 1.0, 0.16)(p)


def _blade(p: Place) -> Surface:
    """Flat steel, ground across, with a bevel at both edges and a glint that moves along it."""
    flat = 0.3 + 0.28 * _gauss(p.s, 0.05 + 0.1 * p.phase, 0.05) + 0.1 * p.v
    bevel = 0.5 * _edge(p, 0.62, 0.15) * (0.75 + 0.5 * _gauss(p.s, 0.03 + 0.1 * p.phase, 0.04))
    shank = np.clip((p.s - 0.2) / 0.05, 0, 1)
    level = (flat + bevel) * (1 + 0.03 * p.grain + 0.06 * p.brushed)
    level = level * (1 - shank) + _cylinder(p, 0.34, 0.45, 0.05) * shank
    return _tinted(level, (0.98, 0.97, 0.93)), 1.0


def _grained(p: Place) -> Surface:
    """Sand-blasted steel: matt, with a bright edge, and grooves across where it is held."""
    level = 0.44 - 0.12 * p.v * p.v + 0.22 * _line(p, -0.55, 0.3) + 0.16 * _line(p, -0.85, 0.08)
    level = level * (1 + 0.1 * p.grain + 0.1 * p.brushed)
    period = 0.014
    grooves = np.sin(p.s * np.float32(2 * np.pi / period)) * seen(period / p.pixel)
    level = level * (1 + 0.12 * grooves * np.clip((p.s - 0.3) / 0.05, 0, 1)) - 0.22 * np.clip((p.v - 0.7) / 0.2, 0, 1)
    return _tinted(np.maximum(level, 0.05), (0.97, 0.95, 0.84)), 1.0


def _ported(p: Place) -> Surface:
    port = np.exp(-(((p.s - 0.028) / 0.009) ** 2) - ((p.v - 0.1) / 0.4) ** 2)
    return _tinted(_cylinder(p, 0.36, 0.6, 0.04) * (1 - 0.85 * port), (0.96, 0.97, 0.97)), 1.0


def _cartridge(p: Place) -> Surface:
    """Clear plastic: bright walls, the folded lens and the plunger seen through."""
    walls = _edge(p, 0.7, 0.2)
    core = _line(p, 0.05, 0.4) * np.clip((p.s - 0.1) / 0.2, 0, 1)
    tint = np.array(p.style.lens_tint, np.float32)
    light = 0.2 * _line(p, -0.4, 0.12) + 0.25 * _line(p, -0.42, 0.04) + 0.2 * _line(p, 0.86, 0.05)
    level = 0.5 + 0.3 * walls + light + 0.03 * p.grain
    colour = level[:, None] * (0.4 + 0.6 * tint) * (1 - core[:, None])
    colour = colour + core[:, None] * tint * (0.75 + 0.2 * p.v)[:, None]
    return colour, np.clip(0.5 + 0.3 * walls + 0.35 * core + light, 0, 1)


def _sleeve(p: Place) -> Surface:
    level = (
        0.5 + 0.3 * np.sqrt(np.maximum(1 - p.v * p.v, 0)) + 0.25 * _line(p, -0.4, 0.18) + 0.2 * _line(p, -0.42, 0.05)
    )
    hard = np.clip((p.s - 0.3) / 0.1, 0, 1)
    soft = _tinted(level + 0.03 * p.grain, (0.72, 0.78, 0.86))
    rod = _tinted(_cylinder(p, 0.42, 0.5, 0.04), (0.95, 0.95, 0.95))
    return soft * (1 - hard)[:, None] + rod * hard[:, None], 0.72 + 0.28 * hard


def _hand(p: Place) -> Surface:
    round_off = np.sqrt(np.maximum(1 - 0.85 * p.v * p.v, 0)) * (1 - 0.25 * p.v)
    tone = np.array((0.84, 0.62, 0.42) if p.style.gloved else p.style.skin, np.float32) * (0.85 + 0.25 * p.phase)
    fold = 0.05 * np.sin(p.s * 40 + p.phase * 9) * np.exp(-((p.s - 0.22) ** 2) / 0.003)
    fold = fold + (0.012 if p.style.gloved else 0.03) * p.grain
    return tone * (0.4 + 0.6 * round_off + fold)[:, None] + (0.06 * _line(p, -0.35, 0.25))[:, None], 1.0


def _cotton(p: Place) -> Surface:
    level = 0.68 + 0.22 * np.sqrt(np.maximum(1 - p.v * p.v, 0)) + 0.06 * p.grain + 0.06 * p.brushed
    return _tinted(level + 0.05 * np.sin(p.s * 60 + 5 * p.v), (1.0, 0.96, 0.9)), 1.0


def _ink(p: Place) -> Surface:
    colour = np.array((0.12, 0.08, 0.30), np.float32) * (1 + 0.15 * p.grain + 0.3 * p.v * p.v)[:, None]
    return colour, np.clip(0.86 - 0.25 * p.v * p.v + 0.05 * p.grain, 0.4, 1)


def _graduated(p: Place) -> Surface:
    """A flat steel ring with engraved degree marks, every third one longer."""
    turn = p.s * np.float32(24 / 3.0)
    half, pixel = 0.07, max(8 * p.pixel, 0.02)  # of a mark, in steps from one mark to the next
    across = np.clip((half - np.abs(turn - np.round(turn))) / pixel + 0.5, 0, 1) * min(1.0, 2 * half / pixel)
    start = np.where(np.round(turn) % 3 == 0, -0.5, 0.15)
    mark = across * np.clip((p.v - start) / np.maximum(2 * p.reach, 0.02) + 0.5, 0, 1)
    level = 0.5 + 0.16 * _line(p, -0.85, 0.12) + 0.16 * _line(p, 0.85, 0.12) + 0.14 * np.sin(p.s * 2.1 + 6 * p.phase)
    level = level * (1 + 0.03 * p.grain + 0.05 * p.brushed) * (1 - np.float32(0.65) * mark)
    return _tinted(level, (0.97, 0.96, 0.9)), 1.0


MATERIALS: dict[str, Material] = {
    "steel": _rod(0.42, 0.6, (0.98, 0.97, 0.93)),
    "dark_steel": _rod(0.3, 0.46, (0.95, 0.95, 0.92)),
    "black_steel": _rod(0.1, 0.26, (0.9, 0.95, 1.0)),
    "titanium": _knurled(0.42, 0.34, (0.9, 0.93, 1.0)),
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
