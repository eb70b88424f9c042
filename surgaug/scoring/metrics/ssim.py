"""Structural similarity after Wang, Bovik, Sheikh and Simoncelli, IEEE TIP 13(4), 2004."""

from __future__ import annotations

import cv2
import numpy as np

from surgaug.scoring.compute.structural_similarity import WINDOW, check_pair, similarity
from surgaug.scoring.metrics import Metric


def compute(image: np.ndarray, reference: np.ndarray) -> float:
    """Mean SSIM, in [-1, 1]; 1 for identical images.

    Args:
        image: uint8 [H, W, 3]; H, W >= 11.
        reference: uint8 [H, W, 3].

    Raises:
        ValueError: shapes that differ, or an image smaller than the window.
    """
    check_pair(image, reference, WINDOW, "SSIM's window is")
    channels = zip(cv2.split(image), cv2.split(reference), strict=True)
    return float(np.mean([similarity(x, y)[0] for x, y in channels]))


METRIC = Metric(
    title="SSIM",
    group="pairs",
    better="higher",
    needs="pair",
    convention="Wang et al. 2004: 11x11 Gaussian window, sigma 1.5, K1 0.01, K2 0.03, L 255, population covariance; "
    "mean over RGB channels and over windows that lie inside the image (as scikit-image); mean over pairs",
    compute=compute,
    default=True,
)
