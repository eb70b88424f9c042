"""`--judge`: a segmenter of the real frames reads every image as it is made.

Pixels whose label it does not trust get the ignore value; images that it hardly trusts are drawn again, and left out in
the end. Which pixels and images is a function of the image alone, so that it is the same however a run is split.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from surgaug.datasets.dataset import PairedFrames, open_pairs
from surgaug.datasets.space_match import INSIST, bring, of_model, open_own
from surgaug.errors import DataError, ModelError
from surgaug.io.lock import in_turn
from surgaug.labels.label_space import IGNORE_INDEX, MAX_ID, LabelSpace
from surgaug.labels.space_match import is_named
from surgaug.models.checkpoint import LoadedModel
from surgaug.runtime.feedback import Feedback
from surgaug.segmenter.config import SegmenterConfig
from surgaug.segmenter.judge import Judge, Reading, fit, judge_key, judge_path, load, read_real, training_frames
from surgaug.segmenter.network import working_size
from surgaug.segmenter.training import default_steps
from surgaug.synthesis.config import SynthesizeConfig

DRAWS = 4  # of a sample that is not trusted; the first counts
PROBES = 50  # images from which the shares are forecast
_FEW = 5  # images that show a class, below which nothing is forecast of it
_LOW = 0.5  # share of a class's pixels


@dataclass(frozen=True)
class JudgeSource:
    """A judge that is there, or can be trained. key: equal keys mean equal judges."""

    key: str
    ready: Callable[[], Judge]


def open_judge(
    config: SynthesizeConfig, model: LoadedModel, model_file: Path, size: tuple[int, int], device: torch.device,
    feedback: Feedback,
) -> JudgeSource:  # fmt: skip
    """What `config.judge` names: a judge's file, or the folder of real frames that one is trained on.

    size: (H, W) of the smallest image that will be made. Raises ModelError for a file that is no judge or knows other
    classes; DataError for frames that cannot be read.
    """
    assert config.judge is not None
    source = Path(config.judge)
    if source.is_file() or source.suffix == ".safetensors":
        judge = load(source, device)
        _check_space(judge, model.space, source)
        return JudgeSource(judge.key, lambda: judge)
    frames = _real_frames(source, config, model, model_file, feedback)
    frames = training_frames(frames, source, config.leave_out_bad, feedback)
    hw = working_size(size)
    read = read_real(frames, hw, f"--judge {source}", feedback)
    steps = config.segmenter_steps or default_steps(int(np.count_nonzero(read.class_frames())))
    settings = SegmenterConfig(size=hw, steps=steps)

    def ready() -> Judge:
        path = judge_path(judge_key(read, settings))
        path.parent.mkdir(parents=True, exist_ok=True)
        with in_turn(path.parent, feedback):  # shards that begin together train it once
            judge = fit(read, settings, device, feedback)
        feedback.info(f"judge: trained on {len(read)} real frames of {source}, kept as {path}")
        return judge

    return JudgeSource(judge_key(read, settings), ready)


def with_ignore(space: LabelSpace) -> LabelSpace:
    """`space` with an id for pixels that have no label: its own, else 255, else the first beyond its classes.

    Raises DataError where all ids are taken.
    """
    if space.ignore is not None:
        return space
    free = IGNORE_INDEX if IGNORE_INDEX not in space.ids else space.max_id + 1
    if free > MAX_ID:
        raise DataError(f"--judge: '{space.name}' has no id left for pixels that are not trusted; renumber its classes")
    return replace(space, ignore=free)


@dataclass(frozen=True)
class Judging:
    """A judge with what is asked of it: see `SynthesizeConfig`."""

    judge: Judge
    trust: float
    least_agreement: float | None

    def reading(self, image: np.ndarray, label_map: np.ndarray) -> Reading:
        """Of an image uint8 [H, W, 3] and its label map of ids [H, W]."""
        return self.judge.reading(image, label_map, self.trust)

    def refuses(self, reading: Reading) -> bool:
        """Whether the image is trusted too little to be admitted."""
        return self.least_agreement is not None and reading.agreement < self.least_agreement


@dataclass(frozen=True)
class Kept:
    """A forecast of the share of pixels that will be kept: `share`, give or take `margin` (95 %), from `images`."""

    share: float
    margin: float
    images: int


def forecast(readings: Sequence[Reading], space: LabelSpace) -> tuple[Kept, dict[int, Kept]]:
    """The share that will be kept of all labelled pixels, by these first readings; and by class id, of classes that at
    least `_FEW` of them show."""
    pixels = np.zeros((len(readings), 2, space.num_classes), np.int64)  # labelled, doubted
    for of_image, reading in zip(pixels, readings, strict=True):
        for i, counts in reading.pixels.items():
            of_image[:, space.index_table[i]] = counts
    shown = np.flatnonzero((pixels[:, 0] > 0).sum(0) >= _FEW).tolist()
    return kept(*pixels.sum(2).T), {space.ids[k]: kept(*pixels[:, :, k].T) for k in shown}


def kept(labelled: np.ndarray, doubted: np.ndarray) -> Kept:
    """The forecast from the labelled and the doubted pixels of some images, int [n] each.

    A ratio of two sums, whose variance is that of its residuals (Cochran 1977).
    """
    of = labelled > 0
    n, total = int(of.sum()), max(1, int(labelled.sum()))
    share = 1 - float(doubted.sum()) / total
    residuals = labelled[of] - doubted[of] - share * labelled[of]
    variance = n / (n - 1) * float((residuals**2).sum()) / total**2 if n > 1 else np.inf
    return Kept(share, 1.96 * variance**0.5, n)


def tell_forecast(readings: Sequence[Reading], judging: Judging, space: LabelSpace, feedback: Feedback) -> None:
    """Say which share of the labels will be kept, before the other images are made."""
    whole, classes = forecast(readings, space)
    refused = sum(map(judging.refuses, readings))
    rows = [
        [i, space.by_id(i).name, of.images, f"{100 * of.share:.0f} ± {100 * of.margin:.0f} %"]
        for i, of in sorted(classes.items(), key=lambda item: item[1].share)
    ]
    feedback.table(
        f"Forecast from {len(readings)} images", ["id", "class", "images", "pixels kept"], rows,
        f"{100 * whole.share:.0f} ± {100 * whole.margin:.0f} % of all pixels are kept; classes that fewer than "
        f"{_FEW} of these images show are left out",
    )  # fmt: skip
    if low := [f"{space.by_id(i).name} {100 * of.share:.0f} %" for i, of in classes.items() if of.share < _LOW]:
        feedback.warn(
            f"of some classes little will be kept ({', '.join(low)}): --trust {2 * judging.trust:g} keeps more; or the "
            "model does not know them yet"
        )
    if refused:
        feedback.warn(
            f"{refused} of {len(readings)} images stay below --least-agreement {judging.least_agreement:g} even when "
            f"drawn {DRAWS} times, and are left out"
        )


def _real_frames(
    source: Path, config: SynthesizeConfig, model: LoadedModel, model_file: Path, feedback: Feedback
) -> PairedFrames:
    """The real frames in the model's label space."""
    if config.classes == INSIST:
        return open_pairs(source, classes=model.space, feedback=feedback)
    reference = of_model(model.space, model_file, model.meta, f"say --classes {INSIST} if they are the model's")
    frames = open_own(
        lambda how, heard: open_pairs(source, classes=how, feedback=heard), config.classes, model.space, feedback
    )
    return bring(frames, reference, feedback)


def _check_space(judge: Judge, space: LabelSpace, file: Path) -> None:
    """ModelError where an id means another class to the judge than to the model; of bare ids nothing is known."""
    if not (is_named(judge.space) and is_named(space)):
        return
    names = dict(zip(judge.space.ids, judge.space.names, strict=True))
    if wrong := [c for c in space.classes if names.get(c.id, c.name) != c.name]:
        raise ModelError(
            f"--judge {file}: id {wrong[0].id} is '{names[wrong[0].id]}' to it and '{wrong[0].name}' to the model; "
            "name the folder of real frames instead"
        )


def tell_unknown(judge: Judge, shown: Iterable[int], space: LabelSpace, feedback: Feedback) -> None:
    """Say which of the classes (ids) that the label maps show the judge knows nothing of."""
    known = {i for i, mean in zip(judge.space.ids, judge.class_means, strict=True) if np.isfinite(mean)}
    if names := [space.by_id(i).name for i in sorted(set(shown) - known)]:
        feedback.warn(f"judge: no real frame shows {', '.join(names)}, so every pixel of them is trusted")
