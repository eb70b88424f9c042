"""Measures, one file each with a function `compute`. Names are listed without importing anything.

KIND "pair": `compute` takes two images of a pair (a metric that needs weights has `load` instead, which gives such a
function). KIND "set": `compute` takes two samples of feature vectors, and FEATURES says of which extractors; where many
subsets of them go faster together, `compute_many` takes these. NAMES are the figures that come out; BETTER, MINIMUM,
MAXIMUM and CONVENTION are theirs.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from surgaug.errors import UsageError
from surgaug.runtime.options import nearest


def names() -> list[str]:
    """The metrics there are, by file name."""
    return sorted(m.name for m in iter_modules(__path__))


def get(name: str) -> ModuleType:
    """The module of a metric; UsageError with the nearest name where there is none."""
    if name not in names():
        raise UsageError(f"unknown metric {name!r}{suggestion(name, names())}; there are: {', '.join(names())}")
    return import_module(f"{__name__}.{name}")


def suggestion(name: str, known: list[str]) -> str:
    """', did you mean ...?' when a known name is close, otherwise nothing."""
    close = nearest(name, known, cutoff=0.5)
    return f", did you mean {close!r}?" if close else ""
