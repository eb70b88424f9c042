"""`--sheet`: how a data set looks (frames with their label maps laid over them), or how a training run went (its curves
and its newest samples)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from surgaug.datasets.dataset import LabelMaps, PairedFrames
from surgaug.datasets.stored_ids import BACKGROUND
from surgaug.errors import DataError
from surgaug.inspect.run_log import RunLog
from surgaug.io.images import read_image
from surgaug.labels.contact_sheet import BACKGROUND as PAPER
from surgaug.labels.contact_sheet import ContactSheet
from surgaug.labels.label_space import IGNORE_INDEX, LabelSpace
from surgaug.runtime.spread import spread

MOST, COLUMNS, WIDTH = 24, 4, 1600
OPACITY = 0.45
RUN_WIDTH, _PANEL, _PANELS, _MARGIN = 1200, 300, 2, 24  # of a run's sheet: panels are so high, so many in a row
_INK, _FAINT, _LINE = (30, 30, 30), (215, 215, 215), (20, 100, 180)
_LEFT, _HEAD, _FOOT = 74, 30, 26  # of a panel, around its plot
SAMPLES = "newest samples; from above: label map, real frame, synthetic image"
_SAID = 22  # the height of that line
LOGARITHMIC = ("loss", "val_loss")  # they fall over decades
DOUBTED = (255, 40, 40)  # the outline of labels that an audit does not trust


def draw_sheet(frames: LabelMaps) -> np.ndarray:
    """uint8 [height, width, 3]: frames spread evenly over the data set, their classes in colour over them.

    Raises DataError when nothing in it can be drawn.
    """
    sheet = ContactSheet(frames.space, COLUMNS, WIDTH)
    for i in spread(len(frames), MOST):
        try:
            label_map = frames.load_label(i)
            image = None
            if isinstance(frames, PairedFrames) and frames.items[i].image is not None:
                image = frames.load_image(i)
        except DataError:  # it is among the problems
            continue
        if image is None or image.shape[:2] != label_map.shape:
            shown = frames.space.colorize(label_map)
        else:
            shown = overlay(image, label_map, frames.space)
        sheet.add(frames.items[i].name, [shown], [label_map])
    if not len(sheet):
        raise DataError(f"{frames.root}: no frame of it can be read, so there is no sheet to draw")
    return sheet.draw(f"{frames.root}   {len(sheet)} of {len(frames)} frames   label space {frames.space.name}")


def overlay(image: np.ndarray, label_map: np.ndarray, space: LabelSpace) -> np.ndarray:
    """Image uint8 [H, W, 3] under the colours of its ids [H, W], outlines in full colour; background and pixels without
    label stay."""
    colors = space.colorize(label_map)
    plain = [k for k, name in enumerate(space.names) if name.lower() == BACKGROUND]
    labelled = ~np.isin(space.to_index(label_map), [*plain, IGNORE_INDEX])[..., None]
    mixed = np.where(labelled, (1 - OPACITY) * image + OPACITY * colors, image)
    edges = np.zeros(label_map.shape, bool)
    edges[:, 1:] |= label_map[:, 1:] != label_map[:, :-1]
    edges[1:] |= label_map[1:] != label_map[:-1]
    return np.where((edges & labelled[..., 0])[..., None], colors, mixed).round().astype(np.uint8)


def draw_runs(logs: Sequence[RunLog]) -> np.ndarray:
    """uint8 [height, RUN_WIDTH, 3]: a run, or the stages of one, below each other."""
    return np.concatenate([draw_run(log.curves, str(log.folder), log.samples) for log in logs])


def draw_run(curves: Mapping[str, Mapping[str, Sequence[float]]], title: str, samples: Path | None) -> np.ndarray:
    """uint8 [height, RUN_WIDTH, 3]. curves: as `run_log.curves` reads them. samples: an image file, put below."""
    rows = -(-len(curves) // _PANELS)
    below = Image.fromarray(read_image(samples)) if samples else None
    if below is not None:
        width = RUN_WIDTH - 2 * _MARGIN
        below = below.resize((width, round(below.height * width / below.width)), Image.Resampling.LANCZOS)
    height = _MARGIN + 24 + rows * (_PANEL + _MARGIN) + (_SAID + below.height + _MARGIN if below else 0)
    page = Image.new("RGB", (RUN_WIDTH, height), PAPER)
    draw = ImageDraw.Draw(page)
    draw.text((_MARGIN, 12), title, fill=_INK, font=ImageFont.load_default(16))
    width = (RUN_WIDTH - _MARGIN) // _PANELS - _MARGIN
    for i, (name, curve) in enumerate(curves.items()):
        corner = _MARGIN + (i % _PANELS) * (width + _MARGIN), _MARGIN + 24 + (i // _PANELS) * (_PANEL + _MARGIN)
        _panel(draw, corner, width, name, curve["x"], curve["y"])
    if below is not None:
        top = height - below.height - _MARGIN
        draw.text((_MARGIN, top - _SAID), SAMPLES, fill=_INK, font=ImageFont.load_default(13))
        page.paste(below, (_MARGIN, top))
    return np.asarray(page)


def _panel(
    draw: ImageDraw.ImageDraw, corner: tuple[int, int], width: int, name: str, x: Sequence[float], y: Sequence[float]
) -> None:
    """One curve with its range on the left and its steps below."""
    font = ImageFont.load_default(13)
    left, top, right, bottom = corner[0] + _LEFT, corner[1] + _HEAD, corner[0] + width, corner[1] + _PANEL - _FOOT
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
