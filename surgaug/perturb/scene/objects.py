"""An object in a label map that can be moved, as a whole: a tip with its handle, both arms of a forceps.

Positions are (y, x) in pixels of the frame, directions unit vectors (dy, dx). Boxes are (y0, x0, y1, x1), end excluded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np

MIN_PIXELS = 12  # fewer are a slip of the annotator's hand


@dataclass(frozen=True)
class Entry:
    """Where an object comes into the frame, round a corner of it too: a run of border pixels.

    point: their middle. length: their number. direction: the object's, outward. normal: that of the frame's side,
    outward; of the side that the direction leaves best where there are two. pixels: int [length, 2].
    """

    point: tuple[float, float]
    length: int
    direction: tuple[float, float]
    normal: tuple[float, float]
    pixels: np.ndarray = field(compare=False, repr=False)


@dataclass(frozen=True)
class SceneObject:
    """One object. `ids`: [h, w] class ids inside `box`; `mask`: bool [h, w], true where the object is.

    kind: "instrument" goes on beyond the frame where it is cut; "blob" is closed there (a polyp, say). frame: (H, W).
    """

    frame: tuple[int, int]
    box: tuple[int, int, int, int]
    ids: np.ndarray
    mask: np.ndarray
    kind: str
    entries: tuple[Entry, ...]

    @cached_property
    def class_ids(self) -> tuple[int, ...]:
        return tuple(int(i) for i in np.unique(self.ids[self.mask]))

    @property
    def at_border(self) -> int:
        """How many of its pixels lie on the frame's border."""
        return sum(entry.length for entry in self.entries)

    @cached_property
    def area(self) -> int:
        return int(np.count_nonzero(self.mask))

    @cached_property
    def _points(self) -> np.ndarray:
        return np.argwhere(self.mask) + np.array(self.box[:2])

    @cached_property
    def _outline(self) -> np.ndarray:
        contours, _ = cv2.findContours(self.mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        return np.concatenate(contours)[:, 0, ::-1] + np.array(self.box[:2])

    @cached_property
    def centre(self) -> tuple[float, float]:
        sums = cv2.moments(self.mask.view(np.uint8), binaryImage=True)
        return self.box[0] + sums["m01"] / sums["m00"], self.box[1] + sums["m10"] / sums["m00"]

    @property
    def entry(self) -> Entry | None:
        """The widest entry, None for an object that lies free in the frame."""
        return max(self.entries, key=lambda e: e.length, default=None)

    @cached_property
    def tip(self) -> tuple[float, float]:
        """The pixel farthest from the entry; for a free object the end of its long axis that is nearer to (0, 0)."""
        start = self.entry.point if self.entry else (1e6, 1e6)
        far = self._outline[np.argmax(((self._outline - start) ** 2).sum(1))]
        return float(far[0]), float(far[1])

    @cached_property
    def axis(self) -> tuple[float, float]:
        """The direction from the entry to the tip; for a free object its long axis."""
        if self.entry:
            dy, dx = self.tip[0] - self.entry.point[0], self.tip[1] - self.entry.point[1]
            norm = float(np.hypot(dy, dx))
            return (dy / norm, dx / norm) if norm > 0 else (-self.entry.direction[0], -self.entry.direction[1])
        dy, dx = long_axis(self._points)[0]
        return float(dy), float(dx)

    @cached_property
    def length(self) -> float:
        """From the entry to the tip, or along the long axis."""
        along = self._outline @ np.array(self.axis)
        return float(along.max() - along.min() + 1)

    @cached_property
    def stray(self) -> int:
        """Pixels of its parts that do not reach the frame's border."""
        return sum(int(np.count_nonzero(part)) for part in stray_parts(self.mask, self.box, self.frame))

    @property
    def width(self) -> float:
        """Mean extent across the axis."""
        return self.area / self.length


def stray_parts(mask: np.ndarray, box: tuple[int, int, int, int], frame: tuple[int, int]) -> list[np.ndarray]:
    """bool [h, w] of every connected part of a mask in `box` that does not reach the border of the frame (H, W)."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    stray = []
    for part in range(1, count):
        x, y, w, h, _ = stats[part]
        if min(box[0] + y, box[1] + x) > 0 and box[0] + y + h < frame[0] and box[1] + x + w < frame[1]:
            stray.append(parts == part)
    return stray


def long_axis(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Unit vector (dy, dx) along float [N, 2] points, upward or leftward, and how much longer than wide they lie."""
    centred = points - points.mean(0)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    axis = vectors[:, -1]
    ratio = float(np.sqrt(max(values[1], 0.0) / max(values[0], 1e-9)))
    return (axis if tuple(axis) < (0, 0) else -axis), ratio
