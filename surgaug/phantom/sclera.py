"""The white of the eye under its conjunctiva: yellowish and red patches, and the vessels."""

from __future__ import annotations

import numpy as np

from surgaug.phantom.canvas import blurred
from surgaug.phantom.noise import octaves
from surgaug.phantom.vessels import vessels
from surgaug.phantom.video_style import Style


def sclera(style: Style, canvas: tuple[float, float], hw: tuple[int, int], scale: int) -> np.ndarray:
    """float32 [H, W, 3] 0..1 for a canvas of that height and width in frame heights, the eye in its middle."""
    key = [style.video, 2]
    broad = octaves([*key, 1], hw, canvas, [2, 4, 8])
    fine = octaves([*key, 2], hw, canvas, [16, 32, 64, 128], 0.7)
    base = np.asarray(style.sclera, np.float32) * (1 + 0.06 * broad + 0.025 * fine)[..., None]
    base[..., 2] -= 0.03 * np.clip(broad, 0, 2)  # yellowish patches
    y, x = np.mgrid[: hw[0], : hw[1]].astype(np.float32)
    r = np.hypot((x / hw[1] - 0.5) * canvas[1], (y / hw[0] - 0.5) * canvas[0]) / style.radius
    red = np.clip(0.25 * broad + 0.6 * octaves([*key, 3], hw, canvas, [1.2, 3, 7, 15]) + 0.55 * (r - 1.5), 0, 1)
    red = (style.redness * 0.75 * red)[..., None]
    base = base * (1 - red * np.array([0.12, 0.48, 0.5], np.float32))
    surface, deep = vessels(style, canvas, scale)
    deep = blurred(deep, max(0.5, 0.004 * scale))[..., None]
    base = base * (1 - deep * np.array([0.22, 0.34, 0.26], np.float32))
    return base * (1 - surface[..., None] * np.array([0.17, 0.62, 0.62], np.float32))
