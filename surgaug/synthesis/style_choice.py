"""`--style`: whose colours, contrast and sharpness a sample gets. Which one is a function of (seed, sample) alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from surgaug.errors import UsageError
from surgaug.io.images import read_image
from surgaug.labels.resize import resize_image
from surgaug.models import families
from surgaug.models.checkpoint import LoadedModel
from surgaug.models.style import DIMENSION, style_code
from surgaug.runtime.device import to_tensor
from surgaug.synthesis.noise import style_rng

ANY = np.full(DIMENSION, np.nan, np.float32)


@dataclass(frozen=True)
class Styles:
    """The styles to draw from: names, and codes float32 [N, 7]. None at all: the model's own choice."""

    names: tuple[str, ...] = ()
    codes: np.ndarray = field(default_factory=lambda: np.empty((0, DIMENSION), np.float32))

    def draw(self, seed: int, sample: int) -> tuple[str | None, np.ndarray]:
        """Name and code [7] for a sample; (None, NaN) where there is nothing to draw from."""
        if not self.names:
            return None, ANY
        i = int(style_rng(seed, sample).integers(len(self.names)))
        return self.names[i], self.codes[i]


def choose(asked: str, model: LoadedModel, file: Path) -> Styles:
    """What `--style` asks for: "auto" (any of the training frames'), "any" (left to the model), a picture's path, or
    the name of a video or frame that the model was trained on.

    Raises UsageError for a name that the model does not know, or for a model that was trained without styles.
    """
    if model.family != families.DIFFUSION or model.net.style is None:
        if asked in ("auto", "any"):
            return Styles()
        raise UsageError(f"--style {asked}: {file} was trained without styles; train with network.style=true")
    bank = model.meta.get("styles", [])
    if asked == "any":
        return Styles()
    if asked == "auto":
        return _styles(bank)
    if Path(asked).is_file():
        image = resize_image(read_image(Path(asked)), model.size)
        return Styles((Path(asked).name,), style_code(to_tensor(image[None], "cpu")).numpy())
    if chosen := [style for style in bank if asked in (style["video"], style["name"])]:
        return _styles(chosen)
    videos = sorted({style["video"] for style in bank if style["video"]})
    known = f"videos {', '.join(videos[:8])}" if videos else f"frames such as {', '.join(s['name'] for s in bank[:3])}"
    raise UsageError(f"--style {asked}: neither a picture nor known to {file}, which knows {known}")


def _styles(bank: list[dict]) -> Styles:
    codes = np.array([style["code"] for style in bank], np.float32).reshape(-1, DIMENSION)
    return Styles(tuple(style["name"] for style in bank), codes)
