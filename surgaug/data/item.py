"""One frame of a data set: where its image and its label map lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Item:
    """`name` is unique in its data set; `split`: "train", "val", "test" or None; `video` groups frames of one film."""

    name: str
    image: Path | None
    label: Path | None
    video: str | None = None
    split: str | None = None
