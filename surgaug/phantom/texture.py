"""Surfaces of one phantom video, drawn once for a pixel scale and cached: skin, sclera, tape, iris, lens.

Noise comes in octaves with grids of fixed sizes, so that a video looks the same at every scale and a coarse scale only
leaves the fine octaves out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from surgaug.phantom.video_style import Style, video_style

CANVAS = (2.2, 2.8)
"""Height and width of the canvas round the eye, in frame heights."""

FINEST = 540
"""Textures are drawn for at most this many pixels a frame height; larger frames magnify them."""


@dataclass(frozen=True)
class Textures:
    """uint8 RGB. `skin`, `sclera`, `tape` cover `CANVAS` at `scale` pixels a unit; the disks cover [-1, 1] radii."""

    scale: float
    skin: np.ndarray
    sclera: np.ndarray
    tape: np.ndarray
    iris: np.ndarray
    lens: np.ndarray
    reflex: np.ndarray


def octaves(
    key: list[int], hw: tuple[int, int], extent: tuple[float, float], frequencies: list[float], fall: float = 0.6
) -> np.ndarray:
    """float32 [H, W] smooth noise, standard deviation near 1: value noise on grids of `frequencies` cells a unit.

    `extent` is (height, width) in units, with a grid's cells possibly stretched by giving a stretched extent. Octaves
    finer than the pixels are left out.
    """
    total, weight, square = np.zeros(hw, np.float32), 1.0, 0.0
    for k, f in enumerate(frequencies):
        cells = (max(2, round(extent[0] * f)), max(2, round(extent[1] * f)))
        square += weight**2
        if cells[0] > 1.3 * hw[0] or cells[1] > 1.3 * hw[1]:
            continue
        grid = np.random.default_rng([*key, k]).standard_normal((cells[0] + 1, cells[1] + 1), np.float32)
        total += weight * cv2.resize(grid, (hw[1], hw[0]), interpolation=cv2.INTER_CUBIC)
        weight *= fall
    return total * np.float32(1.25 / np.sqrt(square))


def _to_uint8(image: np.ndarray) -> np.ndarray:
    return np.clip(image * 255, 0, 255).astype(np.uint8)


def _colour(c: tuple[float, float, float]) -> np.ndarray:
    return np.asarray(c, np.float32)


@lru_cache(maxsize=64)
def video_textures(video: int, scale: int) -> Textures:
    """The textures of a video for frames of `scale` pixels height (more than `FINEST` is clipped to it)."""
    style, scale = video_style(video), min(scale, FINEST)
    hw = (round(CANVAS[0] * scale), round(CANVAS[1] * scale))
    disk = 2 * max(8, round(style.radius * scale))
    return Textures(
        scale=float(scale),
        skin=_skin(style, hw),
        sclera=_sclera(style, hw, scale),
        tape=_tape(style, hw),
        iris=_iris(style, disk),
        lens=_pupil(style, disk, style.lens, 0.22, 11),
        reflex=_pupil(style, disk, style.reflex, 0.14, 12),
    )


def _skin(style: Style, hw: tuple[int, int]) -> np.ndarray:
    key = [style.video, 1]
    broad = octaves([*key, 1], hw, CANVAS, [1.5, 3, 6, 12])
    fine = octaves([*key, 2], hw, CANVAS, [24, 48, 100, 200], 0.75)
    wrinkles = octaves([*key, 3], hw, (CANVAS[0] * 7, CANVAS[1]), [2.5, 5, 10], 0.7)
    flush = np.clip(0.35 + 0.35 * octaves([*key, 4], hw, CANVAS, [2, 4, 9]), 0, 1)[..., None]
    shade = 1 + 0.13 * broad + 0.045 * fine + 0.05 * wrinkles
    tone = _colour(style.skin) * (1 - flush * [0.02, 0.2, 0.2])
    return _to_uint8(tone * shade[..., None] + 0.1 * np.clip(broad * wrinkles - 0.7, 0, 1)[..., None])


def _sclera(style: Style, hw: tuple[int, int], scale: int) -> np.ndarray:
    key = [style.video, 2]
    broad = octaves([*key, 1], hw, CANVAS, [2, 4, 8])
    fine = octaves([*key, 2], hw, CANVAS, [16, 32, 64, 128], 0.7)
    base = _colour(style.sclera) * (1 + 0.07 * broad + 0.025 * fine)[..., None]
    base[..., 2] -= 0.03 * np.clip(broad, 0, 2)  # yellowish patches
    y, x = np.mgrid[: hw[0], : hw[1]].astype(np.float32)
    r = np.hypot((x / hw[1] - 0.5) * CANVAS[1], (y / hw[0] - 0.5) * CANVAS[0]) / style.radius
    red = np.clip(0.25 * broad + 0.6 * octaves([*key, 3], hw, CANVAS, [1.2, 3, 7, 15]) + 0.55 * (r - 1.5), 0, 1)
    red = (style.redness * 0.75 * red)[..., None]
    base = base * (1 - red * [0.12, 0.48, 0.5])
    vessels = _vessels(style, hw, scale)[..., None]
    return _to_uint8(base * (1 - vessels * [0.16, 0.62, 0.64]))


def _vessels(style: Style, hw: tuple[int, int], scale: int) -> np.ndarray:
    """float32 [H, W] 0..1: conjunctival vessels, random walks from the fornix towards the limbus, with branches."""
    rng = np.random.default_rng([style.video, 3])
    u, n = rng.uniform, int(14 + 34 * style.vessels)
    a = u(0, 2 * np.pi, n)
    start = style.radius * u(1.45, 3.0, (n, 1)) * np.stack([np.cos(a), np.sin(a)], 1)
    trunks, headings = _walks(rng, start, a + np.pi + rng.normal(0, 0.6, n), 40, 0.32)
    lengths, widths, strengths = rng.integers(14, 40, n), u(0.002, 0.0065, n), u(0.35, 1.0, n)
    parent = rng.integers(0, n, 3 * n)
    fork = rng.integers(2, lengths[parent])
    leaving = headings[parent, fork] + rng.choice([-1, 1], 3 * n) * u(0.4, 1.0, 3 * n)
    twigs, _ = _walks(rng, trunks[parent, fork], leaving, 18, 0.4)

    magnify = max(1, int(np.ceil(FINEST / 2 / scale)))
    layer = np.zeros((hw[0] * magnify, hw[1] * magnify), np.uint8)
    pieces: dict[tuple[int, int], list[np.ndarray]] = {}
    for paths, counts, thick, strong in (
        (trunks, lengths, widths, strengths),
        (twigs, rng.integers(6, 18, 3 * n), 0.55 * widths[parent], strengths[parent]),
    ):
        within = np.hypot(paths[..., 0], paths[..., 1]) < 1.04 * style.radius
        counts = np.minimum(counts, np.where(within.any(1), within.argmax(1), counts))
        points = np.round((paths + np.array([CANVAS[1], CANVAS[0]]) / 2) * (16 * scale * magnify)).astype(np.int32)
        for line, count, w, strength in zip(
            points, counts.tolist(), (thick * scale * magnify).tolist(), strong, strict=True
        ):
            for k in range(0, count - 1, 3):  # thinner and thinner
                width = w * (1 - 0.7 * k / count)
                grey = int(16 * strength * min(1.0, width)) * 15 + 8
                pieces.setdefault((grey, max(1, round(width))), []).append(line[k : min(k + 4, count)])
    for (grey, thickness), lines in sorted(pieces.items(), key=lambda item: item[0]):
        cv2.polylines(layer, lines, False, grey, thickness, cv2.LINE_AA, 4)
    if magnify > 1:
        layer = np.asarray(cv2.resize(layer, (hw[1], hw[0]), interpolation=cv2.INTER_AREA), np.uint8)
    return layer.astype(np.float32) / 255


def _walks(
    rng: np.random.Generator, start: np.ndarray, heading: np.ndarray, steps: int, bend: float
) -> tuple[np.ndarray, np.ndarray]:
    """Random walks from `start` [n, 2]: points [n, steps + 1, 2], and the headings [n, steps] of their steps."""
    headings = heading[:, None] + np.cumsum(rng.normal(0, bend, (len(start), steps)), axis=1)
    moves = 0.016 * np.stack([np.cos(headings), np.sin(headings)], axis=2)
    return np.concatenate([start[:, None], start[:, None] + np.cumsum(moves, axis=1)], axis=1), headings


def _tape(style: Style, hw: tuple[int, int]) -> np.ndarray:
    rng = np.random.default_rng([style.video, 4])
    key = [style.video, 4]
    broad = octaves([*key, 1], hw, CANVAS, [2, 5, 10])
    y, x = np.mgrid[: hw[0], : hw[1]].astype(np.float32) * (CANVAS[0] / hw[0])
    a = rng.uniform(-0.5, 0.5)
    across = y * np.cos(a) + x * np.sin(a) + 0.02 * broad + 0.04 * np.sin(3 * x + rng.uniform(0, 6))
    if style.tape_kind == "film":
        sheen = np.clip(octaves([*key, 2], hw, (CANVAS[0] * 3, CANVAS[1]), [3, 7, 15]) - 0.5, 0, 1.5)
        tone = np.array([0.70, 0.60, 0.49], np.float32) * (1 + 0.08 * broad)[..., None]
        return _to_uint8(tone + 0.16 * sheen[..., None])
    period = rng.uniform(0.045, 0.07)
    wave = np.cos(across * 2 * np.pi / period)
    ridge = np.clip((wave - 0.6) / 0.4, 0, 1) * min(1.0, hw[0] / CANVAS[0] * period / 3)
    weave = octaves([*key, 3], hw, CANVAS, [40, 80, 160, 320], 0.85)
    glint = np.clip(weave - 1.1, 0, 1.5)
    wet = np.clip(0.4 + 0.6 * octaves([*key, 5], hw, CANVAS, [1.5, 4, 9, 20]), 0, 1)[..., None]
    dry = np.array([0.80, 0.71, 0.58], np.float32)
    soaked = np.array([0.60, 0.47, 0.34], np.float32)
    tone = dry * (1 - wet) + soaked * wet
    return _to_uint8(tone * (1 + 0.08 * broad + 0.11 * weave)[..., None] + (0.2 * ridge + 0.16 * glint)[..., None])


def _polar(key: list[int], size: int, spokes: int, rings: int) -> np.ndarray:
    """float32 [size, size] noise in polar coordinates: `spokes` cells round, `rings` cells out to radius 1."""
    spokes = min(spokes, size)
    grid = np.random.default_rng(key).standard_normal((spokes, rings), np.float32)
    y, x = (np.mgrid[:size, :size].astype(np.float32) + 0.5) / (size / 2) - 1
    theta = (np.arctan2(y, x) / (2 * np.pi) + 0.5) * spokes
    return cv2.remap(grid, np.hypot(x, y) * (rings - 1), theta, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def _iris(style: Style, size: int) -> np.ndarray:
    y, x = (np.mgrid[:size, :size].astype(np.float32) + 0.5) / (size / 2) - 1
    r = np.hypot(x, y)
    fibres = 0.6 * _polar([style.video, 5, 1], size, 90, 5) + 0.8 * _polar([style.video, 5, 2], size, 260, 9)
    patches = octaves([style.video, 5, 3], (size, size), (2, 2), [2, 4, 8, 16])
    inner = np.clip((0.86 - r) / 0.2 + 0.25 * patches, 0, 1)[..., None]
    tone = _colour(style.iris) * (1 - inner) + _colour(style.iris_inner) * inner
    return _to_uint8(tone * (1 + 0.11 * fibres + 0.1 * patches)[..., None])


def _pupil(style: Style, size: int, colour: tuple[float, float, float], contrast: float, tag: int) -> np.ndarray:
    key = [style.video, tag]
    cloud = octaves([*key, 1], (size, size), (2, 2), [1, 2, 4, 8, 16, 32], 0.72)
    streaks = octaves([*key, 2], (size, size), (6, 2), [2, 4, 8, 16], 0.85)
    spokes = _polar([*key, 3], size, 36, 4)
    shade = 1 + contrast * (0.45 * cloud + 0.45 * streaks + 0.3 * spokes)
    warm = np.clip(cloud * 0.5 + streaks * 0.4, -1, 1)[..., None] * contrast * np.array([0.1, 0.16, 0.1], np.float32)
    return _to_uint8(_colour(colour) * np.clip(shade, 0.2, 2.2)[..., None] + warm)
