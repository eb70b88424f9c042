"""What the first stage makes of training frames: small pictures with its own faults, for the second stage to mend.

Noise is added to a frame made small, as much as leaves its layout and colours, and the first stage takes it off again
(SDEdit, Meng et al. 2022): the picture is the first stage's, yet lies where the frame's pixels lie.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from surgaug.diffusion.schedules import Schedule
from surgaug.errors import UsageError
from surgaug.io.array_file import Record
from surgaug.models import families
from surgaug.models.checkpoint import LoadedModel, load_model
from surgaug.models.style import style_code
from surgaug.runtime.device import to_tensor
from surgaug.runtime.feedback import Feedback
from surgaug.runtime.spread import spread
from surgaug.training.sampling import guided, sampled
from surgaug.training.windows import WindowedFrames

# The noise (sigma) that a picture begins with: the least hides its details, the most leaves little but its colours.
STRENGTHS = (1.0, 2.0, 4.0)
MOST = 510  # frames; more would teach little more about the first stage's faults
A_MINUTE = 30  # frames at most for each minute of training: a fifth of it on one CPU core
LEAST = 48
BATCH = 16


def how_many(minutes: float | None) -> int:
    """Of how many frames pictures are made at most, for a stage that is trained for that long (None: by steps)."""
    return MOST if minutes is None else min(MOST, max(LEAST, round(A_MINUTE * minutes)))


def own_pictures(
    file: Path,
    frames: WindowedFrames,
    seed: int,
    device: torch.device,
    dtype: torch.dtype | None,
    feedback: Feedback,
    most: int = MOST,
) -> dict[int, np.ndarray]:
    """By the number of a frame, the picture uint8 [h, w, 3] that the first stage `file` makes of it: of all frames, or
    of `most` evenly spaced ones, each with one of `STRENGTHS`. They are kept on disk as the frames are.

    UsageError where that is no first stage of these frames' classes and size.
    """
    first = load_model(file, device).first
    if first.family != families.DIFFUSION or first.space.names != frames.paired.space.names:
        raise UsageError(f"{file}: not the first stage of a cascade with the classes of {frames.paired.root}")
    if first.size != frames.base:
        sizes = ["x".join(map(str, size)) for size in (first.size, frames.base)]
        raise UsageError(f"{file}: makes pictures of {sizes[0]}, but cascade.base is {sizes[1]}")
    chosen = spread(len(frames), most)

    def make() -> Iterator[Record]:
        made = _pictures(first, frames, chosen, seed, device, dtype, feedback)
        return ((made[i],) for i in chosen)

    if frames.on_disk:
        about, needed = [first.hash, seed, STRENGTHS, chosen, str(dtype)], 3 * len(chosen) * math.prod(frames.base)
        try:
            kept = frames.kept("own pictures", about, needed, make, feedback)
            return {i: kept[k][0] for k, i in enumerate(chosen)}
        except OSError as error:
            feedback.warn(f"the first stage's own pictures are not kept on disk: {error}")
    return {i: picture for i, (picture,) in zip(chosen, make(), strict=True)}


def _pictures(
    first: LoadedModel,
    frames: WindowedFrames,
    chosen: list[int],
    seed: int,
    device: torch.device,
    dtype: torch.dtype | None,
    feedback: Feedback,
) -> dict[int, np.ndarray]:
    """Of the frames `chosen`, by their numbers."""
    found: dict[int, np.ndarray] = {}
    with feedback.task("first stage's own pictures", len(chosen), "pictures") as bar:
        for k, sigma in enumerate(STRENGTHS):
            mine = chosen[k :: len(STRENGTHS)]
            for start in range(0, len(mine), BATCH):
                batch = mine[start : start + BATCH]
                generator = torch.Generator().manual_seed(seed * 1_000_003 + batch[0])
                found |= dict(zip(batch, _made(first, frames, batch, sigma, generator, device, dtype), strict=True))
                bar.advance(len(batch))
    return found


@torch.inference_mode()
def _made(
    first: LoadedModel,
    frames: WindowedFrames,
    chosen: list[int],
    sigma: float,
    generator: torch.Generator,
    device: torch.device,
    dtype: torch.dtype | None,
) -> np.ndarray:
    """Images uint8 [b, h, w, 3] of the frames `chosen`, from noise of `sigma` on them."""
    x_0 = to_tensor(np.stack([frames.about(i)[0] for i in chosen]), device)
    maps = np.stack([frames.small_map(i, first.net.config.label_detail) for i in chosen])
    schedule, defaults = Schedule.from_dict(first.schedule), first.defaults
    style = style_code(x_0) if first.net.config.style else None
    scale, below = defaults.get("guidance", 1.0), defaults.get("guidance_below", math.inf)
    denoise = guided(first.net, first.prediction, maps, style, scale, below, device, dtype)
    return sampled(denoise, tuple(x_0.shape), schedule, defaults, generator, device, (x_0, sigma))
