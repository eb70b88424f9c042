"""What tells a picture from others, whatever small changes were made to it: a thumbnail and a perceptual hash.

- 0-767: the picture averaged to 16x16 RGB, less its mean, scaled to length 1: the squared distance of two is
  2 (1 - correlation), and brightness and contrast do not matter;
- 768-831: the 64 bits of a perceptual hash: whether each of 8x8 low frequencies (1 to 8 either way) of the luminance at
  32x32 is above their median (pHash; Zauner 2010).
"""

from __future__ import annotations

import cv2
import numpy as np

DIMENSION = 832
VERSION = 1
THUMBNAIL, HASH = slice(0, 768), slice(768, 832)
_EDGE, _HASH_EDGE, _LOW = 16, 32, 8


def extract(image: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] to float32 [832]; a picture of one colour has a thumbnail of zeros."""
    thumbnail = cv2.resize(image.astype(np.float32), (_EDGE, _EDGE), interpolation=cv2.INTER_AREA)
    thumbnail -= thumbnail.mean()
    length = np.linalg.norm(thumbnail)
    unit = thumbnail.ravel() / (length if length > 1e-3 else np.inf)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    small = cv2.resize(grey, (_HASH_EDGE, _HASH_EDGE), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small)[1 : _LOW + 1, 1 : _LOW + 1].ravel()
    return np.concatenate([unit, low > np.median(low)]).astype(np.float32)
