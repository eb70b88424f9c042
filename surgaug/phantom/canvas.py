"""The picture in the making: pixels and scene units, shares of pixels in an outline, colour and label laid on."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from surgaug.phantom.scene import ASPECT, SKIN

Window = tuple[slice, slice]


class Frame:
    """The picture in the making: image float32 [H, W, 3] 0..1, label_map uint8 [H, W], `scale` pixels a frame height.

    A frame that is not 16:9 shows the middle of the scene, filled to its borders.
    """

    def __init__(self, hw: tuple[int, int]) -> None:
        self.hw = hw
        self.scale = max(hw[0], hw[1] / ASPECT)
        self.origin = np.array([(ASPECT * self.scale - hw[1]) / 2, (self.scale - hw[0]) / 2])
        self.x, self.y = grid(hw)
        self.image = np.empty((*hw, 3), np.float32)
        self.label_map = np.full(hw, SKIN, np.uint8)

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Scene points [..., 2] to pixel coordinates, in which pixel centres are whole numbers."""
        return points * self.scale - self.origin - 0.5


@lru_cache(maxsize=8)
def grid(hw: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Scene coordinates float32 [H, W] of the pixel centres: x and y."""
    scale = max(hw[0], hw[1] / ASPECT)
    x = (np.arange(hw[1], dtype=np.float32) + 0.5 + (ASPECT * scale - hw[1]) / 2) / scale
    y = (np.arange(hw[0], dtype=np.float32) + 0.5 + (scale - hw[0]) / 2) / scale
    return np.broadcast_to(x, hw), np.broadcast_to(y[:, None], hw)


def coverage(frame: Frame, points: np.ndarray) -> tuple[Window, np.ndarray] | None:
    """Share uint8 (0..255) of each pixel in the closed outline [n, 2] of scene points, for the window it needs.

    None when the outline lies outside of the frame. Even-odd where it crosses itself.
    """
    p = frame.pixels(points)
    (left, top), (right, bottom) = p.min(axis=0).tolist(), p.max(axis=0).tolist()
    left, top = max(int(left) - 1, 0), max(int(top) - 1, 0)
    right, bottom = min(int(right) + 3, frame.hw[1]), min(int(bottom) + 3, frame.hw[0])
    if right <= left or bottom <= top:
        return None
    w, h = right - left, bottom - top
    fine = 4 if frame.scale <= 300 else 2
    mask = np.zeros((h * fine, w * fine), np.uint8)
    corners = (p - (left, top)) * (fine * 16) + (fine - 1) * 8
    cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], 255, cv2.LINE_8, 4)
    return (slice(top, bottom), slice(left, right)), cv2.resize(mask, (w, h), interpolation=cv2.INTER_AREA)


def lay(frame: Frame, window: Window, alpha: np.ndarray, class_id: int, colour: np.ndarray) -> None:
    """Blend `colour` [h, w, 3] into the window by alpha uint8 [h, w], and label."""
    view = frame.image[window]
    view += (colour - view) * (alpha.astype(np.float32) * np.float32(1 / 255))[..., None]
    frame.label_map[window][alpha >= 128] = class_id


def tint(image: np.ndarray, colour: np.ndarray, share: np.ndarray) -> None:
    """Move an image float32 [h, w, 3], in place, towards one colour [3] by shares float32 [h, w].

    Channel by channel: numpy is slow where the innermost axis is as short as three.
    """
    for channel, value in enumerate(colour):
        part = image[..., channel]
        part += (value - part) * share


def blurred(alpha: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of a float32 map by `sigma` pixels, computed on a coarser grid where sigma allows."""
    step = int(sigma / 2.5)
    if step < 2:
        return cv2.GaussianBlur(alpha, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    h, w = alpha.shape
    small = cv2.resize(alpha, (max(1, w // step), max(1, h // step)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / step, borderType=cv2.BORDER_REPLICATE)
    return cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR)
