"""How a training run went, drawn: a panel a curve over the steps, and the newest samples below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from surgaug.io.images import read_image
from surgaug.labels.contact_sheet import BACKGROUND

WIDTH, PANEL, COLUMNS, MARGIN = 1200, 300, 2, 24
_INK, _FAINT, _LINE = (30, 30, 30), (215, 215, 215), (20, 100, 180)
_LEFT, _HEAD, _FOOT = 74, 30, 26  # of a panel, around its plot
LOGARITHMIC = ("loss", "val_loss")  # they fall over decades


def draw_run(curves: Mapping[str, Mapping[str, Sequence[float]]], title: str, samples: Path | None) -> np.ndarray:
    """uint8 [height, WIDTH, 3]. curves: as `inspect.model.curves` reads them. samples: an image file to put below."""
    rows = -(-len(curves) // COLUMNS)
    below = Image.fromarray(read_image(samples)) if samples else None
    if below is not None:
        width = WIDTH - 2 * MARGIN
        below = below.resize((width, round(below.height * width / below.width)), Image.Resampling.LANCZOS)
    height = MARGIN + 24 + rows * (PANEL + MARGIN) + (below.height + MARGIN if below else 0)
    page = Image.new("RGB", (WIDTH, height), BACKGROUND)
    draw = ImageDraw.Draw(page)
    draw.text((MARGIN, 12), title, fill=_INK, font=ImageFont.load_default(16))
    width = (WIDTH - MARGIN) // COLUMNS - MARGIN
    for i, (name, curve) in enumerate(curves.items()):
        corner = MARGIN + (i % COLUMNS) * (width + MARGIN), MARGIN + 24 + (i // COLUMNS) * (PANEL + MARGIN)
        _panel(draw, corner, width, name, curve["x"], curve["y"])
    if below is not None:
        page.paste(below, (MARGIN, height - below.height - MARGIN))
    return np.asarray(page)


def _panel(
    draw: ImageDraw.ImageDraw, corner: tuple[int, int], width: int, name: str, x: Sequence[float], y: Sequence[float]
) -> None:
    """One curve with its range on the left and its steps below."""
    font = ImageFont.load_default(13)
    left, top, right, bottom = corner[0] + _LEFT, corner[1] + _HEAD, corner[0] + width, corner[1] + PANEL - _FOOT
    log = name in LOGARITHMIC and min(y) > 0
    draw.text((left, corner[1] + 8), name + (" (logarithmic)" if log else ""), fill=_INK, font=font)
    draw.rectangle((left, top, right, bottom), outline=_FAINT)
    values = np.log10(y) if log else np.asarray(y, float)
    low, high = float(values.min()), float(values.max())
    for share in (0.0, 0.5, 1.0):
        level = low + share * (high - low)
        height = bottom - share * (bottom - top)
        draw.line((left, height, right, height), fill=_FAINT)
        text = f"{10**level if log else level:.3g}"
        draw.text((left - 8, height), text, fill=_INK, font=font, anchor="rm")
    draw.text((left, bottom + 6), f"{x[0]:.0f}", fill=_INK, font=font)
    draw.text((right, bottom + 6), f"step {x[-1]:.0f}", fill=_INK, font=font, anchor="ra")
    across = left + (np.asarray(x, float) - x[0]) / max(x[-1] - x[0], 1e-12) * (right - left)
    down = bottom - (values - low) / max(high - low, 1e-12) * (bottom - top)
    points = list(zip(across.tolist(), down.tolist(), strict=True))
    if len(points) > 1:
        draw.line(points, fill=_LINE, width=2, joint="curve")
    for px, py in points if len(points) < 40 else points[-1:]:
        draw.ellipse((px - 2.5, py - 2.5, px + 2.5, py + 2.5), fill=_LINE)
