"""How much of each class the synthetic labels show, beside the real ones."""

from __future__ import annotations

from dataclasses import dataclass

from surgaug.datasets.dataset import PairedFrames
from surgaug.datasets.survey import survey
from surgaug.runtime.feedback import Feedback
from surgaug.scoring.report.model import ClassShare


@dataclass(frozen=True)
class ClassCounts:
    """Of a set of label maps: their number, and by class id the pixels and the number of maps that show the class."""

    maps: int
    pixels: dict[int, int]
    presence: dict[int, int]
    names: dict[int, str]


def count_classes(frames: PairedFrames, feedback: Feedback) -> ClassCounts:
    """Read every label map once. Raises DataError for what cannot be read or has ids outside the label space."""
    found = survey(frames, feedback, need_images=False)
    ids = frames.space.ids
    return ClassCounts(
        int(found.count),
        {i: int(n) for i, n in zip(ids, found.pixels, strict=True)},
        {i: int(n) for i, n in zip(ids, found.presence, strict=True)},
        dict(zip(ids, frames.space.names, strict=True)),
    )


def class_shares(real: ClassCounts, synth: ClassCounts) -> tuple[ClassShare, ...]:
    """Shares of the classes that occur in either set, by id. Pure."""
    present = sorted({i for counts in (real, synth) for i, n in counts.pixels.items() if n})
    names = {**synth.names, **real.names}
    return tuple(
        ClassShare(
            i,
            names[i],
            _share(real.pixels, i, sum(real.pixels.values())),
            _share(synth.pixels, i, sum(synth.pixels.values())),
            _share(real.presence, i, real.maps),
            _share(synth.presence, i, synth.maps),
        )
        for i in present
    )


def _share(counts: dict[int, int], class_id: int, total: int) -> float:
    return counts.get(class_id, 0) / total if total else 0.0
