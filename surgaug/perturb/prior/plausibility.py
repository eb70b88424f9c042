"""How plausible a label map is beside real ones: its surprise under a model of them, on the scale of their own.

The model says of each class how often it is there, what it is seen with and touches, and how large, where and of what
shape it is; the surprise is the negative logarithm of the map's probability, all of these taken as independent:

- presence, company and contact are Bernoulli with the prior Beta(1/2, 1/2): the predictive probability of an event seen
  k times in n is (k + 1/2) / (n + 1) (Krichevsky, Trofimov 1981);
- a class's features (`perturb/prior/map_features.py`) are normal with a normal-inverse-Wishart prior taken from all
  classes of its kind, which makes the predictive a multivariate t (Gelman et al., Bayesian Data Analysis, 3rd edition,
  section 3.6): a class seen once or never is judged by its kind, one seen often by itself.

Each real map is scored by the model of the others, and a new one by the model without the map that it was made from, so
that neither is compared with itself. The plausibility of a map is the share of real maps (itself counted) that are at
least as surprising, a conformal p-value (Vovk, Gammerman, Shafer 2005): maps drawn like the real ones would lie
below F in at most a share F of the cases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache, reduce

import numpy as np
from scipy.special import gammaln

from surgaug.labels.label_space import LabelSpace
from surgaug.labels.sides import other_sides
from surgaug.perturb.prior.map_features import FEATURES, Facts

_D = len(FEATURES)
_DOF = _D + 2.0  # the fewest for which the prior has a covariance
_WEIGHT = 0.5  # maps that the prior's mean counts for
_WIDTH = np.array([0.5, 0.05, 0.05, 0.3, 0.3, 0.3, 0.3]) ** 2  # a prior where a kind is seen too rarely to have one


@dataclass(frozen=True)
class Statistics:
    """Sums over maps, by class index: n maps; there [K]; together and touching [K, K]; features' sums [K, D] and sums
    of outer products [K, D, D]."""

    n: float
    there: np.ndarray
    together: np.ndarray
    touching: np.ndarray
    total: np.ndarray
    outer: np.ndarray

    @classmethod
    def of(cls, facts: Facts, k: int) -> Statistics:
        """Of one map in a space of k classes."""
        sums = cls(1.0, np.zeros(k), np.zeros((k, k)), np.zeros((k, k)), np.zeros((k, _D)), np.zeros((k, _D, _D)))
        own, pairs = facts.classes, np.ix_(facts.classes, facts.classes)
        sums.there[own] = 1
        sums.together[pairs] = 1
        sums.touching[pairs] = facts.touching
        sums.total[own] = facts.features
        sums.outer[own] = facts.features[:, :, None] * facts.features[:, None, :]
        return sums

    def plus(self, other: Statistics, times: float = 1.0) -> Statistics:
        return Statistics(*(getattr(self, f.name) + times * getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True)
class Surprise:
    """In nats, by class index: of each of the P classes that are there, [P]; of each pair, [P, P]; in total."""

    classes: np.ndarray
    looks: np.ndarray
    pairs: np.ndarray
    total: float


@dataclass(frozen=True, eq=False)
class RealMaps:
    """What real maps look like. `facts`: by the map's position in its set; `mirrors`: whether their mirror images count
    as real as well. `scores`: the total surprise of each real map under the others, sorted."""

    space: LabelSpace
    facts: Mapping[int, Facts]
    mirrors: bool
    statistics: Statistics
    means: np.ndarray
    scales: np.ndarray
    scores: np.ndarray

    def surprise(self, facts: Facts, without: int | None = None) -> Surprise:
        """Of a map; `without`: the real map (its position) that the model must not know."""
        return surprise(facts, self._without(without), self.means, self.scales)

    def plausibility(self, facts: Facts, source: int) -> float:
        """From 1 / (number of real maps + 1) to 1, of a map made from the real map at position `source`."""
        score = self.surprise(facts, source).total
        return (1 + len(self.scores) - int(np.searchsorted(self.scores, score))) / (1 + len(self.scores))

    def strangest(self, facts: Facts, source: int) -> str:
        """The most surprising thing about a map, in words."""
        found, names = self.surprise(facts, source), self.space.names
        if not len(found.classes):
            return "hardly anything is labelled"
        if found.looks.max() >= found.pairs.max():
            return f"place, size or shape of {names[found.classes[found.looks.argmax()]]}"
        a, b = (names[found.classes[i]] for i in np.unravel_index(found.pairs.argmax(), found.pairs.shape))
        return f"{min(a, b)} with {max(a, b)}"

    def _without(self, position: int | None) -> Statistics:
        if position not in self.facts:
            return self.statistics
        return _less(self, position)


@lru_cache(maxsize=4)  # the samples of one mask come in a row
def _less(real: RealMaps, position: int) -> Statistics:
    return real.statistics.plus(_own(real.facts[position], real.space, real.mirrors), -1.0)


def _own(facts: Facts, space: LabelSpace, mirrors: bool) -> Statistics:
    own = Statistics.of(facts, space.num_classes)
    return own.plus(Statistics.of(facts.mirrored(other_sides(space)), space.num_classes)) if mirrors else own


def real_maps(facts: Mapping[int, Facts], space: LabelSpace, mirrors: bool) -> RealMaps:
    """Statistics and scores of real maps, given by their positions in their set."""
    owns = {position: _own(f, space, mirrors) for position, f in facts.items()}
    first, *others = owns.values()
    statistics = reduce(Statistics.plus, others, first)
    means, scales = _priors(space, statistics)
    scores = [surprise(f, statistics.plus(owns[i], -1.0), means, scales).total for i, f in facts.items()]
    return RealMaps(space, dict(facts), mirrors, statistics, means, scales, np.sort(scores))


def surprise(facts: Facts, real: Statistics, means: np.ndarray, scales: np.ndarray) -> Surprise:
    """Of a map beside the maps summed up in `real`; means [K, D] and scales [K, D, D] are the priors'."""
    own = facts.classes
    pairs = np.ix_(own, own)
    chance = (real.there + 0.5) / (real.n + 1)
    absent = float(-np.log1p(-np.delete(chance, own)).sum())
    looks = -_log_t(facts.features, real.there[own], real.total[own], real.outer[own], means[own], scales[own])
    looks = looks - np.log(chance[own])
    rarer = np.minimum.outer(real.there[own], real.there[own])
    together = -np.log((real.together[pairs] + 0.5) / (rarer + 1))
    contact = (real.touching[pairs] + 0.5) / (real.together[pairs] + 1)
    couples = together - np.log(np.where(facts.touching, contact, 1 - contact))
    np.fill_diagonal(couples, 0)
    return Surprise(own, looks, couples, absent + float(looks.sum()) + 0.5 * float(couples.sum()))


def _log_t(
    x: np.ndarray, n: np.ndarray, total: np.ndarray, outer: np.ndarray, means: np.ndarray, scales: np.ndarray
) -> np.ndarray:
    """Log density [P] of the predictive t at x [P, D], after n [P] observations with these sums."""
    weight, dof = _WEIGHT + n, _DOF + n
    mean = (_WEIGHT * means + total) / weight[:, None]
    scale = scales + outer + _WEIGHT * _squared(means) - weight[:, None, None] * _squared(mean)
    freedom = dof - _D + 1
    scale = scale * ((weight + 1) / (weight * freedom))[:, None, None]
    off = x - mean
    distance = np.einsum("pd,pd->p", off, np.linalg.solve(scale, off[..., None])[..., 0])
    constant = gammaln((freedom + _D) / 2) - gammaln(freedom / 2) - 0.5 * _D * np.log(freedom * np.pi)
    return constant - 0.5 * np.linalg.slogdet(scale)[1] - 0.5 * (freedom + _D) * np.log1p(distance / freedom)


def _squared(v: np.ndarray) -> np.ndarray:
    return v[:, :, None] * v[:, None, :]


def _priors(space: LabelSpace, real: Statistics) -> tuple[np.ndarray, np.ndarray]:
    """Means [K, D] and scale matrices [K, D, D]: the mean and the spread of all classes of the same kind."""
    means, scales = np.zeros((space.num_classes, _D)), np.zeros((space.num_classes, _D, _D))
    kinds = np.array([c.kind for c in space.classes])
    for kind in set(kinds.tolist()):
        alike = kinds == kind
        members = alike if real.there[alike].sum() > _D else np.ones(len(kinds), bool)
        n = real.there[members].sum()
        mean = real.total[members].sum(0) / n
        spread = real.outer[members].sum(0) / n - np.outer(mean, mean)
        means[alike] = mean
        scales[alike] = (_DOF - _D - 1) * (spread + np.diag(_WIDTH) / n)
    return means, scales
