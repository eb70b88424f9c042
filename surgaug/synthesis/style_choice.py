"""`--style`: whose colours, contrast and sharpness a sample gets. Which one is a function of (seed, sample) alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from surgaug.errors import UsageError
from surgaug.io.images import read_image
from surgaug.labels.resize import resize_image
from surgaug.models import families
from surgaug.models.checkpoint import LoadedModel
from surgaug.models.style import DIMENSION, style_code
from surgaug.runtime.device import to_tensor
from surgaug.synthesis.fourier_style import SETTING, FourierStyle, share_of
from surgaug.synthesis.noise import style_rng


@dataclass(frozen=True)
class Styles:
    """The styles to draw from: names, and codes float32 [N, 7]; of a cascade [N, 14], those of either stage's size one
    behind the other. None at all: the model's own choice. fourier: what images are given afterwards, if anything."""

    names: tuple[str, ...] = ()
    codes: np.ndarray = field(default_factory=lambda: np.empty((0, DIMENSION), np.float32))
    fourier: FourierStyle | None = None

    @property
    def options(self) -> dict[str, Any]:
        """For descriptions and manifest rows."""
        return {SETTING: self.fourier.share} if self.fourier else {}

    def finished(self, images: np.ndarray) -> np.ndarray:
        """Images uint8 [B, H, W, 3] as they are written."""
        return self.fourier(images) if self.fourier else images

    def draw(self, seed: int, sample: int) -> tuple[str | None, np.ndarray]:
        """Name and code for a sample; (None, NaN) where there is nothing to draw from."""
        if not self.names:
            return None, np.full(self.codes.shape[1], np.nan, np.float32)
        i = int(style_rng(seed, sample).integers(len(self.names)))
        return self.names[i], self.codes[i]


def choose(asked: str, model: LoadedModel, file: Path, options: dict[str, Any] | None = None) -> Styles:
    """What `--style` asks for: "auto" (any of the training frames'), "any" (left to the model), a picture's path, or
    the name of a video or frame that the model was trained on. options: those of `--set`, see `fourier_style`.

    Raises UsageError for a name that the model does not know, or for a model that was trained without styles.
    """
    stages = model.stages or (model,)
    none = Styles((), np.empty((0, DIMENSION * len(stages)), np.float32))
    image = read_image(Path(asked)) if Path(asked).is_file() else None
    share = share_of(options or {}, asked, image is not None)
    fourier = FourierStyle(image, share) if image is not None and share else None
    if model.first.family != families.DIFFUSION or model.net.style is None:
        if asked in ("auto", "any"):
            return none
        if fourier:  # of any model
            return Styles((Path(asked).name,), np.full((1, DIMENSION * len(stages)), np.nan, np.float32), fourier)
        if model.family not in (families.DIFFUSION, families.CASCADE):
            raise UsageError(
                f"--style {asked}: {file} is a model of kind {model.family}, which has no styles; the light of a "
                f"picture can be had of any model: --style IMAGE --set {SETTING}=0.01"
            )
        raise UsageError(f"--style {asked}: {file} was trained without styles; train with network.style=true")
    bank = model.meta.get("styles", [])
    if asked == "any":
        return none
    if asked == "auto":
        return _styles(bank, stages)
    if image is not None:
        codes = [style_code(to_tensor(resize_image(image, s.size)[None], "cpu")).numpy() for s in stages]
        return Styles((Path(asked).name,), np.concatenate(codes, axis=1), fourier)
    if chosen := [style for style in bank if asked in (style["video"], style["name"])]:
        return _styles(chosen, stages)
    videos = sorted({style["video"] for style in bank if style["video"]})
    known = f"videos {', '.join(videos[:8])}" if videos else f"frames such as {', '.join(s['name'] for s in bank[:3])}"
    raise UsageError(f"--style {asked}: neither a picture nor known to {file}, which knows {known}")


def _styles(bank: list[dict], stages: tuple[LoadedModel, ...]) -> Styles:
    """Those of the first stage's `bank`; a later stage that was not trained on a frame takes any style for it."""
    names = tuple(style["name"] for style in bank)
    columns = []
    for k, stage in enumerate(stages):
        own = {style["name"]: style["code"] for style in (stage.meta.get("styles", []) if k else bank)}
        codes = [own.get(name, [np.nan] * DIMENSION) for name in names]
        columns.append(np.array(codes, np.float32).reshape(-1, DIMENSION))
    return Styles(names, np.concatenate(columns, axis=1))
