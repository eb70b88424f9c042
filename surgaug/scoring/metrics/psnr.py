"""Peak signal-to-noise ratio of an image against its reference."""

from __future__ import annotations

import math

import cv2
import numpy as np

from surgaug.scoring.metrics import Metric


def compute(image: np.ndarray, reference: np.ndarray) -> float:
    """PSNR in dB; `math.inf` for identical images.

    Args:
        image: uint8 [H, W, 3].
        reference: uint8 [H, W, 3].

    Raises:
        ValueError: shapes that differ.
    """
    if image.shape != reference.shape:
        raise ValueError(f"shapes differ: {image.shape} and {reference.shape}")
    mse = cv2.norm(image, reference, cv2.NORM_L2SQR) / image.size
    return math.inf if mse == 0 else 10 * math.log10(255**2 / mse)


METRIC = Metric(
    title="PSNR",
    group="pairs",
    better="higher",
    unit="dB",
    needs="pair",
    convention="10 log10(255^2 / MSE) over all pixels and RGB channels; mean over pairs of dB; identical pairs "
    "(infinite) are counted apart",
    compute=compute,
    default=True,
)
