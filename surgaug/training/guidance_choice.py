"""Which scale of guidance suits a model, chosen when its training ends, on its validation frames.

Guidance brings the pictures of one data set nearer to its frames and drives those of another away (docs/results.md,
"How much guidance"). So pictures of the validation frames' label maps are made with each scale, from the same noise,
and the scale is kept whose pictures lie nearest to these frames. Fewer frames than can tell choose nothing.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from surgaug.diffusion.schedules import Schedule
from surgaug.models.style import style_code
from surgaug.models.unet import SemanticUNet
from surgaug.runtime.device import to_tensor
from surgaug.runtime.feedback import Feedback
from surgaug.runtime.spread import spread
from surgaug.scoring.compute.colour_texture import MIN_SIZE, extract
from surgaug.scoring.compute.distances import frechet_distance
from surgaug.training.frames import Frames
from surgaug.training.sampling import guided, sampled

SCALES = (1.0, 1.5, 2.0)
PICTURES = 96  # of each scale at most
A_PICTURE = 200  # images trained on for each: a tenth of the training's time
LEAST = 48
LEAST_FRAMES = 16
BATCH = 16
# Less guidance shows labels less plainly. So another scale than the usual one must be nearer by a tenth, and nearer in
# nine of ten resamples of the frames.
MARGIN = 0.1
RESAMPLES, SURE = 200, 0.9


def how_many(seen: int) -> int:
    """Pictures of each scale for a network that was trained on so many images; 0 where these would be too few."""
    pictures = min(PICTURES, seen // A_PICTURE)
    return pictures if pictures >= LEAST else 0


@torch.inference_mode()
def choose(
    net: SemanticUNet,
    frames: Frames,
    seen: int,
    schedule: Schedule,
    prediction: str,
    sampling: dict[str, Any],
    device: torch.device,
    dtype: torch.dtype | None,
    feedback: Feedback,
) -> float:
    """The scale of guidance. seen: images that the network was trained on. sampling: the model's defaults, whose scale
    is the usual one."""
    pictures, usual = how_many(seen), float(sampling["guidance"])
    if missing := [
        f"{given}, and {least:,} are needed"
        for number, least, given in (
            (seen, LEAST * A_PICTURE, f"{seen:,} images trained on"),
            (len(frames), LEAST_FRAMES, f"{len(frames)} validation frames"),
            (min(frames.size), MIN_SIZE, f"{min(frames.size)} pixels a side"),
        )
        if number < least
    ]:
        feedback.info(f"guidance {usual:g} is kept, no other is tried: {'; '.join(missing)}")
        return usual
    views = [frames.view(i) for i in spread(len(frames), pictures)]
    images, index_maps = (np.stack(column) for column in zip(*views, strict=True))
    # Picture k is of map k modulo their number, in the look of another frame, as `synthesize` pairs them.
    of_map = np.arange(pictures) % len(views)
    looks = np.concatenate(
        [np.random.default_rng([9, r]).permutation(len(views)) for r in range(-(-pictures // len(views)))]
    )
    codes = style_code(to_tensor(images, device))[looks[:pictures]] if net.config.style else None
    scales = sorted({*SCALES, usual})
    features: dict[float, np.ndarray] = {}
    with feedback.task("choosing guidance", len(scales) * pictures, "pictures") as bar:
        for scale in scales:
            found: list[np.ndarray] = []
            for start in range(0, pictures, BATCH):
                part = slice(start, start + BATCH)
                maps, style = index_maps[of_map[part]], None if codes is None else codes[part]
                denoise = guided(
                    net, prediction, maps, style, scale, sampling.get("guidance_below", math.inf), device, dtype
                )
                shape, generator = (len(maps), 3, *frames.size), torch.Generator().manual_seed(start)
                found += map(extract, sampled(denoise, shape, schedule, sampling, generator, device))
                bar.advance(len(maps))
            features[scale] = np.stack(found)
    real = np.stack([extract(image) for image in images])
    chosen, distances, clear = nearest(real, features, of_map, usual)
    told = ", ".join(f"{distance:.3g} with {scale:g}" for scale, distance in distances.items())
    feedback.info(
        f"guidance {chosen:g}, by {pictures} pictures of {len(views)} validation frames each: Fréchet distance of "
        f"colour and texture {told}" + ("" if clear else f"; not enough of a gain to leave {usual:g}")
    )
    return chosen


def nearest(
    real: np.ndarray, made: dict[float, np.ndarray], of_map: np.ndarray, usual: float
) -> tuple[float, dict[float, float], bool]:
    """The scale whose pictures lie nearest to the frames, or `usual` where it is not clearly another; the Fréchet
    distance of each scale; and whether it is clear.

    real: features [m, d] of the frames. made: by scale, [n, d] of pictures; of_map: [n], which frame's map each shows.
    """
    distances = {scale: frechet_distance(real, features) for scale, features in made.items()}
    best = min(distances, key=lambda scale: distances[scale])
    if best == usual:
        return usual, distances, True
    if distances[best] > (1 - MARGIN) * distances[usual]:
        return usual, distances, False
    rng, wins = np.random.default_rng(10), 0
    for _ in range(RESAMPLES):
        drawn = rng.integers(len(real), size=len(real))
        rows = np.concatenate([np.flatnonzero(of_map == i) for i in drawn])
        ours, others = (frechet_distance(real[drawn], made[scale][rows]) for scale in (best, usual))
        wins += ours < others
    clear = wins >= SURE * RESAMPLES
    return (best if clear else usual), distances, clear
