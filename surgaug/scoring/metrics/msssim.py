"""Multi-scale structural similarity after Wang, Simoncelli and Bovik, Asilomar 2003."""

from __future__ import annotations

import cv2
import numpy as np

from surgaug.scoring.compute.structural_similarity import WINDOW, check_pair, similarity
from surgaug.scoring.metrics import Metric

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
SMALLEST = WINDOW * 2 ** (len(WEIGHTS) - 1)  # at the coarsest scale one window must fit


def compute(image: np.ndarray, reference: np.ndarray) -> float:
    """In [0, 1]; 1 for identical images.

    Args:
        image: uint8 [H, W, 3]; H, W >= 176.
        reference: uint8 [H, W, 3].

    Raises:
        ValueError: shapes that differ, or an image too small for five scales.
    """
    check_pair(image, reference, SMALLEST, "MS-SSIM's five scales need")
    channels = zip(cv2.split(image), cv2.split(reference), strict=True)
    return float(np.mean([_plane(x.astype(np.float64), y.astype(np.float64)) for x, y in channels]))


def _plane(x: np.ndarray, y: np.ndarray) -> float:
    value = 1.0
    for scale, weight in enumerate(WEIGHTS):
        if scale:
            x, y = _halved(x), _halved(y)
        whole, structure = similarity(x, y)
        value *= max(whole if scale == len(WEIGHTS) - 1 else structure, 0.0) ** weight
    return value


def _halved(plane: np.ndarray) -> np.ndarray:
    """2x2 means of [H, W]; an odd last row or column is left out."""
    plane = plane[: plane.shape[0] // 2 * 2, : plane.shape[1] // 2 * 2]
    return (plane[0::2, 0::2] + plane[0::2, 1::2] + plane[1::2, 0::2] + plane[1::2, 1::2]) / 4


METRIC = Metric(
    title="MS-SSIM",
    group="pairs",
    better="higher",
    needs="pair",
    convention="Wang et al. 2003: five scales halved by 2x2 means, weights 0.0448 0.2856 0.3001 0.2363 0.1333, SSIM's "
    "window and constants at each; terms below 0 count as 0; mean over RGB channels; mean over pairs",
    compute=compute,
    aliases={"ms-ssim": ""},
)
