"""Where the numbers of the colour and texture description stand (see `features/colour_texture.py`), and what they mean.

The extractor writes by this table, and measures that name single numbers read by it.
"""

from __future__ import annotations

import numpy as np

GROUPS = {"moments": slice(0, 9), "histogram": slice(9, 73), "patterns": slice(73, 103), "haar": slice(103, 130)}
SCALE = 4  # of all numbers
LAB_SCALE = np.array([1 / 255, 1 / 100, 1 / 100])  # 8-bit L, a, b to the stored moments
HAAR_BASE = 256  # stored: log(1 + rms grey levels) to this base
PLANES = ORIENTATIONS = 3  # luminance, red-green, yellow-blue


def mean_lab(features: np.ndarray) -> np.ndarray:
    """Mean L* (0 to 100), a* and b* of each image; features [n, 130] to float64 [n, 3]."""
    return features[:, GROUPS["moments"]][:, :3].astype(np.float64) * (100 / SCALE)


def finest_details(features: np.ndarray) -> np.ndarray:
    """Rms grey levels of each image's finest luminance Haar details, by orientation; [n, 130] to float64 [n, 3]."""
    finest = features[:, GROUPS["haar"]][:, : ORIENTATIONS * PLANES : PLANES].astype(np.float64)
    return HAAR_BASE ** (finest / SCALE) - 1
