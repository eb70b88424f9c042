"""The engine that makes new label maps of real ones: built once a run from the masks, the same in every worker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from surgaug.datasets.dataset import LabelMaps
from surgaug.datasets.provenance import shown_by
from surgaug.datasets.splits import HELD_OUT
from surgaug.labels.class_roles import roles
from surgaug.labels.label_space import LabelSpace
from surgaug.labels.sides import one_sided
from surgaug.perturb.geometry.constraints import map_is_sound
from surgaug.perturb.mixer import Attempts, Outcome, bring_in, mix
from surgaug.perturb.prior.instrument_bank import InstrumentBank, Observation, collect, observe
from surgaug.perturb.prior.map_features import Facts, describe
from surgaug.perturb.prior.plausibility import RealMaps, real_maps
from surgaug.perturb.prior.quotas import RequestRates, Trials, corrected, first_rates, target_shares, unreachable
from surgaug.perturb.recipe import Recipe
from surgaug.perturb.scene.scene import Scene
from surgaug.runtime.feedback import Feedback
from surgaug.runtime.parallel import in_processes
from surgaug.runtime.spread import spread

_OBSERVED = 400  # masks; more tell little more
_TRIALS = 96  # maps made for trial, to see how often a class comes when it is requested
_REQUESTED = 4  # classes requested of each of them
_ORDER, _SAMPLE, _TRIAL = range(3)
WORTH_A_WORKER = 32  # maps; a process costs some half a second to start


@dataclass(frozen=True)
class Engine:
    """`recipe` applied to maps of `space`.

    targets: share of the new maps that must show a class, by class id. bank, real, rates: what `build` gets from the
    masks: their instruments, what real maps are like, how often classes are requested so that the targets are met.
    """

    space: LabelSpace
    recipe: Recipe
    targets: Mapping[int, float] = field(default_factory=dict)
    bank: InstrumentBank | None = None
    real: RealMaps | None = None
    rates: RequestRates | None = None

    def scene(self, label_map: np.ndarray) -> Scene:
        """A map of ids [H, W], ready to be perturbed any number of times."""
        return Scene(label_map, self.space)

    def make(self, scene: Scene, mask: int, rng: np.random.Generator, *, must_change: bool = True) -> Outcome:
        """A new map of `scene`, which is the mask at position `mask` of the set.

        Drawn again, up to the recipe's tries, while it is unsound or less plausible than asked for. Without records:
        nothing could be done, and `refused` says why. The same for the same state of `rng`.
        """
        refused: Counter[str] = Counter()
        tries = 0
        for _ in range(self.recipe.tries):
            outcome = mix(
                scene,
                self.recipe.ops,
                rng,
                bank=self.bank,
                rates=self.rates,
                must_change=must_change,
                tries=self.recipe.tries,
            )
            tries += outcome.tries
            refused += outcome.refused
            outcome = replace(outcome, tries=tries, refused=refused)
            if not outcome.records:
                return outcome
            if np.array_equal(outcome.label_map, scene.label_map):
                refused["map: nothing changed"] += 1
                continue
            reason = map_is_sound(scene, outcome.label_map, outcome.counts)
            if reason is None and self.real is not None:
                facts = describe(outcome.label_map, self.space)
                value = self.real.plausibility(facts, mask)
                outcome = replace(outcome, plausibility=value)
                if value < self.recipe.plausibility:
                    reason = f"implausible ({self.real.strangest(facts, mask)})"
            if reason is None:
                return outcome
            refused[f"map: {reason}"] += 1
        return Outcome(scene.label_map.copy(), [], scene.counts, tries, refused)


def sample_rng(seed: int, sample: int) -> np.random.Generator:
    """The generator of one sample."""
    return _generator(seed, _SAMPLE, sample)


def assign_masks(n: int, num_masks: int, seed: int) -> np.ndarray:
    """The mask of each sample, int64 [n]: shuffled anew each lap, every mask once a lap, whatever n is."""
    laps = [_generator(seed, _ORDER, lap).permutation(num_masks) for lap in range(-(-n // num_masks))]
    return np.concatenate(laps)[:n]


def _generator(seed: int, stream: int, key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([seed & 0xFFFFFFFF, seed >> 32, stream, key]))


def targets_of(recipe: Recipe, space: LabelSpace, maps: LabelMaps, presence: np.ndarray) -> dict[int, float]:
    """The target share of maps that the recipe's balance sets, by id of `space`; empty without a balance.

    presence: bool [N, K], class k of the masks' own label space in mask n. UsageError for a class that is not there.
    """
    if recipe.balance is None:
        return {}
    return target_shares(recipe.balance, space, dict(zip(maps.space.ids, presence.mean(0).tolist(), strict=True)))


def build(engine: Engine, maps: LabelMaps, seed: int, workers: int, feedback: Feedback) -> Engine:
    """`engine` with bank, statistics and rates from the masks `maps`; the same whatever the number of workers.

    The bank is of training masks, where there are any, so that no held-out instrument comes to be trained on. Says
    which quotas cannot be reached.
    """
    recipe, space = engine.recipe, engine.space
    chosen = spread(len(maps), _OBSERVED)
    found = _over(_observe, (maps, engine), chosen, workers, feedback, "learning from the masks")
    mirrors = any(op.name == "flip" and op.params().left_right for op in recipe.ops) and not one_sided(space)
    facts = {i: facts for i, (_, facts) in zip(chosen, found, strict=True)}
    lent = [seen for i, (seen, _) in zip(chosen, found, strict=True) if maps.items[i].split not in HELD_OUT]
    bank = collect(lent or (seen for seen, _ in found))
    engine = replace(engine, bank=bank, real=real_maps(facts, space, mirrors))
    return _balanced(engine, maps, seed, workers, feedback) if engine.targets else engine


def _balanced(engine: Engine, maps: LabelMaps, seed: int, workers: int, feedback: Feedback) -> Engine:
    """`engine` with `rates`, from maps made for trial without requests and with them."""
    reachable = {i: share for i, share in engine.targets.items() if _movable(engine.space, i)}
    if not reachable:
        _warn_of(engine, list(engine.targets), feedback)
        return engine
    plan = assign_masks(_TRIALS, len(maps), seed)
    tasks = [(int(mask), tuple(np.flatnonzero(plan == mask).tolist()), seed) for mask in np.unique(plan)]

    def trials(engine: Engine, requests: tuple[int, ...] = ()) -> Trials:
        parts = _over(_try, (maps, engine, requests), tasks, workers, feedback, "trying the balance")
        seen, requested, came = (sum((part[k] for part in parts), Counter[int]()) for k in range(3))
        return Trials(_TRIALS, seen, requested, came)

    before = trials(engine, tuple(sorted(reachable)))
    rates = first_rates(reachable, before)
    if rates.add:
        rates = corrected(rates, reachable, before, trials(replace(engine, rates=rates)))
    _warn_of(engine, [*(set(engine.targets) - set(reachable)), *unreachable(reachable, rates, before)], feedback)
    return replace(engine, rates=rates)


def _warn_of(engine: Engine, never: Sequence[int], feedback: Feedback) -> None:
    if never:
        names = ", ".join(engine.space.by_id(i).name for i in sorted(never))
        feedback.warn(f"balance: no operation on these masks can bring in or take out {names}; they stay as they are")


def _movable(space: LabelSpace, class_id: int) -> bool:
    known = roles(space)
    return known.handles.get(class_id, class_id) in known.movable


def _over(
    function: Callable[[Any, Any], Any], shared: Any, tasks: Sequence[Any], workers: int, feedback: Feedback, title: str
) -> list[Any]:
    found = []
    with feedback.task(title, len(tasks), "masks") as bar:
        for part in in_processes(function, shared, tasks, min(workers, -(-len(tasks) // WORTH_A_WORKER))):
            found.append(part)
            bar.advance()
    return found


def _observe(shared: tuple[LabelMaps, Engine], mask: int) -> tuple[Observation, Facts]:
    maps, engine = shared
    label_map = maps.load(mask)
    item = maps.items[mask]
    return observe(engine.scene(label_map), item.name, shown_by(item)), describe(label_map, engine.space)


def _try(
    shared: tuple[LabelMaps, Engine, tuple[int, ...]], task: tuple[int, tuple[int, ...], int]
) -> tuple[Counter[int], Counter[int], Counter[int]]:
    """Maps made for trial of one mask: how often each class is seen, how often some of the shared `requests` were made
    of a map that lacks the class, and how often it came."""
    (maps, engine, requests), (mask, samples, seed) = shared, task
    scene, space = engine.scene(maps.load(mask)), engine.space
    seen, requested, came = Counter[int](), Counter[int](), Counter[int]()
    for k in samples:
        rng = _generator(seed, _TRIAL, k)
        outcome = engine.make(scene, mask, rng)
        seen.update(i for i in space.ids if outcome.counts[i])
        lacking = [i for i in requests if not outcome.counts[i]]
        if lacking:
            made = engine.scene(outcome.label_map)
            for i in rng.permutation(lacking)[:_REQUESTED].tolist():
                requested[i] += 1
                attempt = Attempts(rng, engine.bank, engine.recipe.tries)
                came[i] += bring_in(made, i, frozenset(), engine.recipe.ops, attempt) is not made
    return seen, requested, came
