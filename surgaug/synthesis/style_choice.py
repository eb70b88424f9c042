"""`--style`: whose colours, contrast and sharpness a sample gets. Which one is a function of (seed, sample) alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from surgaug.datasets.pairing import IMAGE_FOLDERS, files_below, find_folder
from surgaug.errors import UsageError
from surgaug.io.images import file_digest, read_image
from surgaug.labels.resize import resize_image
from surgaug.models import families
from surgaug.models.checkpoint import LoadedModel
from surgaug.models.style import DIMENSION, style_code
from surgaug.runtime.device import to_tensor
from surgaug.runtime.spread import spread_over
from surgaug.synthesis.fourier_style import FourierStyle
from surgaug.synthesis.noise import style_rng
from surgaug.synthesis.style_settings import FOURIER, TRIES, StyleSettings, read_settings

MOST_FRAMES = 256  # of a folder of frames


@dataclass(frozen=True)
class Styles:
    """The styles to draw from: names, and codes float32 [N, 7]; of a cascade [N, 14], those of either stage's size one
    behind the other. None at all: the model's own choice. fourier: what images are given afterwards, if anything.
    tries: how often pictures are painted to find `shift` float32 [7], what is added to the first stage's codes so that
    pictures have the look asked for (`style_tuning`). pictures: a digest of the picture files that were read; ""
    without any. videos: the numbers of the styles of each video; without any, all styles are drawn alike."""

    names: tuple[str, ...] = ()
    codes: np.ndarray = field(default_factory=lambda: np.empty((0, DIMENSION), np.float32))
    fourier: FourierStyle | None = None
    tries: int = 0
    shift: np.ndarray | None = None
    pictures: str = ""
    videos: tuple[tuple[int, ...], ...] = ()

    @property
    def options(self) -> dict[str, Any]:
        """For descriptions and manifest rows."""
        fourier = {FOURIER: self.fourier.share} if self.fourier else {}
        return fourier | ({TRIES: self.tries} if self.tries else {})

    def finished(self, images: np.ndarray) -> np.ndarray:
        """Images uint8 [B, H, W, 3] as they are written."""
        return self.fourier(images) if self.fourier else images

    def draw(self, seed: int, sample: int) -> tuple[str | None, np.ndarray]:
        """Name and code for a sample; (None, NaN) where there is nothing to draw from.

        First a video, each as often, then one of its frames. A video that nobody has seen may look like any other, and
        those with many frames are no likelier for that.
        """
        if not self.names:
            return None, np.full(self.codes.shape[1], np.nan, np.float32)
        rng, videos = style_rng(seed, sample), self.videos or (range(len(self.names)),)
        video = videos[rng.integers(len(videos))]
        i = video[rng.integers(len(video))]
        if self.shift is None:
            return self.names[i], self.codes[i]
        return self.names[i], np.concatenate([self.codes[i, :DIMENSION] + self.shift, self.codes[i, DIMENSION:]])


def choose(asked: str, model: LoadedModel, file: Path, options: dict[str, Any] | None = None) -> Styles:
    """What `--style` asks for: "auto" (a training frame's, of each video as often), "any" (left to the model), the name
    of a video or frame that the model was trained on, a picture's path, or a folder of pictures, each drawn as often.
    options: those of `--set`, see `style_settings`.

    Raises UsageError for a name that the model does not know, or for a model that was trained without styles, and
    DataError for a folder without pictures or a file that is none.
    """
    if not asked:
        raise UsageError("--style: empty; say auto, any, a video or frame, a picture or a folder of pictures")
    stages = model.stages or (model,)
    none = Styles((), np.empty((0, DIMENSION * len(stages)), np.float32))
    bank = model.first.meta.get("styles", [])
    known = [style for style in bank if asked in (style["video"], style["name"])]
    pictures = {} if asked in ("auto", "any") or (known and not Path(asked).is_file()) else _pictures(asked)
    settings = read_settings(options or {}, asked, len(pictures))
    if model.first.family != families.DIFFUSION or model.net.style is None:
        return _without_codes(asked, model, file, pictures, settings, none)
    if asked == "any":
        return none
    if asked == "auto":
        return _styles(bank, stages)
    if pictures:
        images = [read_image(path) for path in pictures.values()]
        codes = [
            np.concatenate([style_code(to_tensor(resize_image(i, s.size)[None], "cpu")).numpy() for i in images])
            for s in stages
        ]
        fourier = FourierStyle(images[0], settings.fourier) if settings.fourier else None
        found = _digest(pictures.values())
        return Styles(tuple(pictures), np.concatenate(codes, axis=1), fourier, settings.tries, pictures=found)
    if known:
        return _styles(known, stages)
    videos = sorted({style["video"] for style in bank if style["video"]})
    told = f"videos {', '.join(videos[:8])}" if videos else f"frames such as {', '.join(s['name'] for s in bank[:3])}"
    raise UsageError(
        f"--style {asked}: neither a picture, nor a folder of pictures, nor known to {file}, which knows {told}"
    )


def _pictures(asked: str) -> dict[str, Path]:
    """Names and paths of the pictures: the file, or those of a folder, evenly spread over it where there are many."""
    path = Path(asked)
    if path.is_file():
        return {path.name: path}
    if not path.is_dir():
        return {}
    files = files_below(find_folder(path, IMAGE_FOLDERS) or path, twins={})
    return dict(spread_over(list(files.items()), MOST_FRAMES))


def _digest(files: Iterable[Path]) -> str:
    """Of what the files hold, in their order, whatever they are called."""
    return hashlib.sha256("".join(map(file_digest, files)).encode()).hexdigest()[:16]


def _without_codes(
    asked: str, model: LoadedModel, file: Path, pictures: dict[str, Path], settings: StyleSettings, none: Styles
) -> Styles:
    """What a model that heeds no style can be asked for: a picture's light, which is put on afterwards."""
    if asked in ("auto", "any"):
        return none
    if settings.fourier:
        (name, path), codes = next(iter(pictures.items())), np.full((1, none.codes.shape[1]), np.nan, np.float32)
        return Styles((name,), codes, FourierStyle(read_image(path), settings.fourier), pictures=_digest([path]))
    if model.family not in (families.DIFFUSION, families.CASCADE):
        raise UsageError(
            f"--style {asked}: {file} is a model of kind {model.family}, which has no styles; the light of a "
            f"picture can be had of any model: --style IMAGE --set {FOURIER}=0.01"
        )
    raise UsageError(f"--style {asked}: {file} was trained without styles; train with network.style=true")


def _styles(bank: list[dict], stages: tuple[LoadedModel, ...]) -> Styles:
    """Those of the first stage's `bank`; a later stage that was not trained on a frame takes any style for it."""
    names = tuple(style["name"] for style in bank)
    columns = []
    for k, stage in enumerate(stages):
        own = {style["name"]: style["code"] for style in (stage.meta.get("styles", []) if k else bank)}
        codes = [own.get(name, [np.nan] * DIMENSION) for name in names]
        columns.append(np.array(codes, np.float32).reshape(-1, DIMENSION))
    videos: dict[str | None, list[int]] = {}  # frames of no known video count as one
    for i, style in enumerate(bank):
        videos.setdefault(style["video"], []).append(i)
    return Styles(names, np.concatenate(columns, axis=1), videos=tuple(map(tuple, videos.values())))
