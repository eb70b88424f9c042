"""A contact sheet: each sample's label map in the classes' colours beside its image, and a legend."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from surgaug.data.label_space import LabelSpace

PAIRS = 24
_MARGIN, _CAPTION, _GAP = 10, 18, 4
_BACKGROUND, _INK = (250, 250, 250), (20, 20, 20)


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
    cell = (width - _MARGIN) // columns - _MARGIN  # of a pair: label map and image side by side
    tiles = [(name, _pair(image, space.colorize(label), cell)) for name, image, label in pairs]
    tile_height = max(tile.height for _, tile in tiles) + _CAPTION + _MARGIN
    rows = -(-len(tiles) // columns)
    legend = _legend(_present(pairs, space), width - 2 * _MARGIN)
    head = 34
    sheet = Image.new("RGB", (width, head + rows * tile_height + legend.height + _MARGIN), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, 8), title, fill=_INK, font=_font(16))
    for i, (name, tile) in enumerate(tiles):
        x = _MARGIN + (i % columns) * (cell + _MARGIN)
        y = head + (i // columns) * tile_height
        sheet.paste(tile, (x, y))
        draw.text((x, y + tile.height + 2), _shorten(name, cell, _font(12)), fill=_INK, font=_font(12))
    sheet.paste(legend, (_MARGIN, head + rows * tile_height))
    return np.asarray(sheet)


def _pair(image: np.ndarray, colors: np.ndarray, width: int) -> Image.Image:
    """Label map and image side by side, each within a square of half the width."""
    box = (width - _GAP) // 2
    height, source = image.shape[:2]
    fit = box / max(height, source)
    factor = int(fit) or fit
    size = max(1, round(source * factor)), max(1, round(height * factor))
    tile = Image.new("RGB", (2 * size[0] + _GAP, size[1]), _BACKGROUND)
    smooth = Image.Resampling.NEAREST if factor >= 1 else Image.Resampling.LANCZOS
    tile.paste(Image.fromarray(colors).resize(size, Image.Resampling.NEAREST), (0, 0))
    tile.paste(Image.fromarray(image).resize(size, smooth), (size[0] + _GAP, 0))
    return tile


def _present(pairs: Sequence[tuple[str, np.ndarray, np.ndarray]], space: LabelSpace) -> list[tuple[str, tuple]]:
    """(name, colour) of every class in the pairs, the most frequent first; the ignore value last."""
    counts = np.zeros(256, np.int64)
    for _, _, label in pairs:
        counts += np.bincount(space.to_index(label).ravel(), minlength=256)
    order = [i for i in np.argsort(-counts[: space.num_classes], kind="stable") if counts[i]]
    legend = [(f"{space.ids[i]}  {space.names[i]}", tuple(int(c) for c in space.palette[i])) for i in order]
    return legend + ([("no label", (0, 0, 0))] if counts[space.num_classes :].any() else [])


def _legend(entries: Sequence[tuple[str, tuple]], width: int) -> Image.Image:
    font, swatch, line, gap = _font(14), 14, 24, 22
    places, x, y = [], 0, 0
    for name, _ in entries:
        needed = swatch + 6 + int(font.getlength(name)) + gap
        if x and x + needed > width:
            x, y = 0, y + line
        places.append((x, y))
        x += needed
    legend = Image.new("RGB", (width, y + line), _BACKGROUND)
    draw = ImageDraw.Draw(legend)
    for (name, color), (x, y) in zip(entries, places, strict=True):
        draw.rectangle((x, y + 3, x + swatch, y + 3 + swatch), fill=color, outline=_INK)
        draw.text((x + swatch + 6, y + 1), name, fill=_INK, font=font)
    return legend


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _shorten(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    while font.getlength(text) > width and len(text) > 4:
        text = "…" + text[2:]
    return text
