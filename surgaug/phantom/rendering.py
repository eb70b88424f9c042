"""A scene's geometry to pixels: the image and the label map, drawn layer by layer from the same outlines.

A pixel takes a layer's label where the layer covers at least half of it, and its colour by the covered share, so that
image and label map agree to within a pixel.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from surgaug.phantom.canvas import Frame, grid
from surgaug.phantom.reflexes import wet_light
from surgaug.phantom.render_eye import eye, surroundings, tapes
from surgaug.phantom.render_stroke import draw_stroke
from surgaug.phantom.scene import Scene
from surgaug.phantom.texture import video_textures


def render_scene(scene: Scene, hw: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Image uint8 RGB [H, W, 3] and label map uint8 [H, W] of a scene."""
    frame = Frame(hw)
    textures = video_textures(scene.style.video, max(16, round(frame.scale)))
    rng = np.random.default_rng([scene.seed, 0xC01])
    surroundings(frame, scene, textures, rng)
    eye(frame, scene, textures, rng)
    tapes(frame, scene, textures)
    wet_light(frame, scene, rng)
    for stroke in (*scene.hands, *scene.retractors, *scene.instruments):
        draw_stroke(frame, stroke, scene.style)
    return _expose(frame, scene, rng), frame.label_map


@lru_cache(maxsize=64)
def _light(
    video_light: tuple[float, float], vignette: float, gain: tuple[float, float, float], hw: tuple[int, int]
) -> np.ndarray:
    x, y = grid(hw)
    r2 = ((x - video_light[0]) ** 2 + (y - video_light[1]) ** 2) / np.float32(0.9)
    return (np.float32(1.08) / (1 + vignette * 1.6 * r2) ** 2)[..., None] * np.array(gain, np.float32)


def _expose(frame: Frame, scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Light, lens blur, sensor noise, and the camera's shoulder; uint8 RGB."""
    style = scene.style
    image: np.ndarray = frame.image
    image *= _light(style.light_centre, style.vignette, style.gain, frame.hw) * np.float32(scene.exposure)
    sigma = style.blur * frame.scale
    image = cv2.GaussianBlur(image, (0, 0), max(sigma, 0.28)) if frame.scale > 40 else image
    noise = rng.standard_normal(frame.hw, np.float32)[..., None] * np.float32(style.noise * min(1.0, frame.scale / 200))
    image += noise
    np.maximum(image, 0, out=image)
    # Shoulder: linear up to 0.7, then bending towards 1.
    over = np.maximum(image - np.float32(0.7), 0)
    image -= over * over / (over + np.float32(0.5))
    image *= 255
    return np.clip(image + 0.5, 0, 255).astype(np.uint8)
