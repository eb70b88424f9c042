"""How unlike each other the images synthesized from one label map are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence

import numpy as np

from surgaug.scoring.compute.bootstrap import mean_interval
from surgaug.scoring.metrics import Metric
from surgaug.scoring.report.model import Measure, Spread

PAIRS_OF_A_MAP, MOST_PAIRS = 6, 600


def pairs_of_one_map(maps: Sequence[Hashable], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of positions that have the same map: int [n, 2], and the map's number of each: int [n].

    At most `PAIRS_OF_A_MAP` of a map, and `MOST_PAIRS` in all, at random.
    """
    groups = defaultdict(list)
    for i, name in enumerate(maps):
        groups[name].append(i)
    chosen: list[tuple[int, int, int]] = []
    for number, members in enumerate(groups.values()):
        every = [(a, b, number) for n, a in enumerate(members[:50]) for b in members[n + 1 : 50]]
        some = rng.permutation(len(every))[:PAIRS_OF_A_MAP]
        chosen += [every[i] for i in some]
    if len(chosen) > MOST_PAIRS:
        chosen = [chosen[i] for i in np.sort(rng.permutation(len(chosen))[:MOST_PAIRS])]
    table = np.array(chosen, np.int64).reshape(-1, 3)
    return table[:, :2], table[:, 2]


def random_pairs(n: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` pairs of different positions out of range(n), n >= 2: int [count, 2]."""
    first = rng.integers(n, size=count)
    return np.stack([first, (first + rng.integers(1, n, size=count)) % n], 1)


def diversity_measure(
    distance: Callable[[int, int], float],
    real_distance: Callable[[int, int], float],
    pairs: np.ndarray,
    groups: np.ndarray,
    real_images: int,
    rng: np.random.Generator,
) -> Measure:
    """Mean distance of pairs of samples of one map, beside that of random pairs of real frames of any content.

    The interval is a bootstrap over maps. A ratio of 1 would be as diverse as different real frames: an upper bound.
    """
    values = np.array([distance(a, b) for a, b in pairs])
    low, high = mean_interval(values, groups, rng)
    baseline, ratio = None, None
    if real_images > 1:
        real = np.array([real_distance(a, b) for a, b in random_pairs(real_images, len(pairs), rng)])
        baseline = Spread(float(real.mean()), float(real.std()), 1, len(real))
        ratio = float(values.mean() / real.mean()) if real.mean() > 0 else None
    return Measure(float(values.mean()), len(values), low, high, baseline=baseline, ratio=ratio)


_OVER = "over pairs of images of one label map"
METRIC = Metric(
    title="Diversity",
    group="diversity",
    better="higher",
    needs="repeats",
    convention=f"mean distance {_OVER}",
    ranked=False,  # noise is diverse
    distances={
        "diversity": ("Diversity (1 - SSIM)", f"mean 1 - SSIM {_OVER}", "ssim"),
        "diversity_colour_texture": (
            "Diversity (colour+texture)",
            f"mean Euclidean distance of colour and texture features {_OVER}",
            "colour_texture",
        ),
        "diversity_lpips": ("Diversity (LPIPS)", f"mean LPIPS {_OVER}", "lpips"),
    },
)
