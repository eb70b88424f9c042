"""Does a synthetic set repeat the training frames, or itself? Nearest neighbours by thumbnail and perceptual hash.

An image's fingerprint is what tells it from others, whatever small changes were made to it:

- 0-767: the image averaged to 16x16 RGB, less its mean, scaled to length 1: the squared distance of two is
  2 (1 - correlation), and brightness and contrast do not matter. 0 for an image of one colour;
- 768-770: of an image of one colour, that colour, for nothing else tells it from others; 0 of any other image. With the
  thumbnail they make one vector: images of one colour are near each other where their colours are nearly the same, and
  far from all images that show something;
- 771-834: the 64 bits of a perceptual hash: whether each of 8x8 low frequencies (1 to 8 either way) of the luminance at
  32x32 is above their median (pHash; Zauner 2010).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from surgaug.scoring.compute.bootstrap import RESAMPLES, chance_of_clusters, cluster_weights, student_interval
from surgaug.scoring.compute.neighbours import nearest
from surgaug.scoring.report.model import ClosePair, Definition, Measure

DIMENSION, VERSION = 835, 2  # of fingerprints
THUMBNAIL, HASH = slice(0, 771), slice(771, 835)
_EDGE, _HASH_EDGE, _LOW = 16, 32, 8
_FLAT = 1.0  # length of a thumbnail less its mean colour, 0.04 grey levels a number, up to which it shows nothing
_NEARLY = 5  # grey levels between colours, up to which images of one colour are near
LEAKAGE, COPIES, REPEATS = "leakage", "copies", "repeats"
EXACT = 1e-5  # distance of thumbnails of length 1, below which they are equal to rounding
NEAR_BITS, NEAR_DISTANCE = 10, 0.2  # of 64 bits; a distance of 0.2 is a correlation of 0.98
LISTED = 24
_NEAR = (
    f"at most {NEAR_BITS} of 64 bits of the perceptual hash differ, and 16x16 thumbnails correlate with 0.98 or more "
    f"(images of one colour: their colours lie {_NEARLY} grey levels apart at most)"
)
DEFINITIONS = {
    LEAKAGE: Definition(
        "Leakage (AUC)",
        "middle",
        "",
        "how often a synthetic image is nearer to its nearest training frame than a held-out real frame is to its own, "
        "by 16x16 thumbnails without brightness and contrast; 0.5: as far as new real frames; above: nearer, 1 for "
        "copies; below: unlike real frames (noise gives 0); neither side is better; interval by "
        "bootstrap over masks and videos of real frames (frames where those are not known)",
        "hygiene",
        ranked=False,  # copies are near, noise is far: neither is best
    ),
    COPIES: Definition(
        "Copies of training", "lower", "%", f"share of images near a training frame: {_NEAR}", "hygiene"
    ),
    REPEATS: Definition(
        "Repeats in the set", "lower", "%", f"share of images near another of the set: {_NEAR}", "hygiene"
    ),
}


@dataclass(frozen=True)
class Leakage:
    """Measures by name, the closest pairs of synthetic and training images, and what a reader must know."""

    measures: dict[str, Measure]
    closest: tuple[ClosePair, ...]
    notes: tuple[str, ...]


def fingerprint(image: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] to float32 [835] (see the top of this file)."""
    thumbnail = cv2.resize(image.astype(np.float32), (_EDGE, _EDGE), interpolation=cv2.INTER_AREA)
    if np.linalg.norm(thumbnail - thumbnail.mean((0, 1))) <= _FLAT:
        colour = image.mean((0, 1)) * NEAR_DISTANCE / _NEARLY
        return np.concatenate([np.zeros(thumbnail.size), colour, np.zeros(_LOW**2)]).astype(np.float32)
    thumbnail -= thumbnail.mean()
    unit = thumbnail.ravel() / np.linalg.norm(thumbnail)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    small = cv2.resize(grey, (_HASH_EDGE, _HASH_EDGE), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small)[1 : _LOW + 1, 1 : _LOW + 1].ravel()
    return np.concatenate([unit, np.zeros(3), low > np.median(low)]).astype(np.float32)


def find_leakage(
    synth: np.ndarray,
    real: np.ndarray,
    train: np.ndarray,
    synth_paths: tuple[Path, ...],
    train_paths: tuple[Path, ...],
    groups: tuple[np.ndarray, np.ndarray],
    seed: int,
) -> Leakage:
    """From fingerprints [n, 835] of synthetic, held-out real and training images. Pure.

    groups: int [n] and [m], images of one mask and frames of one video, which the bootstrap draws together.
    """
    distance, bits, index = _to_nearest(synth, train)
    real_distance, real_bits, _ = _to_nearest(real, train)
    near, real_near = _near(distance, bits), _near(real_distance, real_bits)
    held_out = real_distance >= EXACT
    order = np.lexsort((bits, distance))[:LISTED]
    closest = tuple(
        ClosePair(
            str(synth_paths[i]),
            str(train_paths[index[i]]),
            float(distance[i]),
            int(bits[i]),
            _kind(distance[i], near[i]),
        )
        for i in order
    )
    exact = int((distance < EXACT).sum())
    notes = []
    if near.any():
        real_ones = f"{int(real_near[held_out].sum())} of {int(held_out.sum())}"
        notes.append(
            f"{int(near.sum())} of {len(synth)} synthetic images are near-duplicates of training frames, {exact} of "
            f"them exact; of held-out real frames, {real_ones} are"
        )
    if not held_out.all():
        notes.append(
            f"{int((~held_out).sum())} of {len(real)} real frames are in --train as well: they are not held out, and "
            "leakage does without them"
        )
    measures = {
        LEAKAGE: _leakage(distance, real_distance[held_out], (groups[0], groups[1][held_out]), seed),
        COPIES: Measure(100 * float(near.mean()), len(synth)),
        REPEATS: _repeats(synth),
    }
    return Leakage(measures, closest, tuple(notes))


def _leakage(synth: np.ndarray, real: np.ndarray, groups: tuple[np.ndarray, np.ndarray], seed: int) -> Measure:
    """From distances [n] and [m] to training, of synthetic images and of real frames that are held out."""
    if not len(real):
        return Measure(None, len(synth), reason="every real frame is in --train as well: none is held out")
    return Measure(auc(synth, real), len(synth), *auc_interval(synth, real, groups, np.random.default_rng(seed)))


def _repeats(synth: np.ndarray) -> Measure:
    if len(synth) < 2:
        return Measure(None, len(synth), reason="one image repeats nothing")
    distance, index = nearest(synth[:, THUMBNAIL], synth[:, THUMBNAIL], other=True)
    return Measure(100 * float(_near(distance, _bits(synth, synth[index])).mean()), len(synth))


def _to_nearest(images: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance [n] of thumbnails to the nearest of `train`, the bits by which the hashes differ, and its position."""
    distance, index = nearest(images[:, THUMBNAIL], train[:, THUMBNAIL])
    return distance, _bits(images, train[index]), index


def _bits(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a[:, HASH] != b[:, HASH]).sum(1)


def _near(distance: np.ndarray, bits: np.ndarray) -> np.ndarray:
    return (distance < EXACT) | ((distance <= NEAR_DISTANCE) & (bits <= NEAR_BITS))


def _kind(distance: float, near: bool) -> Literal["exact", "near", "other"]:
    return "exact" if distance < EXACT else "near" if near else "other"


def auc_interval(
    synth: np.ndarray,
    real: np.ndarray,
    groups: tuple[np.ndarray, np.ndarray],
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> tuple[float, float] | tuple[None, None]:
    """Interval of `auc` of distances [n] and [m]; (None, None) where a single group on a side leaves nothing to draw.

    groups: of either side. The smaller number of them decides how well the chance is known.
    """
    fewest = min(len(np.unique(side)) for side in groups)
    if fewest < 2:
        return None, None
    # Both sides draw from one stream, in turns.
    drawn = zip(*(cluster_weights(side, rng, resamples) for side in groups), strict=True)
    chance = chance_of_clusters([auc(synth, real, *weights) for weights in drawn], fewest)
    return student_interval(auc(synth, real), [chance], within=(0.0, 1.0))


def auc(
    synth: np.ndarray, real: np.ndarray, synth_weights: np.ndarray | None = None, real_weights: np.ndarray | None = None
) -> float:
    """P(synthetic distance < real distance) + P(equal) / 2 (Mann and Whitney 1947), each counted so many times."""
    w = np.ones(len(synth)) if synth_weights is None else synth_weights
    v = np.ones(len(real)) if real_weights is None else real_weights
    order = np.argsort(real)
    upto = np.concatenate([[0.0], np.cumsum(v[order])])  # weight of the first 0, 1, ... real distances
    below, not_above = (upto[np.searchsorted(real[order], synth, side)] for side in ("left", "right"))
    return float(1 - (w @ (below + not_above)) / (2 * w.sum() * v.sum()))
