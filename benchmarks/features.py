"""Which features see what? Distances of real frames with known faults, and of other real frames, from real frames.

    python benchmarks/features.py --data DIR [--video NAME] [--most N] [--size HxW] [--features NAME]
        [--feature-weights FILE]

The reference is every second frame of one video, at most N of them. Against it stand: the same frames; the frames
between them, as they are and with one fault each (blurred, noisy, hue turned); the video's two halves against each
other; and frames of other videos. Prints the Fréchet distance and KID x 1000 by each extractor that can be had, all at
equal size, as a table in Markdown. Features are computed anew (no cache), on one core.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from surgaug.datasets.dataset import PairedFrames, open_pairs
from surgaug.labels.resize import resize_image
from surgaug.runtime.options import parse_size
from surgaug.runtime.spread import spread_over
from surgaug.scoring import features
from surgaug.scoring.config import AUTO, Weights
from surgaug.scoring.features import Feature
from surgaug.scoring.metrics import frechet, kid

NOISE = 8  # grey levels, standard deviation
FEWEST = 0.5  # of the reference's number of frames that another video must have
Fault = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--video", help="of the reference; default: the one with the most frames")
    parser.add_argument("--most", type=int, default=100, help="frames of a set")
    parser.add_argument("--size", default="256x448", help="HxW")
    parser.add_argument("--features", default=AUTO)
    parser.add_argument("--feature-weights", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    frames, size = open_pairs(options.data), parse_size(options.size)
    weights = Weights(features=options.features, feature_weights=options.feature_weights)
    extractors = {key: module.load(weights, torch.device("cpu")) for key, module in features.available(weights).items()}
    sets = choose(by_video(frames), options.video, options.most)
    rows, seconds = measure(frames, sets, size, extractors)
    sys.stdout.write(table(rows, list(extractors)))
    for name, spent in seconds.items():
        sys.stdout.write(f"{name}: {1000 * spent:.0f} ms of a core an image\n")


def by_video(frames: PairedFrames) -> dict[str, list[int]]:
    """Positions of the frames of each video, in order."""
    found = defaultdict(list)
    for i, item in enumerate(frames.items):
        found[item.video or "all"].append(i)
    return dict(found)


def choose(videos: dict[str, list[int]], reference: str | None, most: int) -> dict[str, list[int]]:
    """Positions of the frames of each set; "reference" and "between" take turns in one video."""
    name = reference or max(videos, key=lambda video: len(videos[video]))
    own = videos[name][: len(videos[name]) // 2 * 2]
    n = min(most, len(own) // 2)
    sets = {"reference": spread_over(own[::2], n), "between": spread_over(own[1::2], n)}
    sets["first half"], sets["second half"] = spread_over(own[: len(own) // 2], n), spread_over(own[len(own) // 2 :], n)
    others = {v: places for v, places in videos.items() if v != name and len(places) >= FEWEST * n}
    return sets | {video: spread_over(places, min(n, len(places))) for video, places in others.items()}


def faults() -> dict[str, Fault]:
    """Each changes an image uint8 [H, W, 3] in one respect."""
    return {
        "blurred, sigma 1": lambda image: cv2.GaussianBlur(image, (0, 0), 1),
        "blurred, sigma 2": lambda image: cv2.GaussianBlur(image, (0, 0), 2),
        f"noise, sd {NOISE}": noisy,
        "hue turned by 10°": lambda image: turned(image, 10),
        "hue turned by 20°": lambda image: turned(image, 20),
    }


def measure(
    frames: PairedFrames, sets: dict[str, list[int]], size: tuple[int, int], extractors: dict[str, Feature]
) -> tuple[dict[str, dict[str, tuple[float, float]]], dict[str, float]]:
    """Fréchet distance and KID of each set by each extractor, and the processor seconds that an image took."""
    images = {name: [resize_image(frames.load_image(i), size) for i in places] for name, places in sets.items()}
    images |= {name: [fault(image) for image in images["between"]] for name, fault in faults().items()}
    rows: dict[str, dict[str, tuple[float, float]]] = defaultdict(dict)
    seconds = {}
    for key, feature in extractors.items():
        start = time.process_time()
        vectors = {name: extract(feature, pictures) for name, pictures in images.items()}
        seconds[key] = (time.process_time() - start) / sum(map(len, images.values()))
        real = vectors["reference"]
        pairs = {"the same frames": (real, real), "frames between them": (real, vectors["between"])}
        pairs |= {name: (real, vectors[name]) for name in faults()}
        pairs["one half of the video, the other"] = (vectors["first half"], vectors["second half"])
        own = {"reference", "between", "first half", "second half", *faults()}
        pairs |= {f"another video ({name})": (real, v) for name, v in vectors.items() if name not in own}
        for name, pair in pairs.items():
            rows[name][key] = frechet.compute(*pair), 1000 * kid.compute(*pair)
    return dict(rows), seconds


def extract(feature: Feature, images: list[np.ndarray]) -> np.ndarray:
    """[n, d]"""
    if not feature.batch:
        return np.stack([feature.extract(image) for image in images])
    steps = range(0, len(images), feature.batch)
    return np.concatenate([feature.extract(np.stack(images[i : i + feature.batch])) for i in steps])


def table(rows: dict[str, dict[str, tuple[float, float]]], names: list[str]) -> str:
    """Markdown."""
    header = ["set", *(f"{what}, {name}" for name in names for what in ("FD", "KID x 1000"))]
    lines = [header, ["---"] + ["---:"] * (len(header) - 1)]
    lines += [[name, *(f"{value:.3g}" for key in names for value in found[key])] for name, found in rows.items()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def noisy(image: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(int(image.astype(np.int64).sum())).normal(0, NOISE, image.shape)
    return np.clip(image + noise, 0, 255).round().astype(np.uint8)


def turned(image: np.ndarray, degrees: int) -> np.ndarray:
    """The hue turned in HSV, where OpenCV counts in steps of two degrees."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0] + degrees // 2) % 180
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


if __name__ == "__main__":
    main()
