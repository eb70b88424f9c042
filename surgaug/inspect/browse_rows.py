"""What the page of many pairs says of each: origin, classes, checks, and the real frame that stands beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from surgaug.datasets.dataset import LabelMaps, items_of
from surgaug.datasets.item import Item
from surgaug.datasets.provenance import Origin, Provenance
from surgaug.errors import DataError
from surgaug.io.manifest import Row, is_there, named_check, row_of, rows_by_file
from surgaug.runtime.feedback import Feedback

_UP = 3  # folders around that of a label map that may be the data set it belongs to


@dataclass(frozen=True, eq=False)
class Doubts:
    """What an audit says of a frame. suspicion: of the frame. regions: "LABEL, read as CLASS", the worst first.
    outline: bool [h, w] of the segmenter's size, around what is not trusted."""

    suspicion: float
    regions: tuple[str, ...]
    outline: np.ndarray


@dataclass(frozen=True)
class Files:
    """The pictures of a pair as the page names them: relative to it, quoted for URLs; "" where there is none."""

    image: str = ""
    thumb: str = ""
    label: str = ""
    outline: str = ""


@dataclass(frozen=True)
class Shown:
    """A pair in the page. Files as in `Files`; real: the real frame of its mask.

    classes: of each class its index and then its share of the pixels, in thousandths, one class after the other.
    operations: what was done to the mask. failed: checks that it did not pass. suspicion, doubts: of an audit.
    """

    name: str
    image: str
    thumb: str
    label: str
    outline: str
    real: str
    classes: tuple[int, ...]
    video: str | None
    split: str | None
    mask: str | None
    operations: tuple[str, ...]
    failed: tuple[str, ...]
    agreement: float | None
    style: str | None
    seed: int | None
    suspicion: float | None
    doubts: tuple[str, ...]


@dataclass(frozen=True)
class Sources:
    """For each item of a data set its manifest row (empty where there is none), the origin of its mask and the real
    frame of that."""

    rows: list[Row]
    origins: list[Origin | None]
    real: list[Path | None]


def sources_of(frames: LabelMaps, root: Path, real: Path | None, feedback: Feedback) -> Sources:
    """real: the data set whose frames stand beside; None: looked for where the masks lay."""
    by_file = rows_by_file(root)
    rows = [row_of((item.image, item.label), by_file) for item in frames.items]
    before = Provenance(root)
    origins = [before.located(origin) if row and (origin := before.of_row(row)) else None for row in rows]
    return Sources(rows, origins, _real_images(origins, real, feedback))


def shown(frames: LabelMaps, i: int, files: Files, real: str, sources: Sources, doubts: Doubts | None) -> Shown:
    """Item i as the page has it."""
    item, row, origin = frames.items[i], sources.rows[i], sources.origins[i]
    agreement: Any = row.get("agreement")  # of a judge, where there was one
    return Shown(
        item.name,
        **vars(files),
        real=real,
        classes=_shares(frames, item),
        video=item.video or (origin.video if origin else None) or row.get("video"),
        split=item.split or row.get("split"),
        mask=origin.stem if origin else row.get("mask"),
        operations=tuple(record["op"] for record in row.get("perturbations", [])),
        failed=tuple(named_check(check) for check, passed in row.get("checks", {}).items() if not passed),
        agreement=round(agreement, 4) if isinstance(agreement, (int, float)) else None,
        style=row.get("style"),
        seed=row.get("seed"),
        suspicion=None if doubts is None else round(doubts.suspicion, 3),
        doubts=() if doubts is None else doubts.regions,
    )


def _shares(frames: LabelMaps, item: Item) -> tuple[int, ...]:
    """Of each class its index and then its share of the pixels, in whole thousandths; the largest class first."""
    if item.label is None or item.label not in frames.scans or frames.scans[item.label].problem:
        return ()
    scan = frames.scans[item.label]
    pixels = max(1, scan.hw[0] * scan.hw[1])
    counts: Mapping[int, int] = {k: n for k, n in frames.codec.count_ids(scan)[0].items() if k != frames.space.ignore}
    ranked = sorted(counts.items(), key=lambda pair: -pair[1])
    return tuple(v for k, n in ranked for v in (int(frames.space.index_table[k]), round(1000 * n / pixels)))


def _real_images(origins: Sequence[Origin | None], given: Path | None, feedback: Feedback) -> list[Path | None]:
    """For each item the real frame of the mask behind it: by the mask's file, else by its name."""
    files = [Path(origin.path) for origin in origins if origin and origin.path]
    try:
        real = items_of(given) if given else _items_around(files[0]) if files else []
    except DataError as error:
        feedback.warn(f"no real frames beside: {error}")
        real = []
    by_file = {item.label.resolve(): item.image for item in real if item.label is not None}
    by_name = {name: item.image for item in real for name in (item.name, item.label and item.label.stem)}
    return [
        None if origin is None else by_file.get(Path(origin.path).resolve()) or by_name.get(origin.stem)
        for origin in origins
    ]


def _items_around(label: Path) -> list[Item]:
    """The items of the largest data set around a label map that lists it: of CaDIS, not of its Video01; else none."""
    found: list[Item] = []
    for folder in list(label.absolute().parents)[1 : _UP + 1] if is_there(label) else []:
        try:
            items = items_of(folder)
        except (DataError, OSError):  # no data set, or several things at once
            continue
        if any(item.label is not None and item.label.resolve() == label.resolve() for item in items):
            found = items
    return found
