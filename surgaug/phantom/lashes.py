"""Eye lashes: dark hairs at the lid's rim, wet and so in tufts. They stay skin in the label map."""

from __future__ import annotations

import numpy as np

from surgaug.phantom.canvas import Frame
from surgaug.phantom.fine_lines import fine_lines
from surgaug.phantom.scene import Scene

POINTS = 7
"""Points along a hair."""

ALONG = np.linspace(0, 1, POINTS)
WIDTHS = 0.003 * np.linspace(1, 0.15, POINTS) ** 0.8
"""Of a hair from its root to its tip, in frame heights."""


def lashes(frame: Frame, scene: Scene, rng: np.random.Generator) -> None:
    """Darken the frame where hairs lie; nothing of them comes onto the eye, which is laid over them."""
    hairs = _hairs(scene, rng)
    strengths = rng.uniform(0.6, 0.95, len(hairs))
    widths = np.tile(WIDTHS * frame.scale, (len(hairs), 1))
    cover = fine_lines(frame.hw, frame.pixels(hairs), widths, strengths)
    frame.image *= (1 - np.float32(0.88) * cover)[..., None]


def _hairs(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """[n, POINTS, 2] in scene units, from the root outwards. Hairs of a tuft lean and curl alike, their tips nearer to
    each other than their roots."""
    n, tufts = len(scene.opening), int(rng.integers(3, 12))
    members = rng.integers(4, 9, tufts)
    tuft = np.repeat(np.arange(tufts), members)
    place = np.arange(len(tuft)) - np.repeat(np.cumsum(members) - members, members) - (members[tuft] - 1) / 2
    stretch, first = rng.uniform(0.3, 0.6), rng.integers(n)
    at = (first + rng.random(tufts) ** 1.3 * stretch * n)[tuft] + 0.55 * place + rng.normal(0, 0.2, len(tuft))
    low = np.floor(at).astype(int)
    share = (at - low)[:, None]
    root = scene.opening[low % n] * (1 - share) + scene.opening[(low + 1) % n] * share
    away = root - np.array(scene.centre)
    away /= np.hypot(*away.T)[:, None]
    root = root + away * rng.uniform(0.0, 0.022, (len(tuft), 1))
    angle = np.arctan2(away[:, 1], away[:, 0]) + rng.normal(0, 0.35, tufts)[tuft] - 0.09 * place
    angle += rng.normal(0, 0.08, len(tuft))
    curl = ((1 if rng.random() < 0.5 else -1) * rng.uniform(0.5, 1.3, tufts))[tuft] + rng.normal(0, 0.15, len(tuft))
    length = rng.uniform(0.08, 0.17, tufts)[tuft] * rng.uniform(0.7, 1.1, len(tuft))
    turned = angle[:, None] + curl[:, None] * ALONG
    steps = (length / (POINTS - 1))[:, None, None] * np.stack([np.cos(turned), np.sin(turned)], axis=2)
    return root[:, None] + np.cumsum(steps, axis=1) - steps[:, :1]
