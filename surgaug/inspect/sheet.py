"""How a data set looks: frames with their label maps laid over them, at most 24 on a sheet."""

from __future__ import annotations

import numpy as np

from surgaug.datasets.dataset import LabelMaps, PairedFrames
from surgaug.datasets.stored_ids import BACKGROUND
from surgaug.errors import DataError
from surgaug.labels.contact_sheet import ContactSheet
from surgaug.labels.label_space import IGNORE_INDEX, LabelSpace
from surgaug.runtime.spread import spread

MOST, COLUMNS, WIDTH = 24, 4, 1600
OPACITY = 0.45
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
