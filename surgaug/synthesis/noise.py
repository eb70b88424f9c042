"""Random numbers that depend on (seed, sample, step) alone, so that a sample is the same however a run is split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MAX_SEED = 2**63 - 1
_MASK_ORDER, _NOISE, _PERTURBATION, _STYLE = range(4)


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


def sample_noise(seed: int, sample: int, step: int, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal float32 [*shape]: step 0 is where sample `sample` starts (x_T), step s > 0 is its s-th step."""
    return _generator(seed, _NOISE, sample, step).standard_normal(shape, dtype=np.float32)


def batch_noise(seed: int, samples: Sequence[int], step: int, shape: tuple[int, ...]) -> np.ndarray:
    """`sample_noise` of several samples, float32 [len(samples), *shape]."""
    out = np.empty((len(samples), *shape), np.float32)
    for row, sample in zip(out, samples, strict=True):
        _generator(seed, _NOISE, sample, step).standard_normal(out=row, dtype=np.float32)
    return out
