"""Whether label maps are the very ones that a model was trained on: then their ids are the model's, whatever they mean.

A model file keeps a digest of every label map of its training. Where ids were exchanged, a map stays the same only if
it shows none of the exchanged classes. So known maps speak for the ids that they show, and for no other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable

import numpy as np

from surgaug.datasets.dataset import LabelMaps
from surgaug.errors import DataError
from surgaug.runtime.feedback import Feedback
from surgaug.runtime.parallel import in_threads
from surgaug.runtime.spread import spread

_BYTES = 8
_LOOKED_AT = 256  # maps of a folder, evenly spaced, and as many as needed for ids that are in none of them
_FOR_AN_ID = 16
_MOSTLY = 0.5  # of the maps; the others may be new ones of the same classes, but not of another origin


def digest(label_map: np.ndarray) -> str:
    """A digest of ids [H, W] and their size, 16 hexadecimal digits; the same for every integer type that holds them."""
    smallest = np.ascontiguousarray(label_map, np.uint8 if label_map.max(initial=0) < 256 else np.uint16)
    found = hashlib.blake2b(b"%dx%d " % smallest.shape, digest_size=_BYTES)
    found.update(smallest.data)
    return found.hexdigest()


def digests_of(sets: Iterable[LabelMaps], feedback: Feedback) -> list[str]:
    """The digests of all label maps of the sets, sorted, each once. DataError names a file that cannot be read."""
    tasks = [(maps, i) for maps in sets for i in range(len(maps))]
    found = in_threads(lambda task: digest(task[0].load(task[1])), tasks, feedback=feedback, title="digests of labels")
    return sorted(set(found))


def are_own(maps: LabelMaps, presence: np.ndarray, known: Collection[str]) -> bool:
    """Whether most of the maps have a digest among `known`, and every id that occurs is shown by one of these.

    presence: bool [N, K], which map shows which id. Files that cannot be read are not known.
    """
    if not known or not len(maps):
        return False
    chosen = spread(len(maps), _LOOKED_AT)
    own = _own_among(maps, chosen, known)
    if len(own) < _MOSTLY * len(chosen):
        return False
    unshown = np.flatnonzero(presence.any(axis=0) & ~presence[own].any(axis=0))
    return all(_own_among(maps, np.flatnonzero(presence[:, k])[:_FOR_AN_ID].tolist(), known) for k in unshown)


def _own_among(maps: LabelMaps, chosen: Iterable[int], known: Collection[str]) -> list[int]:
    """Those of the maps with these numbers whose digest is known."""

    def is_own(i: int) -> bool:
        try:
            return digest(maps.load(i)) in known
        except DataError:  # the survey names it
            return False

    chosen = list(chosen)
    return [i for i, own in zip(chosen, in_threads(is_own, chosen), strict=True) if own]
