"""Training windows of frames, for the second stage: where they lie, and the small pictures that they are made from.

Half of the windows lie anywhere. The others lie about a pixel of a class of the frame, every class alike, so that thin
and rare ones are in as many windows as large ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from surgaug.datasets.dataset import PairedFrames
from surgaug.io.array_file import Record
from surgaug.labels.resize import resize_image, resize_label_map
from surgaug.models.style import style_code
from surgaug.models.tiles import part
from surgaug.models.unet import Conditioning
from surgaug.models.upsampler import Upsampler, Window, enlarge
from surgaug.runtime.device import autocast, to_device, to_tensor
from surgaug.runtime.feedback import Feedback
from surgaug.runtime.spread import spread
from surgaug.training.frames import Frames, Keeping

ABOUT_A_CLASS = 0.5  # share of the windows that are chosen by a class
LOOKED_AT = 64
LEAST_DETAIL = 1 / 255  # half a grey level
# Noise is measured on squares of so many pixels a side, in the smoothest share of them.
SQUARE, SMOOTHEST = 8, 0.05
FINEST_OCTAVE = 0.75  # share of white noise that is not in the means of 2x2 pixels
SPOTS = 8  # pixels of each class and frame that such a window may lie about


@dataclass(frozen=True)
class FrameWindow:
    """Where a training window lies, what small picture it is made from, and the frame's style.

    small: uint8 [h, w, 3], of the whole frame. style: float32 [7], of the whole frame at full size.
    """

    window: Window
    small: np.ndarray
    style: np.ndarray


class WindowedFrames(Frames):
    """As `Frames`, but kept at exactly the training size; `draw` gives windows of them.

    base: (h, w) of the small pictures. own_pictures: by the number of a frame, what the first stage makes of it
    (`training/own_pictures.py`); `own` is the share of windows that are made from them, where there is one.
    """

    def __init__(
        self,
        paired: PairedFrames,
        size: tuple[int, int],
        base: tuple[int, int],
        window: tuple[int, int],
        keeping: Keeping,
        feedback: Feedback,
        task: str,
    ):
        self.base, self.window = base, (min(window[0], size[0]), min(window[1], size[1]))
        self.own_pictures: dict[int, np.ndarray] = {}
        self.own = 0.0
        # Windows are never zoomed.
        super().__init__(paired, size, replace(keeping, zoom=0.0), feedback, task)

    def _about(self) -> dict[str, Any]:
        return {**super()._about(), "base": self.base, "spots": SPOTS}

    def _record(self, i: int) -> Record:
        """As `Frames._record`; then the small picture uint8 [h, w, 3], the style float32 [7], and the frame's
        `spots`."""
        image, index_map, *_ = super()._record(i)
        image, index_map = self._cut(image, index_map, 1.0, 0.5, 0.5)
        style = style_code(to_tensor(image[None], "cpu"))[0].numpy()
        return image, index_map, resize_image(image, self.base), style, spots(index_map, np.random.default_rng([6, i]))

    def about(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Of frame `i`: its small picture uint8 [h, w, 3] and its style [7]."""
        _, _, small, style, _ = self._read(i)
        return small, style

    def whole(self, i: int) -> FrameWindow:
        """The whole of frame `i` as one window."""
        small, style = self.about(i)
        return FrameWindow(Window.whole(self.size), small, style)

    def detail(self) -> float:
        """The standard deviation of what enlarged small pictures lack, for images in [-1, 1]: details, and the first
        stage's faults in the share of windows that are made from its own pictures. Measured on at most `LOOKED_AT`
        frames, evenly spaced."""
        squares, shares = [], torch.tensor([1 - self.own, self.own])
        for i in spread(len(self), LOOKED_AT):
            small, _ = self.about(i)
            both = to_tensor(np.stack([small, self.own_pictures.get(i, small)]), "cpu")
            lacking = to_tensor(self.view(i)[0][None], "cpu") - enlarge(both, [Window.whole(self.size)] * 2)
            squares.append(float(shares @ lacking.square().mean((1, 2, 3))))
        return max(float(np.sqrt(np.mean(squares))), LEAST_DETAIL)

    def noise_floor(self) -> float:
        """The standard deviation of the noise in the smoothest places of the frames, of images in [-1, 1]: the median
        of at most `LOOKED_AT` frames, evenly spaced."""
        return float(np.median([noise_floor(self.view(i)[0]) for i in spread(len(self), LOOKED_AT)]))

    def small_map(self, i: int, detail: int = 1) -> np.ndarray:
        """The index map of frame `i`, `detail` times as fine as its small picture, uint8 [detail h, detail w]."""
        height, width = self.base
        return resize_label_map(self.view(i)[1], (detail * height, detail * width), self.indices)

    def draw(
        self, i: int, rng: np.random.Generator, flip: str, zoom: float
    ) -> tuple[np.ndarray, np.ndarray, FrameWindow]:
        """A window of frame `i` with random flips: image [h, w, 3], index map [h, w], and what it is of."""
        image, index_map, small, style, found = self._read(i)
        if rng.random() < self.own and i in self.own_pictures:
            small = self.own_pictures[i]
        window = self.place(found, rng)
        inside = part(window)
        image, index_map, top, left = image[inside], index_map[inside], window.top, window.left
        if "h" in flip and rng.random() < 0.5:
            image, index_map, small = cv2.flip(image, 1), self.mirrored(index_map, 1), cv2.flip(small, 1)
            left = self.size[1] - left - window.size[1]
        if "v" in flip and rng.random() < 0.5:
            image, index_map, small = cv2.flip(image, 0), self.mirrored(index_map, 0), cv2.flip(small, 0)
            top = self.size[0] - top - window.size[0]
        return image, index_map, FrameWindow(Window(self.size, top, left, window.size), small, style)

    def place(self, found: np.ndarray, rng: np.random.Generator) -> Window:
        """Where a window lies, of a frame with the `spots` found."""
        at = [rng.random(), rng.random()]
        corner = [round(a * (n - w)) for a, n, w in zip(at, self.size, self.window, strict=True)]
        if len(found) and rng.random() < ABOUT_A_CLASS:
            pixels = found[found[:, 0] == rng.integers(found[-1, 0] + 1), 1:]
            spot = pixels[rng.integers(len(pixels))]
            # The spot lies anywhere in the middle half of the window, as far as the frame allows.
            corner = [
                int(np.clip(s - w * (0.25 + 0.5 * a), 0, n - w))
                for s, a, n, w in zip(spot, at, self.size, self.window, strict=True)
            ]
        return Window(self.size, corner[0], corner[1], self.window)


def noise_floor(image: np.ndarray) -> float:
    """The standard deviation of the noise in the smoothest places of an image uint8 [H, W, 3], where 1 is half the
    range from black to white. Places that are nearly black or white are left out, since noise is cut off there; 0 where
    all are."""
    x = even(to_tensor(image[None], "cpu"))
    power, brightness = (F.avg_pool2d(t, SQUARE, ceil_mode=True).mean(1) for t in (finest_octave(x).square(), x))
    power = power[brightness.abs() < 0.9]
    return float((power.quantile(SMOOTHEST) / FINEST_OCTAVE).sqrt()) if len(power) else 0.0


def even(x: Tensor) -> Tensor:
    """Images [B, C, H, W] without the last row or column where that is one too many to be halved."""
    return x[:, :, : x.shape[2] // 2 * 2, : x.shape[3] // 2 * 2]


def finest_octave(x: Tensor) -> Tensor:
    """What images [B, C, H, W] of even height and width lack in the means of 2x2 pixels."""
    return x - F.interpolate(F.avg_pool2d(x, 2), scale_factor=2.0, mode="nearest")


def spots(index_map: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """At most `SPOTS` pixels of each class of an index map uint8 [H, W]: int32 [n, 3], the class's number among those
    of the map, from 0 on, row and column."""
    found = [np.empty((0, 3), np.int32)]
    for number, index in enumerate(np.flatnonzero(np.bincount(index_map.ravel(), minlength=256)[:255])):
        places = np.flatnonzero(index_map == index)
        chosen = rng.choice(places, min(SPOTS, len(places)), replace=False)
        rows, columns = np.divmod(chosen, index_map.shape[1])
        found.append(np.stack([np.full_like(rows, number), rows, columns], axis=1).astype(np.int32))
    return np.concatenate(found)


def condition_of(
    net: Upsampler,
    index_maps: np.ndarray,
    windows: Sequence[FrameWindow],
    picture_noise: float,
    generator: torch.Generator,
    dtype: torch.dtype | None,
    sharper: float = 0.0,
) -> Conditioning:
    """What index maps uint8 [b, h, w], small pictures and styles of windows contribute, on the network's device.

    picture_noise: the standard deviation of the noise on the small pictures. sharper: is added to the styles' last
    number.
    """
    device = net.detail.device
    noise = to_device(torch.randn((len(windows), 3, *windows[0].small.shape[:2]), generator=generator), device)
    level = noise.new_full((len(windows),), picture_noise)
    codes = to_device(np.stack([window.style for window in windows]), device)
    codes[:, -1] += sharper
    with autocast(device, dtype):
        return net.condition(to_device(index_maps, device), codes, *picture_condition(net, windows, level, noise))


def picture_condition(
    net: Upsampler, windows: Sequence[FrameWindow], level: Tensor, noise: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """What `Upsampler.with_picture` takes: enlarged pictures, their noise levels, places.

    level: [b], of the unit Gaussian `noise` [b, 3, h, w] that is added to the small pictures.
    """
    small = to_tensor(np.stack([window.small for window in windows]), level.device)
    places = [window.window for window in windows]
    picture = enlarge(small + level[:, None, None, None] * noise, places)
    return picture, level, to_device(net.places(places), level.device)
