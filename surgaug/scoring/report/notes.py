"""Notes of a report: how its figures came about, and what to mind when reading them. Pure."""

from __future__ import annotations

from collections import Counter

from surgaug.scoring.compute.extraction import Pass, Size
from surgaug.scoring.compute.other_videos import FEWEST_FRAMES, FEWEST_VIDEOS
from surgaug.scoring.inputs import Folder, Pairing
from surgaug.scoring.report.model import Report

FEW_IMAGES = 200  # below, precision, recall and intervals by halves say little


def folder_notes(
    folder: Folder,
    real: Folder,
    sizes: Counter[Size],
    real_sizes: Counter[Size],
    size: Size,
    seen: Pass,
    pairing: Pairing | None,
    deep: dict[str, int],
) -> list[str]:
    """Notes on the sizes, pairs and numbers of images of one synthetic folder.

    deep: dimension of the features that each Fréchet distance of a network's is computed with, by its title.
    """
    found = []
    others = len(folder) - sizes[size]
    if others:
        found.append(
            f"{others} of {len(folder)} synthetic images were resized to {size_text(size)}, the most frequent size"
        )
    resized = [s for s in real_sizes if s != size]
    if resized:
        count = sum(real_sizes[s] for s in resized)
        largest = max(resized, key=real_sizes.__getitem__)
        how = "with antialiasing"
        if any(s[0] < size[0] or s[1] < size[1] for s in resized):
            how = "some enlarged and so softer than synthetic ones may be"
        found.append(
            f"{count} of {len(real)} real frames (mostly {size_text(largest)}) were resized to the synthetic "
            f"size {size_text(size)}, {how}"
        )
    if pairing and pairing.changed:
        found.append(
            f"{pairing.changed} images of changed masks are in no pair: they show another scene than the frame"
        )
    if pairing and pairing.count:
        found.append(
            f"{pairing.count} pairs by {pairing.by}; PSNR and SSIM measure reconstruction and punish diversity"
        )
    found += [f"{name}: some pairs have no value, such as {error}" for name, error in seen.pair_errors.items()]
    fewest = min(len(real), len(folder))
    for name, dimension in deep.items():
        if fewest < dimension:
            found.append(
                f"{name} of {fewest} images (fewer than {dimension}) is biased upwards; compare it at equal size only"
            )
    if fewest < FEW_IMAGES:
        found.append(f"{fewest} images on the smaller side: small differences mean nothing, the intervals say which")
    return found


def report_notes(report: Report) -> list[str]:
    """The notes of all folders, each once, with the folders that it is about where it is not about all.

    And, where videos are known, what the second yardstick lacks.
    """
    about: dict[str, list[str]] = {}
    for row in report.rows:
        missing: dict[str, list[str]] = {}
        for key, measure in row.measures.items():
            if measure.reason:
                missing.setdefault(measure.reason, []).append(report.definitions[key].title)
        for note in [*row.notes, *(f"{', '.join(titles)}: {reason}" for reason, titles in missing.items())]:
            about.setdefault(note, []).append(row.name)
    everything = len(report.rows)
    found = [note if len(names) == everything else f"{', '.join(names)}: {note}" for note, names in about.items()]
    if report.videos and len(report.other_videos) < FEWEST_VIDEOS:
        seen = "one video" if len(report.videos) == 1 else f"{len(report.videos)} videos"
        found.append(
            f"the real frames show {seen}, and {len(report.other_videos)} others of {FEWEST_FRAMES} frames are known; "
            f"{FEWEST_VIDEOS} of them (in --train, too) would say how near real frames of another video come"
        )
    return found


def size_text(size: Size) -> str:
    """ "HxW"."""
    return f"{size[0]}x{size[1]}"
