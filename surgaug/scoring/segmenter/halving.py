"""Which mixture of real and synthetic images is best, from few noisy trainings: successive halving. Pure.

A grid of mixtures is tried coarsely with one seed; then the better half of all mixtures with another seed, and half of
those (Jamieson and Talwalkar 2016). What is better is told by kriging (Rasmussen and Williams 2006, chapter 2), not by
a mixture's own trainings alone: neighbours on the scale of ratios, and the same ratio trained otherwise, say something
of it too. One training's chance is larger than most differences between mixtures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np

RATIOS = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0)
COARSE = (0.5, 2.0, 6.0)
# How many times as long real frames are trained on alone: a mixture of 1:6 takes seven times the steps, and where these
# are few, training longer brings more than anything.
TIMES = (1, 2, round(1 + max(RATIOS)))
Way = Literal["joint", "first"]
Labels = Literal["judged", "raw"]
JOINT: Way = "joint"
FIRST: Way = "first"
JUDGED: Labels = "judged"
RAW: Labels = "raw"
SHARE = 1 / 3  # of the grid's trainings
_OCTAVES = 1.5  # by how much ratios must differ to say little of each other
_ALIKE = 0.6  # how much of a mixture's gain is that of the same ratio trained otherwise
_COMMON = 2.0  # variance of what all mixtures have in common, in that of their differences
_SPREADS = tuple(0.002 * 2**k for k in range(6))  # of mixtures and of seeds, mIoU: the likeliest pair is taken
_CAUTION = 0.5  # standard errors by which a gain must exceed 0 before a mixture is advised


@dataclass(frozen=True, order=True)
class Mixture:
    """Synthetic images for each real one; trained jointly or first; with the labels that a judge trusts, or all."""

    ratio: float
    way: Way = JOINT
    labels: Labels = RAW


@dataclass(frozen=True)
class Trial:
    """A mixture (None: real frames alone, for so many times the steps) with a seed."""

    mixture: Mixture | None
    seed: int
    times: int = 1


Results = dict[Trial, float]
Point = Mixture | int  # a mixture; or real frames alone, for so many times the steps


def grid(judged: bool) -> list[Mixture]:
    """All mixtures; `judged`: whether a judge took labels away, so that there are two kinds of them."""
    kinds: tuple[Labels, ...] = (JUDGED, RAW) if judged else (RAW,)
    ways: tuple[Way, ...] = (JOINT, FIRST)
    return [Mixture(*one) for one in product(RATIOS, ways, kinds)]


def grid_trainings(mixtures: Sequence[Mixture], seeds: int) -> int:
    """How many the whole grid would take, with real frames alone for each of `TIMES`."""
    return (len(mixtures) + len(TIMES)) * seeds


def rungs(mixtures: Sequence[Mixture], seeds: int) -> Iterator[Callable[[Results], list[Trial]]]:
    """What to train, rung after rung, each from what was found so far; in all `SHARE` of the grid.

    Each rung has a seed of its own and also trains on real frames alone with it, so that differences are paired.
    """
    coarse = [m for m in mixtures if m.ratio in COARSE]
    left = max(0, int(SHARE * grid_trainings(mixtures, seeds)) - len(coarse) - len(TIMES) - (seeds - 1))
    yield lambda found: [*(Trial(None, 0, times) for times in TIMES), *(Trial(m, 0) for m in coarse)]
    for seed in range(1, seeds):
        many = left if seed == seeds - 1 else -(-2 * left // 3)
        left -= many
        yield _next_rung(mixtures, seed, many)


def _next_rung(mixtures: Sequence[Mixture], seed: int, many: int) -> Callable[[Results], list[Trial]]:
    def chosen(found: Results) -> list[Trial]:
        fit = Kriging(found, mixtures)
        best = np.argsort(-fit.gain, kind="stable")[:many]
        return [Trial(None, seed, fit.times), *(Trial(mixtures[i], seed) for i in best)]

    return chosen


class Kriging:
    """Gains of all mixtures over real frames alone, from the trainings that were `found`.

    times: of `TIMES`, with how many times the steps real frames alone do best. gain, error: float [n], of `mixtures`,
    mean and standard error of the gain over that.
    """

    def __init__(self, found: Results, mixtures: Sequence[Mixture]) -> None:
        values = np.array(list(found.values()))
        where: list[Point] = [t.mixture or t.times for t in found]
        alike = _covariance(where, where)
        self.spread, self.noise = max(
            product(_SPREADS, _SPREADS), key=lambda pair: self._likelihood(values, alike, *pair)
        )
        references = sorted({t.times for t in found if t.mixture is None})
        points: list[Point] = [*mixtures, *references]
        inverse, mean = self._solved(values, alike, self.spread, self.noise)
        across = self.spread**2 * _covariance(points, where)
        at = mean + across @ inverse @ (values - mean)
        spread = self.spread**2 * _covariance(points, points) - across @ inverse @ across.T
        n = len(mixtures)
        best = n + int(np.argmax(at[n:]))
        self.times = references[best - n]
        self.gain = at[:n] - at[best]
        variance = np.diag(spread)[:n] + spread[best, best] - 2 * spread[:n, best]
        self.error = np.sqrt(np.maximum(variance, 0.0))

    @staticmethod
    def _solved(values: np.ndarray, alike: np.ndarray, spread: float, noise: float) -> tuple[np.ndarray, float]:
        """The inverse covariance of the values, and their generalised mean; alike: see `_covariance`."""
        covariance = spread**2 * alike + noise**2 * np.eye(len(values))
        inverse = np.linalg.inv(covariance)
        return inverse, float(inverse.sum(0) @ values / inverse.sum())

    def _likelihood(self, values: np.ndarray, alike: np.ndarray, spread: float, noise: float) -> float:
        """Log likelihood, less a weak pull of both spreads to a hundredth."""
        inverse, mean = self._solved(values, alike, spread, noise)
        _, determinant = np.linalg.slogdet(inverse)
        rest = values - mean
        pull = 0.5 * (np.log(spread / 0.01) ** 2 + np.log(noise / 0.01) ** 2)
        return float(0.5 * determinant - 0.5 * rest @ inverse @ rest - pull)


def advised(found: Results, mixtures: Sequence[Mixture]) -> tuple[Mixture | None, Kriging]:
    """The mixture with the greatest gain among those that were trained, where that exceeds half its standard error.

    None: no synthetic images, since too little says that they help.
    """
    fit = Kriging(found, mixtures)
    trained = {t.mixture for t in found}
    known = [i for i, m in enumerate(mixtures) if m in trained]
    best = max(known, key=lambda i: fit.gain[i])
    return (mixtures[best] if fit.gain[best] > _CAUTION * fit.error[best] else None), fit


def _covariance(a: Sequence[Point], b: Sequence[Point]) -> np.ndarray:
    """Covariance float [len(a), len(b)] of the mIoU of mixtures around their mean, and of real frames alone for so many
    times the steps. Mixtures and real frames alone say nothing of each other."""
    out = np.zeros((len(a), len(b)))
    for i, one in enumerate(a):
        for j, other in enumerate(b):
            if isinstance(one, Mixture) and isinstance(other, Mixture):
                octaves = np.log2(one.ratio / other.ratio)
                alike = _ALIKE ** ((one.way != other.way) + (one.labels != other.labels))
            elif isinstance(one, int) and isinstance(other, int):
                octaves, alike = np.log2(one / other), 1.0
            else:
                continue
            out[i, j] = _COMMON + alike * np.exp(-0.5 * (octaves / _OCTAVES) ** 2)
    return out
