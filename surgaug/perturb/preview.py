"""A contact sheet: each mask, the map made from it, and where they differ, in the classes' colours with a legend."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from surgaug.labels.contact_sheet import BACKGROUND, cell_width, sheet
from surgaug.labels.label_space import LabelSpace

TRIPLES = 12
_GAP = 3
_CHANGED = (255, 0, 200)


def contact_sheet(
    triples: Sequence[tuple[str, np.ndarray, np.ndarray]], space: LabelSpace, title: str, width: int = 1800
) -> np.ndarray:
    """(caption, mask of ids [H, W], new map of ids [H, W]) of each sample to one picture, uint8 [height, width, 3]."""
    columns = min(2, len(triples))
    cell = cell_width(width, columns)
    tiles = [(caption, _triple(before, after, space, cell)) for caption, before, after in triples]
    shown = [m for _, before, after in triples for m in (before, after)]
    return sheet(tiles, shown, space, f"{title}   each: before, after, difference", width, columns)


def difference(before: np.ndarray, after: np.ndarray, space: LabelSpace) -> np.ndarray:
    """uint8 [H, W, 3]: the new map [H, W] in pale colours, and strongly coloured where it differs from `before`."""
    pale = 190 + space.colorize(after) // 4
    pale[before != after] = _CHANGED
    return pale


def _triple(before: np.ndarray, after: np.ndarray, space: LabelSpace, width: int) -> Image.Image:
    w = (width - 2 * _GAP) // 3
    h, source = before.shape
    size = (source * (w // source), h * (w // source)) if source <= w else (w, max(1, round(h * w / source)))
    tile = Image.new("RGB", (3 * size[0] + 2 * _GAP, size[1]), BACKGROUND)
    for i, colors in enumerate((space.colorize(before), space.colorize(after), difference(before, after, space))):
        shown = Image.fromarray(colors).resize(size, Image.Resampling.BOX if source > w else Image.Resampling.NEAREST)
        tile.paste(shown, (i * (size[0] + _GAP), 0))
    return tile
