"""Thumbnails inside the page: WebP as data URIs."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from surgaug.io.images import read_image
from surgaug.labels.resize import resize_image
from surgaug.runtime.spread import spread
from surgaug.scoring.inputs import Folder, pair
from surgaug.scoring.report.model import Row

EDGE = 176  # pixels; twice what is shown at the least, for sharp screens


@dataclass(frozen=True)
class Trio:
    """One line of a contact sheet: data URIs; `real` and `label` are None where there is none."""

    name: str
    real: str | None
    label: str | None
    synth: str


def sheet(synth: Folder, sources: list[Folder], shown: int) -> list[Trio]:
    """Images of a synthetic folder, evenly spaced in it: each with its label map and the frame that it goes back to.

    Where a judge read them they stand in the order of its trust, the most trusted first. sources: folders of real
    frames in which to look for that frame.
    """
    partners = [(source, pair(synth, source).partner) for source in sources]
    trust = {name: of.agreement for name, of in synth.trusts.items()}
    order = sorted(range(len(synth)), key=lambda i: -trust.get(synth.names[i], 0.0))
    trios = []
    for place in spread(len(synth), shown):
        i = order[place]
        name = synth.names[i]
        real = next((folder.images[p[i]] for folder, p in partners if p[i] >= 0), None)
        title = name + (f", {100 * trust[name]:.0f} % trusted" if name in trust else "")
        trios.append(Trio(title, real and photo(real), _label(synth, i), photo(synth.images[i])))
    return trios


@dataclass(frozen=True)
class Twins:
    """A synthetic image beside the training frame nearest to it; data URIs."""

    synth: str
    train: str
    caption: str
    alike: bool


def twins(row: Row, shown: int) -> list[Twins]:
    """The closest pairs of a synthetic folder."""
    return [
        Twins(
            photo(Path(pair.synth)),
            photo(Path(pair.train)),
            f"{_KINDS[pair.kind]}, distance {pair.distance:.2f}, {pair.bits} of 64 bits differ",
            pair.kind != "other",
        )
        for pair in row.closest[:shown]
    ]


_KINDS = {"exact": "the same picture", "near": "near-duplicate", "other": "not a copy"}


def photo(path: Path) -> str:
    """An image file as a data URI, no larger than `EDGE`."""
    image = read_image(path)
    scale = EDGE / max(image.shape[:2])
    if scale < 1:
        image = resize_image(image, tuple(max(1, round(edge * scale)) for edge in image.shape[:2]))
    return _uri(image, quality=82)


def _label(folder: Folder, i: int) -> str | None:
    """The label map in the colours of its classes; pixels are picked, not mixed."""
    label = folder.labels[i]
    if folder.frames is None or label is None:
        return None
    label_map = folder.frames.codec.decode(label)
    step = max(1, -(-max(label_map.shape) // EDGE))
    return _uri(folder.frames.space.colorize(label_map[step // 2 :: step, step // 2 :: step]), lossless=True)


def _uri(image: np.ndarray, **options: object) -> str:
    memory = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(memory, format="WEBP", **options)
    return f"data:image/webp;base64,{base64.b64encode(memory.getvalue()).decode()}"
