"""Random numbers that depend on (seed, sample, step) alone, so that a sample is the same however a run is split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_MASK_ORDER, _NOISE, _PERTURBATION, _STYLE, _DRAWN_AGAIN, _HARD_ORDER = range(6)


def _generator(seed: int, stream: int, *keys: int) -> np.random.Generator:
    # torch.Generator takes 32 bits of a seed on the CPU: 100,000 streams would share some noise by chance (birthday
    # paradox), and its numbers differ between devices. The words below are of equal count for equal streams, so that
    # no two keys meet.
    words = [seed & 0xFFFFFFFF, seed >> 32, stream, *keys]
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(words)))


def mask_order_rng(seed: int, lap: int) -> np.random.Generator:
    """The generator that shuffles the masks of one lap (every mask once)."""
    return _generator(seed, _MASK_ORDER, lap)


def perturbation_rng(seed: int, sample: int) -> np.random.Generator:
    """The generator that perturbs the label map of one sample."""
    return _generator(seed, _PERTURBATION, sample)


def style_rng(seed: int, sample: int) -> np.random.Generator:
    """The generator that draws the style of one sample."""
    return _generator(seed, _STYLE, sample)


def hard_order_rng(seed: int) -> np.random.Generator:
    """The generator that says where in its turns each mask comes when hard masks come more often."""
    return _generator(seed, _HARD_ORDER)


def sample_noise(seed: int, sample: int, step: int, shape: tuple[int, ...], draw: int = 0) -> np.ndarray:
    """Standard normal float32 [*shape]: step 0 is where sample `sample` starts (x_T), step s > 0 is its s-th step.

    draw: 0, and one more for each time that the sample is drawn again.
    """
    return _noise_rng(seed, sample, step, draw).standard_normal(shape, dtype=np.float32)


def batch_noise(
    seed: int, samples: Sequence[int], step: int, shape: tuple[int, ...], draws: Sequence[int] | None = None
) -> np.ndarray:
    """`sample_noise` of several samples, float32 [len(samples), *shape]. draws: one a sample; None: all 0."""
    out = np.empty((len(samples), *shape), np.float32)
    for row, sample, draw in zip(out, samples, draws or [0] * len(samples), strict=True):
        _noise_rng(seed, sample, step, draw).standard_normal(out=row, dtype=np.float32)
    return out


def _noise_rng(seed: int, sample: int, step: int, draw: int) -> np.random.Generator:
    return _generator(seed, _DRAWN_AGAIN, draw, sample, step) if draw else _generator(seed, _NOISE, sample, step)
