"""Lines about as fine as a pixel or finer: vessels and hairs, whose share of each pixel is right at every size."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

GREYS = 16
"""Levels of strength that are told apart, so that most pieces are drawn in one call with others."""

FINE = 2
"""Lines are drawn on pixels that many times finer, then averaged."""

THINNEST, NEXT = 1.32, 2.06
"""How wide OpenCV's antialiased line of thickness 1 comes out, in pixels, and how much wider each of 2, 4, 6, ..."""


def fine_lines(
    hw: tuple[int, int], lines: np.ndarray, widths: np.ndarray, strengths: np.ndarray, pieces: int = 4
) -> np.ndarray:
    """float32 [H, W] 0..1: how much of each pixel the lines cover, by their strength; the stronger lies on top.

    lines [n, k, 2] and widths [n, k] are in pixels, strengths [n] 0..1. A line is drawn in `pieces` of one width each;
    a piece of no width is left out. What is thinner than the finest line that can be drawn is fainter instead.
    """
    if widths.max() * FINE <= THINNEST:  # all are drawn as thin as can be: two pieces show that they taper
        pieces = min(pieces, 2)
    layer = np.zeros((hw[0] * FINE, hw[1] * FINE), np.uint8)
    points = np.round(((lines + 0.5) * FINE - 0.5) * 16).astype(np.int32)
    ends = np.linspace(0, lines.shape[1] - 1, pieces + 1).astype(int)
    groups: dict[tuple[int, int], list[np.ndarray]] = {}
    for a, b in pairwise(ends.tolist()):
        width = widths[:, a : b + 1].mean(axis=1) * FINE
        step = np.maximum(0, np.round((width - THINNEST) / NEXT)).astype(int)
        grey = np.ceil(GREYS * strengths * np.minimum(1, width / (THINNEST + NEXT * step))).astype(int)
        look = np.where(grey > 0, grey * 1000 + np.maximum(1, 2 * step), 0)
        for value in np.unique(look[look > 0]).tolist():
            groups.setdefault(divmod(value, 1000), []).extend(points[look == value, a : b + 1])
    for (grey_level, thickness), members in sorted(groups.items(), key=lambda item: item[0]):
        cv2.polylines(layer, members, False, round(grey_level * 255 / GREYS), thickness, cv2.LINE_AA, 4)
    layer = np.asarray(cv2.resize(layer, (hw[1], hw[0]), interpolation=cv2.INTER_AREA), np.uint8)
    return layer.astype(np.float32) * np.float32(1 / 255)
