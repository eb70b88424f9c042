"""Metrics, one file each: `NAME.py` defines `METRIC`, a `Metric`, and all that is said of the metric stands there.

What `compute` takes depends on `Metric.needs`:

- "pair": an image and its reference, uint8 [H, W, 3]; gives a float. ValueError says why there is none.
- "features": two samples of feature vectors, real [n, d] and synthetic [m, d]; gives a float, or float64 [figures].
- "regions": likewise, of the regions of one class; the measure is the mean over classes.
- "labels": the pixels of each class in the real and in the synthetic label maps, two int arrays [K]; gives a float.
- "repeats": nothing; the measures are mean distances of images of one label map, by `distances`.

Names are listed without importing anything. Metrics never import each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Literal

from surgaug.errors import UsageError
from surgaug.runtime.options import nearest

Group = Literal["realism", "drift", "pairs", "labels", "diversity"]
Figure = tuple[str, str]  # key of the measure, title


@dataclass(frozen=True)
class Metric:
    """What a metric is and how it is to be read.

    title: in tables. group: what it belongs with. better: which way. unit: of the value. convention: all that another
    program would need to get the same figure. default: measured where no metric is named. ranked: whether the best of
    several folders is marked. version: raised when figures change, so that kept ones are computed anew.
    weights: a field of `config.Weights` without which it cannot be had; it need not be named where that is given, and
    `lacking` is said where it is named without. load: makes `compute` from weights and device.
    aliases: other names for `--metrics`, each with the only features that it stands for, or "" for all.

    Of "features" and "regions": features: the extractors that it is defined on (empty: on all that describe sets).
    figures: what `compute` gives, key and title (empty: one, of the metric's name). on_deep, on_inception: what its one
    figure is called on features of networks and of FID's network. minimum, maximum: of the value. has_ratio: whether a
    value over that of real frames among themselves means something. biased: whether the value depends on the number of
    images. fewest: images of either set. most_draws: bounds the random halves behind intervals. compute_many: of many
    pairs of index arrays at once, where that is faster.

    Of "repeats": distances: by key, title and convention, and the metric of pairs or the feature that it is made of.
    """

    title: str
    group: Group
    better: Literal["higher", "lower", "middle"]
    needs: Literal["pair", "features", "regions", "labels", "repeats"]
    convention: str
    compute: Callable[..., Any] | None = None
    unit: str = ""
    default: bool = False
    ranked: bool = True
    version: int = 1
    weights: str = ""
    lacking: str = ""
    load: Callable[..., Any] | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    features: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    on_deep: Figure | None = None
    on_inception: Figure | None = None
    minimum: float = 0.0
    maximum: Any = float("inf")
    has_ratio: bool = True
    biased: bool = False
    fewest: int = 2
    most_draws: int = 1000
    compute_many: Callable[..., Any] | None = None
    distances: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)


def names() -> list[str]:
    """The metrics there are, by file name."""
    return sorted(m.name for m in iter_modules(__path__))


def get(name: str) -> Metric:
    """A metric; UsageError with the nearest name where there is none."""
    if name not in names():
        raise UsageError(f"unknown metric {name!r}{suggestion(name, names())}; there are: {', '.join(names())}")
    return import_module(f"{__name__}.{name}").METRIC


def suggestion(name: str, known: list[str]) -> str:
    """', did you mean ...?' when a known name is close, otherwise nothing."""
    close = nearest(name, known, cutoff=0.5)
    return f", did you mean {close!r}?" if close else ""
