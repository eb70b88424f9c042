"""Surfaces of one phantom video, drawn once for a pixel scale and cached: skin, sclera, drape, iris, lens."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from surgaug.phantom.eyeball import clouded_lens, iris, red_reflex, sclera
from surgaug.phantom.skin import drape, skin
from surgaug.phantom.video_style import video_style

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


@lru_cache(maxsize=32)  # a data set has 25 videos
def video_textures(video: int, scale: int) -> Textures:
    """The textures of a video for frames of `scale` pixels height (more than `FINEST` is clipped to it)."""
    style, scale = video_style(video), min(scale, FINEST)
    hw = (round(CANVAS[0] * scale), round(CANVAS[1] * scale))
    disk = 2 * max(8, round(style.radius * scale))
    return Textures(
        scale=float(scale),
        skin=_to_uint8(skin(style, CANVAS, hw)),
        sclera=_to_uint8(sclera(style, CANVAS, hw, scale)),
        tape=_to_uint8(drape(style, CANVAS, hw)),
        iris=_to_uint8(iris(style, disk)),
        lens=_to_uint8(clouded_lens(style, disk)),
        reflex=_to_uint8(red_reflex(style, disk)),
    )


def _to_uint8(image: np.ndarray) -> np.ndarray:
    return np.clip(image * 255, 0, 255).astype(np.uint8)
