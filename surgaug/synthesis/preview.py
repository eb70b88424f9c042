"""A contact sheet: each sample's label map in the classes' colours beside its image, and a legend."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from surgaug.labels.contact_sheet import BACKGROUND, cell_width, sheet
from surgaug.labels.label_space import LabelSpace

PAIRS = 24
_GAP = 4


def pick(n: int, count: int = PAIRS) -> list[int]:
    """At most `count` of n sample indices, evenly spread from the first to the last."""
    return sorted({int(i) for i in np.linspace(0, n - 1, min(n, count)).round()})


def contact_sheet(
    pairs: Sequence[tuple[str, np.ndarray, np.ndarray]], space: LabelSpace, title: str, width: int = 1600
) -> np.ndarray:
    """(name, image uint8 [H, W, 3], label map of ids [H, W]) of each pair to one picture, uint8 [height, width, 3].

    Pairs of small images are enlarged by whole pixels, large ones made smaller, so that about three pairs fill a row.
    """
    columns = min(3, len(pairs))
    cell = cell_width(width, columns)  # of a pair: label map and image side by side
    tiles = [(name, _pair(image, space.colorize(label), cell)) for name, image, label in pairs]
    return sheet(tiles, [label for _, _, label in pairs], space, title, width, columns)


def _pair(image: np.ndarray, colors: np.ndarray, width: int) -> Image.Image:
    """Label map and image side by side, each within a square of half the width."""
    box = (width - _GAP) // 2
    height, source = image.shape[:2]
    fit = box / max(height, source)
    factor = int(fit) or fit
    size = max(1, round(source * factor)), max(1, round(height * factor))
    tile = Image.new("RGB", (2 * size[0] + _GAP, size[1]), BACKGROUND)
    smooth = Image.Resampling.NEAREST if factor >= 1 else Image.Resampling.LANCZOS
    tile.paste(Image.fromarray(colors).resize(size, Image.Resampling.NEAREST), (0, 0))
    tile.paste(Image.fromarray(image).resize(size, smooth), (size[0] + _GAP, 0))
    return tile
