"""What a judge said of synthetic images as they were made (`synthesize --judge`), from their manifest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from surgaug.labels.label_space import LabelSpace
from surgaug.scoring.compute.bootstrap import mean_interval
from surgaug.scoring.inputs import Folder
from surgaug.scoring.report.model import ClassTrust, Definition, Figure, Judged, Measure

AGREEMENT = "agreement"
DEFINITIONS = {
    AGREEMENT: Definition(
        "Agreement with the judge",
        "higher",
        "%",
        "share of an image's labelled pixels whose label a judge of real frames trusts, as it was synthesized "
        "(`synthesize --judge`); mean over images",
        "labels",
        ranked=False,
    )
}
LISTED = 6  # of the least trusted images
_NONE = "no judge has read these images: synthesize --judge"


def judged(folder: Folder, least: float | None, seed: int) -> Judged | None:
    """Of the images that are in the folder; None where no judge has read them. least: see `inputs.admitted`."""
    if not folder.trusts:
        return None
    names = [name for name in folder.names if name in folder.trusts]
    values = np.array([folder.trusts[name].agreement for name in names])
    sources = dict(zip(folder.names, folder.sources(), strict=True))
    rng = np.random.default_rng([seed, 14])
    interval = mean_interval(values, [sources[name] for name in names], rng, within=(0.0, 1.0))
    lowest = sorted(zip(names, values.tolist(), strict=True), key=lambda pair: pair[1])[:LISTED]
    space = folder.frames.space if folder.frames else None
    return Judged(
        len(names),
        Figure(float(values.mean()), *interval),
        _classes(folder, names, space),
        tuple(lowest),
        least,
        folder.refused,
    )


def measure(found: Judged | None) -> Measure:
    """In percent."""
    if found is None:
        return Measure(None, 0, reason=_NONE)
    value, low, high = (
        None if v is None else 100 * v for v in (found.agreement.value, found.agreement.low, found.agreement.high)
    )
    return Measure(value, found.images, low, high)


def _classes(folder: Folder, names: Sequence[str], space: LabelSpace | None) -> tuple[ClassTrust, ...]:
    """By class, the least trusted first."""
    shares: dict[int, list[float]] = defaultdict(list)
    for name in names:
        for i, share in folder.trusts[name].by_class.items():
            shares[i].append(share)
    titles = {c.id: c.name for c in space.classes} if space else {}
    found = [ClassTrust(i, titles.get(i, f"class {i}"), len(of), float(np.mean(of))) for i, of in shares.items()]
    return tuple(sorted(found, key=lambda c: (c.agreement, c.id)))
