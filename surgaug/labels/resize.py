"""Images and label maps at another size: images averaged, label maps by area share, with thin instruments kept."""

from __future__ import annotations

import cv2
import numpy as np

from surgaug.labels.label_space import LabelSpace

# An instrument wins a cell from this share of its area on: by plain majority thin ones break up.
INSTRUMENT_SHARE = 1 / 3
# Where an instrument is thinner than that, the crest of its share along a row or a column wins from this share on.
CREST_SHARE = 0.1
_SAME_ASPECT = 0.10


def resize_image(image: np.ndarray, hw: tuple[int, int]) -> np.ndarray:
    """Image uint8 [h, w, 3] (or [h, w]) to `hw`: mean over the area where it shrinks, linear where it grows."""
    height, width = hw
    h, w = image.shape[:2]
    shrunk = (min(h, height), min(w, width))
    if shrunk != (h, w):
        image = cv2.resize(image, shrunk[::-1], interpolation=cv2.INTER_AREA)
    if shrunk != (height, width):
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    return image


def resize_label_map(label_map: np.ndarray, hw: tuple[int, int], space: LabelSpace) -> np.ndarray:
    """Ids [h, w] to ids `hw`, of the same dtype, each an id that occurs in `label_map`.

    Where it shrinks, a cell takes the class with the largest share of its area, except that instruments (the classes
    of kind "instrument") take it from a joint share of 1/3 on, or at the crest of a line too thin for that. The ignore
    id counts as a class of its own. Where it grows, the nearest pixel.
    """
    height, width = hw
    h, w = label_map.shape
    if (h, w) == (height, width):
        return label_map
    if height > h or width > w:
        grown = (max(h, height), max(w, width))
        label_map = cv2.resize(label_map, grown[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        if grown == (height, width):
            return label_map
    ids = _ids_in(label_map)
    if len(ids) == 1:
        return np.full(hw, ids[0], label_map.dtype)
    shares = np.stack([_area_share(label_map == i, hw) for i in ids])
    winner = shares.argmax(axis=0)
    tools = np.isin(ids, [c.id for c in space.classes if c.kind == "instrument"])
    if tools.any() and not tools.all():
        joint = shares[tools].sum(axis=0)
        won = (joint >= INSTRUMENT_SHARE - 1e-5) | (_crest(joint) & (joint >= CREST_SHARE))
        winner = np.where(won, np.flatnonzero(tools)[shares[tools].argmax(axis=0)], winner)
    return ids[winner]


def fit_size(source_hw: tuple[int, int], train_hw: tuple[int, int]) -> tuple[int, int]:
    """The (H, W) at which a model trained at `train_hw` should synthesize an image of a map of `source_hw`.

    `train_hw` where the aspect ratios differ by less than 10 %; otherwise the source's aspect at about the training
    area, in even numbers.
    """
    if same_aspect(source_hw, train_hw):
        return train_hw
    aspect, area = source_hw[1] / source_hw[0], train_hw[0] * train_hw[1]
    return _even((area / aspect) ** 0.5), _even((area * aspect) ** 0.5)


def same_aspect(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Whether the proportions of two sizes (H, W) differ by less than 10 %."""
    ratio = a[1] * b[0] / (a[0] * b[1])
    return max(ratio, 1 / ratio) < 1 + _SAME_ASPECT


def _even(x: float) -> int:
    return max(2, 2 * round(x / 2))


def _ids_in(label_map: np.ndarray) -> np.ndarray:
    if label_map.dtype != np.uint8:
        return np.unique(label_map)
    return np.flatnonzero(cv2.calcHist([label_map], [0], None, [256], [0, 256])).astype(np.uint8)


def _area_share(mask: np.ndarray, hw: tuple[int, int]) -> np.ndarray:
    return cv2.resize(mask.astype(np.float32), hw[::-1], interpolation=cv2.INTER_AREA)


def _crest(share: np.ndarray) -> np.ndarray:
    """True where a cell is above one neighbour in its row (or column) and not below the other; bool [H, W].

    Of two equal neighbours one is the crest, so that a line between two cells is kept once.
    """
    padded = np.pad(share, 1)
    left, right = padded[1:-1, :-2], padded[1:-1, 2:]
    up, down = padded[:-2, 1:-1], padded[2:, 1:-1]
    # Beside a cell that is won anyway it would only thicken that one's rim.
    in_row = (share >= left) & (share > right) & (np.maximum(left, right) < INSTRUMENT_SHARE)
    in_column = (share >= up) & (share > down) & (np.maximum(up, down) < INSTRUMENT_SHARE)
    return in_row | in_column
