"""Which real labels are wrong? Frames and regions ranked by how surprising their labels are, the worst first.

A segmenter is cross-fitted on the data set itself (`segmenter/cross_fitting.py`): each frame is read by a network that
did not see it. A label is surprising by what its class usually is: hard classes are surprising everywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from surgaug.datasets.dataset import PairedFrames
from surgaug.errors import DataError
from surgaug.inspect.browse_rows import Doubts
from surgaug.inspect.sheet import DOUBTED, overlay
from surgaug.labels.contact_sheet import ContactSheet
from surgaug.labels.label_space import IGNORE_INDEX, LabelSpace
from surgaug.runtime.device import pick_device
from surgaug.runtime.feedback import Feedback
from surgaug.runtime.parallel import cores
from surgaug.runtime.paths import cache_folder
from surgaug.segmenter.config import TRUST, SegmenterConfig
from surgaug.segmenter.cross_fitting import class_means, cross_fit, folds_of, held_out_cross_entropy
from surgaug.segmenter.frames import LabelledFrames, read_frames
from surgaug.segmenter.judge import doubted
from surgaug.segmenter.network import working_size
from surgaug.segmenter.training import Trainer, default_steps, predict

FEWEST = 6  # frames
LEAST = 16  # pixels of a class in a frame, at the segmenter's size, from which it tells something
LISTED = 20  # frames and regions in the tables; JSON has all
SHOWN, COLUMNS, WIDTH = 24, 4, 1600


@dataclass(frozen=True)
class Region:
    """A connected region of one label that is not trusted. box: (top, left, bottom, right) as shares of the frame's
    sides. label, read: the class ids given and read there. pixels: at the segmenter's size."""

    frame: str
    label: int
    read: int
    box: tuple[float, float, float, float]
    pixels: int
    suspicion: float


@dataclass(frozen=True, eq=False)
class Audit:
    """What was found: `suspicion` float64 [N] of the frames, by `suspicion_of_frames`; `doubts` bool [N, H, W]; the
    regions, worst first; `order` int64 [N], the frames' positions, worst first."""

    frames: LabelledFrames
    suspicion: np.ndarray
    doubts: np.ndarray
    regions: tuple[Region, ...]

    @property
    def order(self) -> np.ndarray:
        return np.argsort(-self.suspicion, kind="stable")


def audit(
    frames: PairedFrames,
    feedback: Feedback,
    steps: int | None = None,
    device: str = "auto",
    size: tuple[int, int] | None = None,
) -> Audit:
    """Cross-fit a segmenter on a data set and rank its labels.

    steps: of each training; None for as many as the classes need. size: (H, W) to work at; None for that of most
    images, made smaller where it is large. Raises DataError for fewer than `FEWEST` frames, or files that cannot be
    read.
    """
    labelled = sum(item.image is not None and item.label is not None for item in frames.items)
    if labelled < FEWEST:
        raise DataError(f"--audit {frames.root}: {labelled} frames with labels; at least {FEWEST} are needed")
    where = pick_device(device)
    size = size or working_size(_usual_size(frames))
    read = read_frames(frames, size, frames.space, cores(), feedback, "reading frames")
    classes = read.space.num_classes
    steps = steps or default_steps(int(np.count_nonzero(read.class_frames())))
    folds = folds_of(read.groups)
    trainer = Trainer(cache_folder() / "segmenters", where)
    settings = SegmenterConfig(size=size, steps=steps)
    networks = cross_fit(trainer, read, folds, classes, settings, feedback)
    surprise = held_out_cross_entropy(networks, read, folds, where)
    predicted = np.empty_like(read.maps)
    for fold, network in enumerate(networks):
        predicted[folds == fold] = predict(network, read.images[folds == fold], where)
    means = class_means(surprise, read.maps, classes)
    doubts = np.stack([doubted(s, m, means, TRUST) for s, m in zip(surprise, read.maps, strict=True)])
    regions = [
        region
        for i in range(len(read))
        for region in regions_of(read.names[i], surprise[i], read.maps[i], predicted[i], doubts[i], means, read.space)
    ]
    regions.sort(key=lambda region: -region.suspicion)
    return Audit(read, suspicion_of_frames(surprise, read.maps, means), doubts, tuple(regions))


def suspicion(values: np.ndarray, mean: float) -> float:
    """How suspicious pixels of one class are, from their cross-entropies `values` [n]: the excess over its mean.

    Pixels of a region err together, so that their number says less than its square root would: its fourth root is
    taken.
    """
    return (float(values.mean()) - mean) * len(values) ** 0.25


def suspicion_of_frames(surprise: np.ndarray, maps: np.ndarray, means: np.ndarray) -> np.ndarray:
    """That of the most suspicious class of each frame, float64 [N]; 0 where none shows `LEAST` pixels.

    surprise: float [N, H, W]. maps: uint8 [N, H, W] of indices. means: float64 [K], of each class.
    """
    return np.array([_worst_class(s, m, means) for s, m in zip(surprise, maps, strict=True)])


def _worst_class(surprise: np.ndarray, index_map: np.ndarray, means: np.ndarray) -> float:
    counts = np.bincount(index_map.ravel(), minlength=IGNORE_INDEX + 1)[:IGNORE_INDEX]
    shown = np.flatnonzero(counts >= LEAST)
    return max((suspicion(surprise[index_map == k], float(means[k])) for k in shown), default=0.0)


def regions_of(
    name: str,
    surprise: np.ndarray,
    index_map: np.ndarray,
    predicted: np.ndarray,
    doubts: np.ndarray,
    means: np.ndarray,
    space: LabelSpace,
) -> list[Region]:
    """The connected regions of one label that `doubts` (bool [H, W]) marks in a frame, of `LEAST` pixels or more."""
    out = []
    height, width = index_map.shape
    for k in np.unique(index_map[doubts]).tolist():
        count, numbers, stats, _ = cv2.connectedComponentsWithStats((doubts & (index_map == k)).astype(np.uint8))
        for number in range(1, count):
            left, top, w, h, pixels = stats[number].tolist()
            if pixels < LEAST:
                continue
            own = numbers == number
            guess = int(np.bincount(predicted[own]).argmax())
            box = (top / height, left / width, (top + h) / height, (left + w) / width)
            found = suspicion(surprise[own], float(means[k]))
            out.append(Region(name, space.ids[k], space.ids[guess], box, pixels, found))
    return out


def tables(found: Audit) -> list[tuple[str, list[str], list[list[Any]]]]:
    """The worst frames and regions as tables of a report: (title, columns, rows)."""
    space, names = found.frames.space, found.frames.names
    share = found.doubts.mean((1, 2))
    worst = {region.frame: region for region in reversed(found.regions)}

    frames = [
        [
            names[i],
            f"{found.suspicion[i]:.2f}",
            f"{100 * share[i]:.1f} %",
            _told(worst[names[i]], space) if names[i] in worst else "",
        ]
        for i in found.order[:LISTED].tolist()
    ]
    columns = ["frame", "suspicion", "of pixels doubted", "worst region"]
    regions = [[r.frame, f"{r.suspicion:.2f}", _told(r, space), _placed(r.box)] for r in found.regions[:LISTED]]
    return [
        ("Most suspicious labels, by frame", columns, frames),
        ("Most suspicious regions", ["frame", "suspicion", "label", "where (y, x)"], regions),
    ]


def details(found: Audit) -> dict[str, Any]:
    """All frames and regions, worst first, as plain JSON types."""
    names, share = found.frames.names, found.doubts.mean((1, 2))
    return {
        "frames": [
            {"name": names[i], "suspicion": float(found.suspicion[i]), "doubted": float(share[i])}
            for i in found.order.tolist()
        ],
        "regions": [asdict(region) for region in found.regions],
    }


def doubts_by_frame(found: Audit) -> dict[str, Doubts]:
    """What the page of pairs shows of each frame, by its name."""
    told: dict[str, list[str]] = {name: [] for name in found.frames.names}
    for region in found.regions:
        told[region.frame].append(_told(region, found.frames.space))
    return {
        name: Doubts(float(found.suspicion[i]), tuple(dict.fromkeys(told[name])), _outline(found.doubts[i]))
        for i, name in enumerate(found.frames.names)
    }


def draw_audit(found: Audit, root: Path) -> np.ndarray:
    """uint8 [height, width, 3]: the most suspicious frames under their labels, what is doubted outlined in red."""
    frames = found.frames
    sheet = ContactSheet(frames.space, COLUMNS, WIDTH)
    for i in found.order[:SHOWN].tolist():
        label_map = frames.space.to_ids(frames.maps[i])
        shown = overlay(frames.images[i], label_map, frames.space)
        outlined = np.where(_outline(found.doubts[i])[..., None], np.array(DOUBTED, np.uint8), shown)
        caption = f"{frames.names[i]}   suspicion {found.suspicion[i]:.2f}"
        sheet.add(caption, [frames.images[i], outlined], [label_map])
    title = f"{root}   the {len(sheet)} of {len(frames)} frames whose labels surprise most   each: frame, its labels"
    return sheet.draw(title, [("outline of what is doubted", DOUBTED)])


def _told(region: Region, space: LabelSpace) -> str:
    return f"{space.by_id(region.label).name}, read as {space.by_id(region.read).name}"


def _outline(doubts: np.ndarray) -> np.ndarray:
    """bool [H, W]: the pixels around the regions of `doubts`, bool [H, W]."""
    return (cv2.dilate(doubts.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0) & ~doubts


def _usual_size(frames: PairedFrames) -> tuple[int, int]:
    """(H, W) of most label maps, as they were read when the data set was opened."""
    sizes = Counter(scan.hw for scan in frames.scans.values() if not scan.problem)
    return sizes.most_common(1)[0][0]


def _placed(box: Sequence[float]) -> str:
    top, left, bottom, right = box
    return f"{100 * top:.0f}-{100 * bottom:.0f} %, {100 * left:.0f}-{100 * right:.0f} %"
