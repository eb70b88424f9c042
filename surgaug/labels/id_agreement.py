"""Whether bare ids are plainly those of a label space, from what its label maps are known to hold.

Ids 0 to 6 fit many label spaces. What tells them apart is how much of the frames each id covers, how often it is there
and which others it touches: the statistics that a model file keeps of the frames it was trained on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from surgaug.labels.map_statistics import MapStatistics

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
_CORE = 3  # core classes that must be told apart
# Nats by which two core classes swapped must fit worse. Over videos and single frames of CaDIS they fit worse by 4.9 at
# least; with two core ids swapped in the maps, better by 5.4 at least (over videos).
_MARGIN = 1.0
_SPREAD = 0.7  # standard deviation of the log of a class's share, over videos
_GROUPS = 8  # videos; more say no more about presence
_CAP = 6.0  # nats that one figure can count for
_LEAST = 1e-5


Verdict = Literal["plain", "untold", "doubtful", "against"]


@dataclass(frozen=True)
class Agreement:
    """plain: the ids are the space's. untold: the statistics cannot tell. doubtful: they speak against it. against: the
    ids are another space's. why: the reason, in words; "" if plain."""

    verdict: Verdict
    why: str = ""


def agreement(seen: MapStatistics, known: MapStatistics, names: tuple[str, ...]) -> Agreement:
    """Of maps of bare ids, counted by the classes of the space that they may be in, with what is known of it."""
    distance = share_distance(seen.shares, known.shares)
    k = int(np.argmax(np.abs(seen.shares - known.shares)))
    covers = f"{names[k]} would cover {seen.shares[k]:.0%} of the frames, and covered {known.shares[k]:.0%} in training"
    few = seen.frames < _FEW  # single frames differ more than sets of them
    if distance > (FAR_FOR_FEW if few else FAR):
        return Agreement("against", covers)
    if distance > (FAR if few else NEAR):
        return Agreement("doubtful", covers)
    usual, rate = known.presence / known.frames, seen.presence / seen.frames
    core = np.flatnonzero(usual >= _ALWAYS)
    by_class = _divergence(rate, np.clip(usual, 0.002, 0.998))
    missed = [] if few else [int(i) for i in core if rate[i] < _MISSED]
    if missed or (seen.groups >= _SEVERAL and by_class.sum() > _DIVERGED):
        i = missed[0] if missed else int(np.argmax(by_class))
        is_in = f"{names[i]} would be in {rate[i]:.0%} of the frames, and was in {usual[i]:.0%} in training"
        return Agreement("doubtful", is_in)
    if known.frames < _ENOUGH:
        return Agreement("untold", f"the {known.frames} frames of its training tell too little of its classes")
    told = [int(i) for i in core if seen.presence[i]]
    if len(told) < _CORE:
        return Agreement("untold", "too few classes are in every frame to tell the ids by")
    losses = {(a, b): _loss_by_swap(seen, known, a, b) for n, a in enumerate(told) for b in told[:n]}
    (a, b), least = min(losses.items(), key=lambda pair: pair[1])
    if least < _MARGIN:
        return Agreement("untold", f"{names[b]} and {names[a]} would fit as well the other way round")
    return Agreement("plain")


def share_distance(seen: np.ndarray, known: np.ndarray) -> float:
    """Total variation distance of two classes' shares of the pixels [K], from 0 to 1."""
    return 0.5 * float(np.abs(seen - known).sum())


def _loss_by_swap(seen: MapStatistics, known: MapStatistics, a: int, b: int) -> float:
    """How many nats worse the maps fit with the ids of classes a and b swapped."""
    order = np.arange(len(seen.presence))
    order[[a, b]] = b, a
    own = _cost(seen, known, [a, b], [a, b]) + _contact_cost(seen, known, np.arange(len(order)))
    return _cost(seen, known, [a, b], [b, a]) + _contact_cost(seen, known, order) - own


def _cost(seen: MapStatistics, known: MapStatistics, ids: list[int], classes: list[int]) -> float:
    """In nats, of these ids' shares of pixels and of frames, if they were those classes."""
    by_share = 0.5 * ((_log(seen.shares[ids]) - _log(known.shares[classes])) / _SPREAD) ** 2
    usual = np.clip(known.presence[classes] / known.frames, 0.02, 0.98)
    by_presence = min(seen.groups, _GROUPS) * _divergence(seen.presence[ids] / seen.frames, usual)
    return float((np.minimum(by_share, _CAP) + np.minimum(by_presence, _CAP)).sum())


def _contact_cost(seen: MapStatistics, known: MapStatistics, order: np.ndarray) -> float:
    """Of the share in which two classes touch, if id i is class `order[i]`."""
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
