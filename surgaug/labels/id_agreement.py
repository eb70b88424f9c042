"""Whether bare ids are plainly those of a label space, from what its label maps are known to hold.

Ids 0 to 6 fit many label spaces. What tells them apart is how much of the frames each id covers, how often it is there
and which others it touches: the statistics that a model file keeps of the frames it was trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from surgaug.labels.class_statistics import ClassStatistics

# Total variation distance of the classes' shares of pixels. Real CaDIS maps lie within 0.51 of all CaDIS (any single
# frame of 858), 0.46 (any video); other sets' ids taken for CaDIS's beyond 0.68 (pooled).
FAR, FAR_FOR_FEW = 0.6, 0.7
NEAR = 0.5
_FEW = 8  # frames
_ENOUGH = 20  # frames that statistics must be of
_ALWAYS = 0.9  # a class that is in so many frames (a core class) ...
_MISSED = 0.5  # ... is in at least so many of any maps
_SEVERAL = 4  # videos, from which on ...
_DIVERGED = 3.0  # ... the classes' shares of frames lie within so many nats, all classes together (1.8 for 24 of CaDIS)
_CORE = 3  # core classes that must be there to tell anything by
# Nats by which two classes swapped must fit worse. Over videos and single frames of CaDIS two core classes fit worse by
# 4.9 at least; with their ids swapped in the maps, better by 5.4 at least (over videos). Instruments come and go: of
# 180 sets of maps with two instruments' ids swapped, or all of them, not one keeps the margin, and of true ones few do.
_MARGIN = 1.0
_SPREAD = 0.7  # standard deviation of the log of a class's share, over videos
_VIDEOS = 8  # more say no more about presence
_CAP = 6.0  # nats that one figure can count for
_LEAST = 1e-5


Verdict = Literal["plain", "partly", "open", "doubtful", "against"]


@dataclass(frozen=True)
class Agreement:
    """Whether bare ids are those of a space. verdict: "plain", they are; "partly", those of its core classes are, and
    the statistics cannot tell of others; "open", the statistics cannot tell of any; "doubtful", they speak against it;
    "against", the ids are another space's. why: the reason, in words; "" if plain."""

    verdict: Verdict
    why: str = ""


@dataclass(frozen=True)
class _Counts:
    """In the order of the classes: presence [K], of the frames; shares [K], of the pixels; touching [K, K], of the
    frames that show the rarer of two classes, NaN where unknown."""

    presence: np.ndarray
    shares: np.ndarray
    touching: np.ndarray

    @classmethod
    def of(cls, statistics: ClassStatistics, ids: Sequence[int]) -> _Counts:
        frames = np.array([statistics.presence.get(i, 0) for i in ids], np.float64)
        rarer = np.minimum.outer(frames, frames)
        touching = np.full(rarer.shape, np.nan)
        if statistics.touching:
            touching[rarer > 0] = 0
            place = {i: k for k, i in enumerate(ids)}
            for (a, b), n in statistics.touching.items():
                if a in place and b in place and (at := rarer[place[a], place[b]]):
                    touching[place[a], place[b]] = touching[place[b], place[a]] = n / at
        shares = np.array([statistics.pixels.get(i, 0.0) for i in ids])
        return cls(frames / max(statistics.frames, 1), shares, touching)


def agreement(
    of_maps: ClassStatistics, of_space: ClassStatistics, ids: Sequence[int], names: Sequence[str], videos: int
) -> Agreement:
    """How maps of bare ids agree with what is known of the space of `ids`. videos: how many the maps are of; 1 where
    none is known."""
    seen, known = _Counts.of(of_maps, ids), _Counts.of(of_space, ids)
    distance = share_distance(seen.shares, known.shares)
    k = int(np.argmax(np.abs(seen.shares - known.shares)))
    covers = f"{names[k]} would cover {seen.shares[k]:.0%} of the frames, and covered {known.shares[k]:.0%} in training"
    few = of_maps.frames < _FEW  # single frames differ more than sets of them
    if distance > (FAR_FOR_FEW if few else FAR):
        return Agreement("against", covers)
    if distance > (FAR if few else NEAR):
        return Agreement("doubtful", covers)
    usual, rate = known.presence, seen.presence
    core = np.flatnonzero(usual >= _ALWAYS)
    by_class = _divergence(rate, np.clip(usual, 0.002, 0.998))
    missed = [] if few else [int(i) for i in core if rate[i] < _MISSED]
    if missed or (videos >= _SEVERAL and by_class.sum() > _DIVERGED):
        i = missed[0] if missed else int(np.argmax(by_class))
        is_in = f"{names[i]} would be in {rate[i]:.0%} of the frames, and was in {usual[i]:.0%} in training"
        return Agreement("doubtful", is_in)
    if of_space.frames < _ENOUGH:
        return Agreement("open", f"the {of_space.frames} frames of its training tell too little of its classes")
    told = [int(i) for i in core if seen.presence[i]]
    if len(told) < _CORE:
        return Agreement("open", "too few classes are in every frame to tell the ids by")
    a, b, least = _easiest_swap(seen, known, told, told, videos)
    if least < -_MARGIN:
        return Agreement("doubtful", f"{names[b]} and {names[a]} would fit better the other way round")
    if least < _MARGIN:
        return Agreement("open", f"{names[b]} and {names[a]} would fit as well the other way round")
    there = [int(i) for i in np.flatnonzero(seen.presence)]
    a, b, least = _easiest_swap(seen, known, there, range(len(ids)), videos)  # whatever occurs, whatever it could be
    if least < _MARGIN:
        return Agreement("partly", f"{names[a]} might as well be {names[b]}")
    return Agreement("plain")


def share_distance(seen: np.ndarray, known: np.ndarray) -> float:
    """Total variation distance of two classes' shares of the pixels [K], from 0 to 1."""
    return 0.5 * float(np.abs(seen - known).sum())


def _easiest_swap(
    seen: _Counts, known: _Counts, ones: Sequence[int], others: Sequence[int], videos: int
) -> tuple[int, int, float]:
    """Of two different classes, one of `ones` and one of `others`: those whose swap costs the least, and its loss."""
    losses = ((a, b, _loss_by_swap(seen, known, a, b, videos)) for a in ones for b in others if a != b)
    return min(losses, key=lambda found: found[2])


def _loss_by_swap(seen: _Counts, known: _Counts, a: int, b: int, videos: int) -> float:
    """How many nats worse the maps fit with the ids of classes a and b swapped."""
    order = np.arange(len(seen.presence))
    order[[a, b]] = b, a
    own = _cost(seen, known, [a, b], [a, b], videos) + _contact_cost(seen, known, np.arange(len(order)))
    return _cost(seen, known, [a, b], [b, a], videos) + _contact_cost(seen, known, order) - own


def _cost(seen: _Counts, known: _Counts, ids: list[int], classes: list[int], videos: int) -> float:
    """How badly these ids' shares of pixels and of frames fit, if the ids were those classes; in nats."""
    by_share = 0.5 * ((_log(seen.shares[ids]) - _log(known.shares[classes])) / _SPREAD) ** 2
    usual = np.clip(known.presence[classes], 0.02, 0.98)
    by_presence = min(videos, _VIDEOS) * _divergence(seen.presence[ids], usual)
    return float((np.minimum(by_share, _CAP) + np.minimum(by_presence, _CAP)).sum())


def _contact_cost(seen: _Counts, known: _Counts, order: np.ndarray) -> float:
    """The same of how often classes touch, if id i is class `order[i]`."""
    differ = 4 * (seen.touching - known.touching[np.ix_(order, order)]) ** 2
    return float(np.nansum(np.triu(differ, 1)))


def _log(shares: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(shares, _LEAST))


def _divergence(seen: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Kullback-Leibler divergence of a Bernoulli rate from a known one, which is neither 0 nor 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        there = np.where(seen > 0, seen * np.log(seen / known), 0.0)
        not_there = np.where(seen < 1, (1 - seen) * np.log((1 - seen) / (1 - known)), 0.0)
    return there + not_there
