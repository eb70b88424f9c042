"""Which frames look more like a video that nobody has seen: all others alike, or those of each other video as often?

    python benchmarks/looks.py DATA [--classes NAME] [--splits train,val] [--size 96x168] [--least 8] [--group REGEX]
                               [--exclude-known-errors]

Real frames alone. Each video of at least `--least` frames is held out in turn, and `DRAWS` frames of the others are
drawn as often as their video's number of frames to the power of 1 (all frames alike), 0.5 and 0 (all videos alike).
These are held against the frames held out: hue, brightness, sharpness, and the Fréchet distance of colour and texture.
--group: what counts as a video, a regular expression over the frames' names; otherwise their videos.

Prints a table of means over the videos, and for how many the Fréchet distance is less with all videos alike.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from frames import size
from style import MEASURES, held

from surgaug.datasets.dataset import open_pairs
from surgaug.labels.resize import resize_image
from surgaug.runtime.parallel import in_threads
from surgaug.scoring.compute.colour_texture import extract

DRAWS = 2000
POWERS = {"all frames alike": 1.0, "in between (power 0.5)": 0.5, "all videos alike": 0.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--classes", default="auto")
    parser.add_argument("--splits", help="apart by commas [default: all frames]")
    parser.add_argument("--size", type=size, default=(96, 168), metavar="HxW")
    parser.add_argument("--least", type=int, default=8)
    parser.add_argument("--group", type=re.compile, metavar="REGEX")
    parser.add_argument("--exclude-known-errors", action="store_true")
    options = parser.parse_args()
    paired = open_pairs(options.data, classes=options.classes, exclude_known_errors=options.exclude_known_errors)
    splits = options.splits.split(",") if options.splits else None
    chosen = [i for i, item in enumerate(paired.items) if splits is None or item.split in splits]
    items = [paired.items[i] for i in chosen]
    videos = np.array(
        [found.group() if (g := options.group) and (found := g.search(i.name)) else str(i.video) for i in items]
    )
    features = np.stack(list(in_threads(lambda i: extract(resize_image(paired.load_image(i), options.size)), chosen)))
    print("\n".join(report(compared(features, videos, options.least))))


def compared(features: np.ndarray, videos: np.ndarray, least: int) -> dict[str, dict[str, list[float]]]:
    """By video held out and way of drawing, each measure of the others' frames [n, 130] against its own."""
    frames, rng = Counter(videos.tolist()), np.random.default_rng(0)
    found: dict[str, dict[str, list[float]]] = {}
    for video in sorted(name for name, n in frames.items() if n >= least):
        others = np.flatnonzero(videos != video)
        of_video = np.array([frames[name] for name in videos[others].tolist()])
        found[video] = {}
        for name, power in POWERS.items():
            weights = of_video ** (power - 1)
            drawn = features[rng.choice(others, DRAWS, p=weights / weights.sum())]
            found[video][name] = held(features[videos == video], drawn)
    return found


def report(found: dict[str, dict[str, list[float]]]) -> list[str]:
    """Markdown."""
    lines = [f"| drawn | {' | '.join(MEASURES)} |", "|---" * (1 + len(MEASURES)) + "|"]
    for name in POWERS:
        means = np.mean([by_name[name] for by_name in found.values()], axis=0)
        lines.append(f"| {name} | {' | '.join(f'{value:.3g}' for value in means)} |")
    frames, *_, videos = POWERS
    nearer = sum(by_name[videos][-1] < by_name[frames][-1] for by_name in found.values())
    return [*lines, "", f"{videos}: nearer by {list(MEASURES)[-1]} for {nearer} of {len(found)} videos held out"]


if __name__ == "__main__":
    main()
