"""A large image in tiles that equal the whole: each with a rim as wide as the network sees, which is thrown away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from surgaug.models.unet import UNetConfig
from surgaug.models.upsampler import Window


@dataclass(frozen=True)
class Tile:
    """What the network is given, `window`, and what is kept of that, `kept`; both are windows of the frame."""

    window: Window
    kept: Window

    @property
    def inside(self) -> tuple[slice, slice]:
        """Rows and columns of `kept` within `window`."""
        top, left = self.kept.top - self.window.top, self.kept.left - self.window.left
        return slice(top, top + self.kept.size[0]), slice(left, left + self.kept.size[1])


def part(window: Window) -> tuple[slice, slice]:
    """Rows and columns of a window within its frame."""
    (top, left), (height, width) = (window.top, window.left), window.size
    return slice(top, top + height), slice(left, left + width)


def reach(config: UNetConfig) -> int:
    """How many pixels away an upsampler may see anything, either side; a multiple of `config.multiple`.

    Its 3x3 convolutions each see one cell further, of patch * 2^level pixels: two a block, one at the entry and the
    exit, one for the label features; and pooling and enlarging see within a cell of the next level.
    """
    cells = 2 * config.patch  # entry and exit
    for level, blocks in enumerate(zip(config.encoder_blocks, config.decoder_blocks, strict=True)):
        last = level == len(config.channels) - 1
        convolutions = 2 * sum(blocks) + (4 if last else 0) + 1
        cells += (convolutions + 1) * config.patch * 2**level
    return -(-cells // config.multiple) * config.multiple


def tiles(frame: tuple[int, int], config: UNetConfig, side: int) -> Iterator[Tile]:
    """Tiles whose kept parts cover `frame` = (H, W) once, each at most side x side pixels.

    All begin at multiples of `config.multiple`, so that the network's coarse cells lie as in the whole.
    """
    rim = reach(config)
    side = max(1, side // config.multiple) * config.multiple
    for top in range(0, frame[0], side):
        for left in range(0, frame[1], side):
            kept = Window(frame, top, left, (min(side, frame[0] - top), min(side, frame[1] - left)))
            first = (max(0, top - rim), max(0, left - rim))
            end = (min(frame[0], top + kept.size[0] + rim), min(frame[1], left + kept.size[1] + rim))
            yield Tile(Window(frame, *first, (end[0] - first[0], end[1] - first[1])), kept)
