"""What lies round the eye: skin, the lid opening with the white of the eye, lashes, tapes."""

from __future__ import annotations

import cv2
import numpy as np

from surgaug.phantom.canvas import Frame, blurred, coverage, lay
from surgaug.phantom.scene import CORNEA, TAPE, Scene
from surgaug.phantom.texture import CANVAS, Textures
from surgaug.phantom.video_style import Style


def surroundings(frame: Frame, scene: Scene, textures: Textures, rng: np.random.Generator) -> None:
    """Skin, and in the lid opening the white of the eye (CaDIS's Cornea)."""
    style = scene.style
    skin, sclera = _warp(frame, scene, textures, textures.skin), _warp(frame, scene, textures, textures.sclera)
    frame.image[:] = skin
    found = coverage(frame, scene.opening)
    if found is None:
        return
    window, alpha = found
    whole = np.zeros(frame.hw, np.float32)
    whole[window] = alpha
    whole *= np.float32(1 / 255)
    depth = blurred(whole, 0.045 * frame.scale)  # 0.5 at the lid margin, 1 well inside the opening
    margin = np.exp(-(((depth - 0.4) / 0.16) ** 2))
    crease = np.exp(-(((depth - 0.07) / 0.06) ** 2))
    frame.image *= (1 - 0.14 * crease)[..., None]
    frame.image += (0.5 * (frame.image + sclera * np.array([1.0, 0.72, 0.7], np.float32)) - frame.image) * (
        0.75 * margin
    )[..., None]
    _lashes(frame, scene, rng)
    near = np.clip((1 - depth) * 2, 0, 1)[..., None]
    sclera = sclera * (1 - near * _fornix(style))
    lay(frame, window, alpha, CORNEA, sclera[window])


def tapes(frame: Frame, scene: Scene, textures: Textures) -> None:
    """The tapes, each with its shadow."""
    for tape in scene.tapes:
        found = coverage(frame, tape)
        if found is None:
            continue
        window, alpha = found
        whole = np.zeros(frame.hw, np.float32)
        whole[window] = alpha
        shadow = blurred(whole, 0.02 * frame.scale) * np.float32(0.5 / 255)
        frame.image *= (1 - shadow)[..., None]
        colour = _warp(frame, scene, textures, textures.tape)[window]
        inside = blurred(whole, 0.006 * frame.scale + 0.3)[window] * np.float32(1 / 255)
        lay(frame, window, alpha, TAPE, colour * (0.86 + 0.14 * inside)[..., None])


def _warp(frame: Frame, scene: Scene, textures: Textures, canvas: np.ndarray) -> np.ndarray:
    """A canvas moved with the eye, float32 [H, W, 3] 0..1."""
    scale = textures.scale / frame.scale * scene.style.radius / scene.radius
    c, s = np.cos(scene.roll) * scale, np.sin(scene.roll) * scale
    a = np.array([[c, s], [-s, c]])
    eye = frame.pixels(np.array(scene.centre))
    middle = np.array([CANVAS[1], CANVAS[0]]) * textures.scale / 2 - 0.5
    m = np.concatenate([a, (middle - a @ eye)[:, None]], axis=1)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    out = cv2.warpAffine(canvas, m, (frame.hw[1], frame.hw[0]), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return out.astype(np.float32) * np.float32(1 / 255)


def _fornix(style: Style) -> np.ndarray:
    """How much darker and redder the white of the eye becomes towards the lids, float32 [3]."""
    return (0.12 + np.array([0.02, 0.3, 0.32]) * (0.3 + 0.7 * style.redness)).astype(np.float32)


def _lashes(frame: Frame, scene: Scene, rng: np.random.Generator) -> None:
    """Dark hairs that grow outwards from the lid margin; they stay skin in the label map."""
    n = len(scene.opening)
    tufts = np.repeat(np.arange(int(rng.integers(2, 6))), 11)
    tufts = tufts[rng.random(len(tufts)) < 0.8]
    if not len(tufts):
        return
    first, lean = rng.integers(n, size=6)[tufts], rng.normal(0, 0.5, 6)[tufts]
    length = rng.uniform(0.05, 0.14, 6)[tufts] * rng.uniform(0.7, 1.2, len(tufts))
    root = scene.opening[(first + np.arange(len(tufts)) % 11 // 2) % n] + rng.normal(0, 0.012, (len(tufts), 2))
    angle = np.arctan2(root[:, 1] - scene.centre[1], root[:, 0] - scene.centre[0]) + lean
    angle += rng.normal(0, 0.13, len(tufts))
    t = np.linspace(0, 1, 5)
    turned = angle[:, None] + rng.normal(0, 0.5, 6)[tufts, None] * t + rng.normal(0, 0.15, (len(tufts), 1)) * t
    hairs = root[:, None] + (length[:, None] * t)[..., None] * np.stack([np.cos(turned), np.sin(turned)], axis=2)
    layer = np.zeros(frame.hw, np.uint8)
    points = np.round(frame.pixels(hairs) * 16).astype(np.int32)
    grey = max(int(min(1.0, 0.006 * frame.scale) * 200), 70)
    cv2.polylines(layer, list(points), False, grey, max(1, round(0.0026 * frame.scale)), cv2.LINE_AA, 4)
    frame.image *= (1 - layer.astype(np.float32) * np.float32(0.8 / 255))[..., None]
