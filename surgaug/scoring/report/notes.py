"""What a reader must know about how the figures of a synthetic folder came about, in sentences. Pure."""

from __future__ import annotations

from collections import Counter

from surgaug.scoring.compute.extraction import Pass, Size
from surgaug.scoring.inputs import Folder, Pairing

FEW_IMAGES = 200  # below, precision, recall and intervals by halves say little
_NETWORKS = {"inception": "FID", "dinov2": "FD (DINOv2)"}


def remarks(
    folder: Folder,
    real: Folder,
    sizes: Counter[Size],
    real_sizes: Counter[Size],
    size: Size,
    seen: Pass,
    pairing: Pairing | None,
    deep: dict[str, int],
) -> list[str]:
    """Sentences about sizes, pairs and numbers of images. deep: dimension of networks' features, by extractor."""
    found = []
    others = len(folder) - sizes[size]
    if others:
        found.append(f"{others} of {len(folder)} synthetic images were resized to {text(size)}, the most frequent size")
    resized = [s for s in real_sizes if s != size]
    if resized:
        count = sum(real_sizes[s] for s in resized)
        largest = max(resized, key=real_sizes.__getitem__)
        how = "with antialiasing"
        if any(s[0] < size[0] or s[1] < size[1] for s in resized):
            how = "some enlarged and so softer than synthetic ones may be"
        found.append(
            f"{count} of {len(real)} real frames (mostly {text(largest)}) were resized to the synthetic "
            f"size {text(size)}, {how}"
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
                f"{_NETWORKS[name]} of {fewest} images (fewer than {dimension}) is biased upwards; compare it at equal "
                "size only"
            )
    if fewest < FEW_IMAGES:
        found.append(f"{fewest} images on the smaller side: small differences mean nothing, the intervals say which")
    return found


def text(size: Size) -> str:
    """ "HxW"."""
    return f"{size[0]}x{size[1]}"
