"""Which mask each sample is made from, which samples are a shard's, and which make a batch. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from surgaug.errors import UsageError
from surgaug.runtime.spread import spread
from surgaug.synthesis.noise import hard_order_rng, mask_order_rng

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
ORDERS = ("even", "rare-first", "hard")


@dataclass(frozen=True)
class Shard:
    """Part `index` of `count`, counted from 1; of that, part `inner` (itself a Shard) where processes share it."""

    index: int = 1
    count: int = 1
    inner: Shard | None = None

    def __str__(self) -> str:
        return f"{self.index}/{self.count}" + (f", of it {self.inner}" if self.inner else "")

    @property
    def name(self) -> str:
        """For file names; "" for the whole."""
        own = [] if self.count == 1 and not self.inner else [f"{self.index}-of-{self.count}"]
        return "_".join(own + ([self.inner.name] if self.inner else []))

    @classmethod
    def parse(cls, text: str) -> Shard:
        """ "2/8" to Shard(2, 8); UsageError for anything else."""
        match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
        if not match or not 1 <= int(match[1]) <= int(match[2]):
            raise UsageError(f"--shard {text}: expected I/N with I from 1 to N, for example 1/8")
        return cls(int(match[1]), int(match[2]))


def assign_masks(n: int, num_masks: int, seed: int, ranking: Sequence[int] | np.ndarray | None = None) -> np.ndarray:
    """The mask (its position in the list) of each sample, int64 [n]. Every mask comes once before any comes twice.

    The masks are shuffled anew each lap, so that few samples of a long video are spread over it; with `ranking` (mask
    positions, first to last) each lap follows it. Sample k's mask does not depend on n.
    """
    if num_masks < 1:
        raise ValueError("no masks")
    out = np.empty(n, np.int64)
    for lap, start in enumerate(range(0, n, num_masks)):
        order = mask_order_rng(seed, lap).permutation(num_masks) if ranking is None else np.asarray(ranking)
        out[start : start + num_masks] = order[: n - start]
    return out


def assign_hard(n: int, hardness: np.ndarray, seed: int) -> np.ndarray:
    """The mask (its position) of each sample, int64 [n]: a mask comes as often as its rank of hardness asks.

    The hardest of N masks comes N times as often as the easiest (FreeMask, Yang et al. 2023).

    hardness: float [N]. A mask of weight w comes at times (j + u) / w, j = 0, 1, ..., u from the seed; the first n of
    all masks' times are the samples, so that sample k's mask does not depend on n.
    """
    masks = len(hardness)
    if masks < 1:
        raise ValueError("no masks")
    weights = np.empty(masks)
    weights[np.argsort(hardness, kind="stable")] = np.arange(1, masks + 1) / masks
    offsets = hard_order_rng(seed).random(masks)
    last = (n + masks) / weights.sum()  # by then n of them have come, since each is late by one at most
    turns = np.ceil(last * weights - offsets).astype(np.int64).clip(min=0)
    mask = np.repeat(np.arange(masks), turns)
    turn = np.arange(len(mask)) - np.repeat(turns.cumsum() - turns, turns)
    return mask[np.argsort((turn + offsets[mask]) / weights[mask], kind="stable")[:n]]


def probes_first(indices: Sequence[int], probes: int) -> list[int]:
    """The same indices: `probes` of them, spread evenly, first, so that they speak for the others."""
    chosen = spread(len(indices), probes)
    rest = sorted(set(range(len(indices))) - set(chosen))
    return [indices[i] for i in (*chosen, *rest)]


def rank_rare_first(presence: np.ndarray) -> np.ndarray:
    """Mask positions int64 [N], those holding the rarest class first; `presence` bool [N, K] (class in mask).

    Masks are compared by their rarest class, then their second rarest, and so on; a class's rarity is the number of
    masks it is in.
    """
    counts = presence.sum(axis=0)
    absent = len(presence) + 1
    keys = np.sort(np.where(presence, counts, absent), axis=1)  # [N, K], rarest class of each mask first
    return np.lexsort(keys.T[::-1]) if keys.shape[1] else np.arange(len(presence))


def arrange(masks: np.ndarray) -> np.ndarray:
    """Sample indices int64 [n] in the order of work: all samples of a mask in a row, masks as they first come up.

    So a mask is read once, and what the network makes of it is computed once.
    """
    _, first, inverse = np.unique(masks, return_index=True, return_inverse=True)
    return np.argsort(first[inverse], kind="stable")


def take_shard(indices: np.ndarray, shard: Shard) -> np.ndarray:
    """The shard's contiguous part of `indices`; parts differ by one in length, are disjoint and cover everything."""
    own = np.array_split(indices, shard.count)[shard.index - 1]
    return take_shard(own, shard.inner) if shard.inner else own


def batches(items: Iterable[T], key: Callable[[T], K], limit: Callable[[K], int]) -> Iterator[list[T]]:
    """Cut a stream of items into batches of one key (a size, say), at most `limit(key)` items each.

    Order is kept within a key. The limit is asked again at every item, since it may fall on the way.
    """
    groups: dict[K, list[T]] = {}
    for item in items:
        group = groups.setdefault(key(item), [])
        group.append(item)
        if len(group) >= limit(key(item)):
            yield groups.pop(key(item))
    yield from groups.values()


def sample_name(stem: str, index: int) -> str:
    """The file stem of a sample: the mask's name first, so that a name that tells the video still does."""
    return f"{stem.replace('/', '_')}_{index:06d}"
