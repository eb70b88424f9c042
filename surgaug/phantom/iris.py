"""The iris: fibres that wind outwards, the collarette round the pupil, crypts between fibres, a darker rim."""

from __future__ import annotations

import numpy as np

from surgaug.phantom.noise import disk_grid, octaves, polar
from surgaug.phantom.video_style import Style


def iris(style: Style, size: int) -> np.ndarray:
    """float32 [size, size, 3] 0..1, a disk texture that covers -1..1 radii."""
    key = [style.video, 5]
    x, y = disk_grid(size)
    r = np.hypot(x, y)
    patches = octaves([*key, 3], (size, size), (2, 2), [2, 4, 8, 16])
    sway = 0.05 * octaves([*key, 4], (size, size), (2, 2), [3, 6, 12])
    fibres = (
        0.55 * polar([*key, 1], size, 90, 5, sway)
        + 0.7 * polar([*key, 2], size, 240, 7, sway)
        + 0.6 * polar([*key, 6], size, 520, 9, 0.6 * sway)
    )
    inner = np.clip((0.86 - r) / 0.2 + 0.25 * patches, 0, 1)[..., None]
    tone = np.asarray(style.iris, np.float32) * (1 - inner) + np.asarray(style.iris_inner, np.float32) * inner
    ring = r - np.float32(0.35 + 0.6 * style.pupil_ratio) - 0.02 * patches
    collarette = np.exp(-((ring / 0.035) ** 2)) - 0.6 * np.exp(-(((ring - 0.06) / 0.04) ** 2))
    crypts = np.clip(octaves([*key, 7], (size, size), (2, 2), [11, 22], 0.5) + 0.5 * fibres - 1.0, 0, 0.9)
    pitted = np.random.default_rng(key).uniform(0, 0.45)
    shade = 1 + 0.12 * fibres + 0.1 * patches + 0.09 * collarette - pitted * crypts
    return tone * np.clip(shade, 0.3, 1.8)[..., None]
