"""A contact sheet: each mask, the map made from it, and where they differ, in the classes' colours with a legend."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from surgaug.data.label_space import LabelSpace

TRIPLES = 12
_MARGIN, _CAPTION, _GAP = 10, 18, 3
_BACKGROUND, _INK, _CHANGED = (250, 250, 250), (20, 20, 20), (255, 0, 200)


def contact_sheet(
    triples: Sequence[tuple[str, np.ndarray, np.ndarray]], space: LabelSpace, title: str, width: int = 1800
) -> np.ndarray:
    """(caption, mask of ids [H, W], new map of ids [H, W]) of each sample to one picture, uint8 [height, width, 3]."""
    columns = min(2, len(triples))
    cell = (width - _MARGIN) // columns - _MARGIN
    tiles = [(caption, _triple(before, after, space, cell)) for caption, before, after in triples]
    tile_height = max(tile.height for _, tile in tiles) + _CAPTION + _MARGIN
    rows = -(-len(tiles) // columns)
    legend = _legend(_present([m for _, a, b in triples for m in (a, b)], space), width - 2 * _MARGIN)
    head = 34
    sheet = Image.new("RGB", (width, head + rows * tile_height + legend.height + _MARGIN), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, 8), f"{title}   each: before, after, difference", fill=_INK, font=_font(16))
    for i, (caption, tile) in enumerate(tiles):
        x, y = _MARGIN + (i % columns) * (cell + _MARGIN), head + (i // columns) * tile_height
        sheet.paste(tile, (x, y))
        draw.text((x, y + tile.height + 2), _shortened(caption, cell), fill=_INK, font=_font(12))
    sheet.paste(legend, (_MARGIN, head + rows * tile_height))
    return np.asarray(sheet)


def difference(before: np.ndarray, after: np.ndarray, space: LabelSpace) -> np.ndarray:
    """uint8 [H, W, 3]: the new map [H, W] in pale colours, and strongly coloured where it differs from `before`."""
    pale = 190 + space.colorize(after) // 4
    pale[before != after] = _CHANGED
    return pale


def _triple(before: np.ndarray, after: np.ndarray, space: LabelSpace, width: int) -> Image.Image:
    w = (width - 2 * _GAP) // 3
    h, source = before.shape
    size = (source * (w // source), h * (w // source)) if source <= w else (w, max(1, round(h * w / source)))
    tile = Image.new("RGB", (3 * size[0] + 2 * _GAP, size[1]), _BACKGROUND)
    for i, colors in enumerate((space.colorize(before), space.colorize(after), difference(before, after, space))):
        shown = Image.fromarray(colors).resize(size, Image.Resampling.BOX if source > w else Image.Resampling.NEAREST)
        tile.paste(shown, (i * (size[0] + _GAP), 0))
    return tile


def _present(maps: Sequence[np.ndarray], space: LabelSpace) -> list[tuple[str, tuple[int, ...]]]:
    """(name, colour) of every class in the maps, the most frequent first."""
    counts = np.zeros(256, np.int64)
    for label_map in maps:
        counts += np.bincount(space.to_index(label_map).ravel(), minlength=256)
    order = [i for i in np.argsort(-counts[: space.num_classes], kind="stable") if counts[i]]
    entries = [(f"{space.ids[i]}  {space.names[i]}", tuple(int(c) for c in space.palette[i])) for i in order]
    return entries + ([("no label", (0, 0, 0))] if counts[space.num_classes :].any() else [])


def _legend(entries: Sequence[tuple[str, tuple[int, ...]]], width: int) -> Image.Image:
    font, line = _font(14), 24
    places, x, y = [], 0, 0
    for name, _ in entries:
        needed = 42 + int(font.getlength(name))
        if x and x + needed > width:
            x, y = 0, y + line
        places.append((x, y))
        x += needed
    legend = Image.new("RGB", (width, y + line), _BACKGROUND)
    draw = ImageDraw.Draw(legend)
    for (name, color), (x, y) in zip(entries, places, strict=True):
        draw.rectangle((x, y + 3, x + 14, y + 17), fill=color, outline=_INK)
        draw.text((x + 20, y + 1), name, fill=_INK, font=font)
    return legend


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _shortened(text: str, width: int) -> str:
    font = _font(12)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
