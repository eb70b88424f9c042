"""Thousands of pairs to look at: a folder with a page that any browser opens without a server.

The page (`browse_page.html`) holds a row for each pair; thumbnails and coloured label maps lie beside it and are loaded
as one scrolls; large pictures are the data set's own, by their relative paths.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image

from surgaug.datasets.dataset import LabelMaps, PairedFrames, items_of
from surgaug.datasets.item import Item
from surgaug.datasets.provenance import Origin, Provenance
from surgaug.errors import DataError
from surgaug.inspect.dataset import open_frames
from surgaug.io.atomic import atomic_write, write_png, write_text
from surgaug.io.images import image_size
from surgaug.io.lock import folder_lock
from surgaug.io.manifest import Row, is_there, part_paths, read_rows
from surgaug.labels.resize import resize_image
from surgaug.runtime.feedback import Feedback, Silent
from surgaug.runtime.parallel import in_threads

PAGE, THUMBNAILS, LABELS = "index.html", "thumbnails", "labels"
WIDTH = 320  # pixels of a thumbnail; what is no wider is shown itself
_SHOWN_BY_BROWSERS = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"}
_TEMPLATE = Path(__file__).with_name("browse_page.html")
_UP = 3  # folders around that of a label map that may be the data set it belongs to


@dataclass(frozen=True)
class BrowseConfig:
    """data: a data set or label maps. out: the folder to write; None: DATA-browse in the working folder. real: the data
    set whose frames stand beside what was synthesized from their masks; None: looked for where the masks lay."""

    data: Path
    out: Path | None = None
    real: Path | None = None
    classes: str = "auto"


@dataclass(frozen=True)
class Result:
    """The page, and the numbers of pairs in it, of those with a real frame beside them, and of those left out."""

    page: Path
    pairs: int
    with_real: int
    left_out: int


@dataclass(frozen=True)
class Shown:
    """A pair in the page. Files are relative to it, quoted for URLs; "" where there is none.

    classes: index and share of the pixels (of a thousand) of each class by turns. operations: what was done to the
    mask. failed: checks that it did not pass.
    """

    name: str
    image: str
    thumb: str
    label: str
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


def browse(config: BrowseConfig, feedback: Feedback | None = None) -> Result:
    """Write the page and what it shows; pictures that are there and newer than their source stay.

    Raises DataError where nothing can be shown, and as `open_pairs` does.
    """
    feedback = feedback or Silent()
    frames = open_frames(config.data, config.classes, feedback)
    out = config.out or Path(f"{config.data.resolve().name}-browse")
    for folder in (out / THUMBNAILS, out / LABELS):
        folder.mkdir(parents=True, exist_ok=True)
    with folder_lock(out, feedback):
        write = partial(_pictures, frames, out)
        by_file = _manifest_rows(config.data)
        drawn = list(in_threads(write, range(len(frames)), feedback=feedback, title="pictures", unit="pairs"))
        rows = [_row_of(item, by_file) for item in frames.items]
        before = Provenance(config.data)
        origins = [before.of_row(row) if row else None for row in rows]
        real = _real_images(origins, config.real, feedback)
        shown = [
            _shown(frames, i, files, out, rows[i], origins[i], real[i])
            for i, files in enumerate(drawn)
            if files is not None
        ]
        if not shown:
            raise DataError(f"{config.data}: no frame of it can be shown; surgaug inspect {config.data} says why")
        if left_out := len(drawn) - len(shown):
            feedback.warn(
                f"{left_out} of {len(drawn)} frames cannot be shown; surgaug inspect {config.data} names them"
            )
        write_text(out / PAGE, page(frames, str(config.data), shown))
    return Result(out / PAGE, len(shown), sum(bool(row.real) for row in shown), left_out)


def page(frames: LabelMaps, root: str, shown: Sequence[Shown]) -> str:
    """The HTML with its rows."""
    data = {
        "root": root,
        "aspect": round(_aspect(frames), 4),
        "classes": [{"name": c.name, "color": f"rgb{tuple(c.color)}"} for c in frames.space.classes],
        "rows": [asdict(row) for row in shown],
    }
    # A "<" could end the block that the rows stand in.
    block = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return _TEMPLATE.read_text(encoding="utf-8").replace("__DATA__", block)


def _aspect(frames: LabelMaps) -> float:
    """Height by width of the first frame whose label map can be read."""
    sizes = (frames.scans[item.label].hw for item in frames.items if item.label in frames.scans)
    height, width = next((hw for hw in sizes if hw[0] and hw[1]), (9, 16))
    return height / width


def _pictures(frames: LabelMaps, out: Path, i: int) -> tuple[str, str, str] | None:
    """Image, thumbnail and coloured label map of item i, as the page names them; None where it cannot be shown."""
    item = frames.items[i]
    try:
        image, thumb = _thumbnail(frames, out, i) if item.image is not None else ("", "")
        label = out / LABELS / f"{item.name}.png"
        if item.label is not None and not _is_newer(label, item.label):
            write_png(label, frames.space.to_index(frames.load_label(i)), palette=frames.space.palette)
    except DataError:  # named by `surgaug inspect`
        return None
    if item.image is None and item.label is None:
        return None
    return image, thumb, "" if item.label is None else _url(label, out)


def _thumbnail(frames: LabelMaps, out: Path, i: int) -> tuple[str, str]:
    """The large picture of item i and its thumbnail: the image itself where it is small and browsers show its kind."""
    assert isinstance(frames, PairedFrames)
    source = frames.items[i].image
    assert source is not None
    shows = source.suffix.lower() in _SHOWN_BY_BROWSERS
    height, width = image_size(source)
    if shows and width <= WIDTH:
        return _url(source, out), _url(source, out)
    thumb = out / THUMBNAILS / f"{frames.items[i].name}.jpg"
    if not _is_newer(thumb, source):
        hw = max(1, round(height * WIDTH / width)), WIDTH
        small = resize_image(frames.load_image(i), hw if width > WIDTH else (height, width))
        with atomic_write(thumb) as temporary:
            Image.fromarray(small).save(temporary, "JPEG", quality=85)
    return _url(source if shows else thumb, out), _url(thumb, out)


def _is_newer(made: Path, source: Path) -> bool:
    """Whether a picture was made since its source was last written."""
    file = source if source.is_file() else source.parent  # FILE.json/NAME, where one file annotates many frames
    return made.is_file() and made.stat().st_mtime_ns >= file.stat().st_mtime_ns


def _url(file: Path, out: Path) -> str:
    """A file as the page in `out` names it."""
    try:
        return quote(Path(os.path.relpath(file, out)).as_posix())
    except ValueError:  # on another drive of Windows
        return file.absolute().as_uri()


def _shown(
    frames: LabelMaps,
    i: int,
    files: tuple[str, str, str],
    out: Path,
    row: Row,
    origin: Origin | None,
    real: Path | None,
) -> Shown:
    item = frames.items[i]
    agreement: Any = row.get("agreement")  # of a judge, where there was one
    return Shown(
        item.name,
        *files,
        real="" if real is None else _url(real, out),
        classes=_shares(frames, item),
        video=item.video or (origin.video if origin else None) or row.get("video"),
        split=item.split or row.get("split"),
        mask=origin.stem if origin else row.get("mask"),
        operations=tuple(record["op"] for record in row.get("perturbations", [])),
        failed=tuple(check for check, passed in row.get("checks", {}).items() if not passed),
        agreement=round(agreement, 4) if isinstance(agreement, (int, float)) else None,
        style=row.get("style"),
        seed=row.get("seed"),
    )


def _shares(frames: LabelMaps, item: Item) -> tuple[int, ...]:
    """Index and share of the pixels (of a thousand, rounded) of each class by turns, the largest first."""
    if item.label is None or item.label not in frames.scans or frames.scans[item.label].problem:
        return ()
    scan = frames.scans[item.label]
    pixels = max(1, scan.hw[0] * scan.hw[1])
    counts: Mapping[int, int] = {k: n for k, n in frames.codec.count_ids(scan)[0].items() if k != frames.space.ignore}
    ranked = sorted(counts.items(), key=lambda pair: -pair[1])
    return tuple(v for k, n in ranked for v in (int(frames.space.index_table[k]), round(1000 * n / pixels)))


def _manifest_rows(root: Path) -> dict[Path, Row]:
    """The rows of a manifest, by the image and by the label map that they name."""
    rows, _ = read_rows(root) if part_paths(root) else ([], [])
    return {root / name: row for row in rows for name in (row.get("label"), row.get("image")) if name}


def _row_of(item: Item, by_file: Mapping[Path, Row]) -> Row:
    return next((by_file[file] for file in (item.image, item.label) if file and file in by_file), Row())


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
