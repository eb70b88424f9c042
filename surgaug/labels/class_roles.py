"""What a class is where nobody says it: an instrument by its name, or by how it lies in the label maps.

An instrument comes in from the frame's border, is thin, covers little of the border, and is now here, now there.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from surgaug.labels.label_space import LabelSpace

LOOKED_AT = 24  # maps; more tell little more
# A tool's name often holds an organ's ("lens injector"), so tools are looked for first.
TOOLS = re.compile(
    r"instrument|tool|forceps|knife|cannula|cystotome|handpiece|handle|injector|manipulator|needle|holder|gauge|spatula"
    r"|phaco|aspiration|irrigat|vitrect|scissor|grasper|hook|probe|clip|stapler|cauter|suction|catheter|trocar|scalpel"
    r"|tweezer|spreader|retract|speculum|suture|thread|drill|scope|wire|blade|chopper|marker|cotton|swab"
)
_MIN_PIXELS = 12
_FROM_BORDER = 0.6  # of the maps that show the class
_THIN = 5.0  # median of length to width
_RIM = 0.1  # of the frame's border, on average
_STAYS = 0.5  # overlap of a place with the mean place, from which a class does not move
_FEW = 4  # maps; fewer do not tell whether something moves
_GRID = (32, 24)


@dataclass(frozen=True)
class _Look:
    """The largest part of a class in one map: whether it touches the border, its length to width, its share of the
    border, and where it is, float32 [24, 32]."""

    at_border: bool
    elongation: float
    rim: float
    place: np.ndarray


def with_kinds(space: LabelSpace, label_maps: Iterable[np.ndarray]) -> LabelSpace:
    """`space` with its instruments found, where none of its classes has a kind yet; otherwise `space` itself.

    label_maps: ids [H, W], read only if needed. Instruments come to lie above the rest (depth 1); other kinds stay
    "other". The class named "background", or else the one that fills most of the frame's border, is none.
    """
    if any(c.kind != "other" for c in space.classes):
        return space
    looks: dict[int, list[_Look]] = defaultdict(list)
    for label_map in label_maps:
        for class_id in space.ids:
            if (seen := _look(label_map, class_id)) is not None:
                looks[class_id].append(seen)
    named = [c.id for c in space.classes if c.name.lower() == "background"]
    background = named[0] if named else max(looks, key=lambda i: sum(s.rim for s in looks[i]), default=None)
    found = {
        c.id
        for c in space.classes
        if c.id != background and (TOOLS.search(c.name.lower()) or _is_instrument(looks.get(c.id, [])))
    }
    classes = (replace(c, kind="instrument", depth=max(c.depth, 1)) if c.id in found else c for c in space.classes)
    return replace(space, classes=tuple(classes))


def _look(label_map: np.ndarray, class_id: int) -> _Look | None:
    own = (label_map == class_id).view(np.uint8)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(own, connectivity=8)
    if count < 2:
        return None
    part = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    x, y, w, h, area = (int(v) for v in stats[part])
    if area < _MIN_PIXELS:
        return None
    height, width = label_map.shape
    points = np.argwhere(parts[y : y + h, x : x + w] == part).astype(np.float64)
    points -= points.mean(0)
    along = points @ np.linalg.eigh(points.T @ points)[1][:, -1]
    rim = np.concatenate([own[0], own[-1], own[:, 0], own[:, -1]])
    at_border = x == 0 or y == 0 or x + w == width or y + h == height
    place = cv2.resize(own.astype(np.float32), _GRID, interpolation=cv2.INTER_AREA)
    return _Look(at_border, float(np.ptp(along) + 1) ** 2 / area, float(rim.mean()), place)


def _is_instrument(looks: list[_Look]) -> bool:
    if not looks:
        return False
    places = np.stack([look.place for look in looks])
    mean = places.mean(0)
    stays = float(np.minimum(places, mean).sum() / max(np.maximum(places, mean).sum(), 1e-9))
    return (
        float(np.mean([look.at_border for look in looks])) >= _FROM_BORDER
        and float(np.median([look.elongation for look in looks])) >= _THIN
        and float(np.mean([look.rim for look in looks])) <= _RIM
        and (len(looks) < _FEW or stays < _STAYS)
    )
