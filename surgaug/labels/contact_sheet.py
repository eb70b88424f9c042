"""Contact sheets: tiles with captions in columns, a title above, the classes' colours below."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from surgaug.labels.label_space import LabelSpace

BACKGROUND = (250, 250, 250)
_INK = (20, 20, 20)
_MARGIN, _CAPTION, _HEAD = 10, 18, 34
_SWATCH, _LINE = 14, 24


class ContactSheet:
    """A sheet that tiles are added to, and then drawn. The callers choose what a tile shows.

    The legend names the classes of the label maps that come with the tiles.
    """

    def __init__(self, space: LabelSpace, columns: int, width: int, gap: int = 4):
        """width: of the sheet, in pixels. gap: between the panels of a tile, in pixels."""
        self._space, self._columns, self._width, self._gap = space, columns, width, gap
        self._cell = (width - _MARGIN) // columns - _MARGIN
        self._tiles: list[tuple[str, Image.Image]] = []
        self._pixels = np.zeros(256, np.int64)  # by index of the space; 255 for those without label

    def __len__(self) -> int:
        return len(self._tiles)

    def add(self, caption: str, panels: Sequence[np.ndarray], label_maps: Sequence[np.ndarray] = ()) -> None:
        """A tile of `panels` side by side, uint8 [H, W, 3] of one size; `label_maps`: ids [H, W] that it shows.

        They are made larger or smaller to fit a square of their share of the width; pixels made larger stay squares.
        """
        self._tiles.append((caption, _side_by_side(panels, self._cell, self._gap)))
        for label_map in label_maps:
            self._pixels += np.bincount(self._space.to_index(label_map).ravel(), minlength=256)

    def draw(self, title: str, more: Sequence[tuple[str, tuple[int, ...]]] = ()) -> np.ndarray:
        """uint8 [height, width, 3]. At least one tile must be there. more: (name, colour) of what else is shown."""
        tile_height = max(tile.height for _, tile in self._tiles) + _CAPTION + _MARGIN
        rows = -(-len(self._tiles) // self._columns)
        legend = _legend([*self._classes(), *more], self._width - 2 * _MARGIN)
        page = Image.new("RGB", (self._width, _HEAD + rows * tile_height + legend.height + _MARGIN), BACKGROUND)
        draw = ImageDraw.Draw(page)
        draw.text((_MARGIN, 8), title, fill=_INK, font=_font(16))
        for i, (caption, tile) in enumerate(self._tiles):
            x = _MARGIN + (i % self._columns) * (self._cell + _MARGIN)
            y = _HEAD + (i // self._columns) * tile_height
            page.paste(tile, (x, y))
            below = (x, y + tile.height + 2)
            draw.text(below, _shortened(caption, self._cell, _font(12)), fill=_INK, font=_font(12))
        page.paste(legend, (_MARGIN, _HEAD + rows * tile_height))
        return np.asarray(page)

    def _classes(self) -> list[tuple[str, tuple[int, ...]]]:
        """(name, colour) of every class that is shown, by id; pixels without label last."""
        space, counts = self._space, self._pixels
        order = [i for i in np.argsort(space.ids) if counts[i]]
        entries = [(f"{space.ids[i]}  {space.names[i]}", tuple(int(c) for c in space.palette[i])) for i in order]
        return entries + ([("no label", (0, 0, 0))] if counts[space.num_classes :].any() else [])


def _side_by_side(panels: Sequence[np.ndarray], width: int, gap: int) -> Image.Image:
    box = (width - (len(panels) - 1) * gap) // len(panels)
    height, source = panels[0].shape[:2]
    fit = box / max(height, source)
    size = max(1, round(source * fit)), max(1, round(height * fit))
    whole = max(1, math.ceil(fit))  # enlarged by whole pixels first, so that none gets wider than another
    tile = Image.new("RGB", (len(panels) * (size[0] + gap) - gap, size[1]), BACKGROUND)
    for i, panel in enumerate(panels):
        enlarged = Image.fromarray(panel.repeat(whole, 0).repeat(whole, 1))
        tile.paste(enlarged.resize(size, Image.Resampling.BOX), (i * (size[0] + gap), 0))
    return tile


def _legend(entries: Sequence[tuple[str, tuple[int, ...]]], width: int) -> Image.Image:
    font = _font(14)
    places, x, y = [], 0, 0
    for name, _ in entries:
        needed = 3 * _SWATCH + int(font.getlength(name))
        if x and x + needed > width:
            x, y = 0, y + _LINE
        places.append((x, y))
        x += needed
    legend = Image.new("RGB", (width, y + _LINE), BACKGROUND)
    draw = ImageDraw.Draw(legend)
    for (name, color), (x, y) in zip(entries, places, strict=True):
        draw.rectangle((x, y + 3, x + _SWATCH, y + 3 + _SWATCH), fill=color, outline=_INK)
        draw.text((x + _SWATCH + 6, y + 1), name, fill=_INK, font=font)
    return legend


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _shortened(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """`text`, its beginning left out where it is wider than `width` pixels: names differ at their ends."""
    while font.getlength(text) > width and len(text) > 4:
        text = "…" + text[2:]
    return text
