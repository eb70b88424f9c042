"""Local binary patterns (Ojala, Pietikäinen and Mäenpää 2002): 8 neighbours, rotation-invariant, uniform."""

from __future__ import annotations

import numpy as np

BINS = 10


def _pattern_bins() -> np.ndarray:
    """uint8 [256]: pattern to the number of its ones where at most two neighbours differ around the circle, else 9."""
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    changes = (bits != np.roll(bits, 1, axis=1)).sum(1)
    return np.where(changes <= 2, bits.sum(1), 9).astype(np.uint8)


_BIN_OF_PATTERN = _pattern_bins()
_CIRCLE = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))


def pattern_bins(grey: np.ndarray) -> np.ndarray:
    """The bin (0 to 9) of each pixel that has all neighbours: uint8 [H, W] to uint8 [H - 2, W - 2]."""
    height, width = grey.shape[0] - 2, grey.shape[1] - 2
    centre = grey[1:-1, 1:-1]
    code = np.zeros((height, width), np.uint8)
    for bit, (y, x) in enumerate(_CIRCLE):
        code |= (grey[y : y + height, x : x + width] >= centre).view(np.uint8) << bit
    return _BIN_OF_PATTERN[code]
