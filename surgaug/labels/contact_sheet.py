"""Contact sheets: tiles with captions in columns, a title above, the classes' colours below."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from surgaug.labels.label_space import LabelSpace

BACKGROUND = (250, 250, 250)
_INK = (20, 20, 20)
_MARGIN, _CAPTION, _HEAD = 10, 18, 34
_SWATCH, _LINE = 14, 24


def cell_width(width: int, columns: int) -> int:
    """Of a tile, in pixels, on a sheet of that width."""
    return (width - _MARGIN) // columns - _MARGIN


def sheet(
    tiles: Sequence[tuple[str, Image.Image]],
    label_maps: Iterable[np.ndarray],
    space: LabelSpace,
    title: str,
    width: int,
    columns: int,
) -> np.ndarray:
    """(caption, picture) of each tile to one picture, uint8 [height, width, 3]; the legend names what is in
    `label_maps`, ids [H, W]."""
    cell = cell_width(width, columns)
    tile_height = max(tile.height for _, tile in tiles) + _CAPTION + _MARGIN
    rows = -(-len(tiles) // columns)
    legend = _legend(_present(label_maps, space), width - 2 * _MARGIN)
    page = Image.new("RGB", (width, _HEAD + rows * tile_height + legend.height + _MARGIN), BACKGROUND)
    draw = ImageDraw.Draw(page)
    draw.text((_MARGIN, 8), title, fill=_INK, font=_font(16))
    for i, (caption, tile) in enumerate(tiles):
        x, y = _MARGIN + (i % columns) * (cell + _MARGIN), _HEAD + (i // columns) * tile_height
        page.paste(tile, (x, y))
        draw.text((x, y + tile.height + 2), _shortened(caption, cell, _font(12)), fill=_INK, font=_font(12))
    page.paste(legend, (_MARGIN, _HEAD + rows * tile_height))
    return np.asarray(page)


def _present(label_maps: Iterable[np.ndarray], space: LabelSpace) -> list[tuple[str, tuple[int, ...]]]:
    """(name, colour) of every class in the maps, the most frequent first; pixels without label last."""
    counts = np.zeros(256, np.int64)
    for label_map in label_maps:
        counts += np.bincount(space.to_index(label_map).ravel(), minlength=256)
    order = [i for i in np.argsort(-counts[: space.num_classes], kind="stable") if counts[i]]
    entries = [(f"{space.ids[i]}  {space.names[i]}", tuple(int(c) for c in space.palette[i])) for i in order]
    return entries + ([("no label", (0, 0, 0))] if counts[space.num_classes :].any() else [])


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
