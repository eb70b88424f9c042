"""Thousands of pairs to look at: a page that any browser opens without a server, and the pictures it shows.

The page (`browse_page.html`) holds a row for each pair (`browse_rows.py`); thumbnails and coloured label maps lie
beside it and are loaded as one scrolls; large pictures are the data set's own, by their relative paths.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

import numpy as np
from PIL import Image

from surgaug.datasets.dataset import LabelMaps, PairedFrames
from surgaug.errors import DataError
from surgaug.inspect.browse_rows import Doubts, Files, Shown, shown, sources_of
from surgaug.inspect.dataset import open_frames
from surgaug.inspect.sheet import DOUBTED
from surgaug.io.atomic import atomic_write, write_png, write_text
from surgaug.io.images import image_size
from surgaug.io.lock import folder_lock
from surgaug.labels.resize import resize_image
from surgaug.runtime.feedback import Feedback, Silent
from surgaug.runtime.parallel import in_threads

PAGE, THUMBNAILS, LABELS, OUTLINES = "index.html", "thumbnails", "labels", "outlines"
WIDTH = 320  # pixels of a thumbnail; what is no wider is shown itself
_SHOWN_BY_BROWSERS = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"}
_TEMPLATE = Path(__file__).with_name("browse_page.html")


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


def browse(config: BrowseConfig, feedback: Feedback | None = None) -> Result:
    """Write `config.out`/index.html with its pictures beside it. Raises as `write_page` and `open_pairs` do."""
    feedback = feedback or Silent()
    frames = open_frames(config.data, config.classes, feedback)
    out = config.out or Path(f"{config.data.resolve().name}-browse")
    return write_page(out / PAGE, out, frames, config.data, config.real, feedback)


def pictures_folder(page: Path) -> Path:
    """The folder for the pictures of a page that is not alone in its own folder, named as browsers name it when they
    save a page."""
    return page.with_name(f"{page.stem}_files")


def write_page(
    page: Path,
    pictures: Path,
    frames: LabelMaps,
    root: Path,
    real: Path | None,
    feedback: Feedback,
    doubts: Mapping[str, Doubts] | None = None,
) -> Result:
    """Write the file `page` and, into the folder `pictures`, what it shows, where that is not there yet of its source.

    root: where the data set lies. real: as in `BrowseConfig`. doubts: what an audit says, by the frame's name.
    Raises DataError where nothing can be shown.
    """
    doubts = doubts or {}
    for kind in (THUMBNAILS, LABELS, *([OUTLINES] if doubts else [])):
        (pictures / kind).mkdir(parents=True, exist_ok=True)
    with folder_lock(pictures, feedback):
        _drop_other_colours(pictures / LABELS, frames)
        write = partial(_pictures, frames, page.parent, pictures, doubts)
        drawn = list(in_threads(write, range(len(frames)), feedback=feedback, title="pictures", unit="pairs"))
        sources = sources_of(frames, root, real, feedback)
        urls = [_url(file, page.parent) if file else "" for file in sources.real]
        rows = [
            shown(frames, i, files, urls[i], sources, doubts.get(frames.items[i].name))
            for i, files in enumerate(drawn)
            if files is not None
        ]
        if not rows:
            raise DataError(f"{root}: no frame of it can be shown; surgaug inspect {root} says why")
        if left_out := len(drawn) - len(rows):
            feedback.warn(f"{left_out} of {len(drawn)} frames cannot be shown; surgaug inspect {root} names them")
        write_text(page, html(frames, str(root), rows))
    return Result(page, len(rows), sum(bool(row.real) for row in rows), left_out)


def html(frames: LabelMaps, root: str, rows: Sequence[Shown]) -> str:
    """The page with its rows."""
    data = {
        "root": root,
        "aspect": round(_aspect(frames), 4),
        "classes": [{"name": c.name, "color": f"rgb{tuple(c.color)}"} for c in frames.space.classes],
        "rows": [asdict(row) for row in rows],
    }
    # A "<" could end the block that the rows stand in.
    block = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return _TEMPLATE.read_text(encoding="utf-8").replace("__DATA__", block)


def _aspect(frames: LabelMaps) -> float:
    """Height by width of the first frame whose label map can be read."""
    sizes = (frames.scans[item.label].hw for item in frames.items if item.label in frames.scans)
    height, width = next((hw for hw in sizes if hw[0] and hw[1]), (9, 16))
    return height / width


def _pictures(frames: LabelMaps, base: Path, pictures: Path, doubts: Mapping[str, Doubts], i: int) -> Files | None:
    """The pictures of item i, for a page in the folder `base`; None where it cannot be shown."""
    item = frames.items[i]
    if item.image is None and item.label is None:
        return None
    outline = pictures / OUTLINES / f"{item.name}.png"
    try:
        image, thumb = _thumbnail(frames, base, pictures, i) if item.image is not None else ("", "")
        label = pictures / LABELS / f"{item.name}.png"
        if item.label is not None and not _is_of(label, item.label):
            write_png(label, frames.space.to_index(frames.load_label(i)), palette=frames.space.palette)
            _set_of(label, item.label)
    except DataError:  # named by `surgaug inspect`
        return None
    if item.name in doubts:
        _write_outline(outline, doubts[item.name].outline)
    return Files(
        image,
        thumb,
        "" if item.label is None else _url(label, base),
        _url(outline, base) if item.name in doubts else "",
    )


def _thumbnail(frames: LabelMaps, base: Path, pictures: Path, i: int) -> tuple[str, str]:
    """The large picture of item i and its thumbnail: the image itself where it is small and browsers show its kind."""
    assert isinstance(frames, PairedFrames)
    source = frames.items[i].image
    assert source is not None
    shows = source.suffix.lower() in _SHOWN_BY_BROWSERS
    height, width = image_size(source)
    if shows and width <= WIDTH:
        return _url(source, base), _url(source, base)
    thumb = pictures / THUMBNAILS / f"{frames.items[i].name}.jpg"
    if not _is_of(thumb, source):
        hw = max(1, round(height * WIDTH / width)), WIDTH
        small = resize_image(frames.load_image(i), hw if width > WIDTH else (height, width))
        with atomic_write(thumb) as temporary:
            Image.fromarray(small).save(temporary, "JPEG", quality=85)
        _set_of(thumb, source)
    return _url(source if shows else thumb, base), _url(thumb, base)


def _write_outline(path: Path, outline: np.ndarray) -> None:
    """outline: bool [h, w]; red there, and transparent elsewhere."""
    image = Image.fromarray(outline.astype(np.uint8))
    image.putpalette([0, 0, 0, *DOUBTED])
    with atomic_write(path) as temporary:
        image.save(temporary, "PNG", transparency=0)


def _drop_other_colours(labels: Path, frames: LabelMaps) -> None:
    """Remove the pictures of label maps that were drawn with other classes or colours, and note those of `frames`."""
    note, digest = labels / "classes.txt", frames.space.digest(colors=True)
    if not note.is_file() or note.read_text(encoding="utf-8") != digest:
        for picture in labels.glob("*.png"):
            picture.unlink()
        write_text(note, digest)


def _is_of(made: Path, source: Path) -> bool:
    """Whether a picture was made of this source, as it is now: it has its time. (Being newer would not do: another data
    set of the same names may be older than the pictures.)"""
    return made.is_file() and made.stat().st_mtime_ns == _time(source)


def _set_of(made: Path, source: Path) -> None:
    os.utime(made, ns=(_time(source), _time(source)))


def _time(source: Path) -> int:
    file = source if source.is_file() else source.parent  # FILE.json/NAME, where one file annotates many frames
    return file.stat().st_mtime_ns


def _url(file: Path, base: Path) -> str:
    """A file as a page in `base` names it."""
    try:
        return quote(Path(os.path.relpath(file, base)).as_posix())
    except ValueError:  # on another drive of Windows
        return file.absolute().as_uri()
