"""What the segmenter of `score` reaches on held-out frames, in how much processor time; or how fast it trains.

    python benchmarks/segmenter.py --train DIR --real DIR [--size HxW] [--steps N] [--seeds N]
    python benchmarks/segmenter.py [--sizes 64x64,128x128] [--classes N]

The first trains as `surgaug score` does, on one core, and says mIoU and boundary F on the frames of --real, beside the
mIoU against labels of other images, which is what chance gives. The second takes random frames and a few steps.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from surgaug.datasets.dataset import open_pairs
from surgaug.labels.label_space import LabelClass, LabelSpace
from surgaug.runtime.feedback import Silent
from surgaug.scoring.segmenter.agreement import boundary_f, compare_maps, iou
from surgaug.scoring.segmenter.faithfulness import deranged
from surgaug.segmenter.config import SegmenterConfig
from surgaug.segmenter.frames import LabelledFrames, read_frames
from surgaug.segmenter.training import Training, predict, train

CPU, BAR = torch.device("cpu"), Silent().task("", None)
STEPS = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path)
    parser.add_argument("--real", type=Path)
    parser.add_argument("--size", default="64x64", help="HxW")
    parser.add_argument("--steps", type=int, default=SegmenterConfig.steps)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--sizes", default="64x64,128x128")
    parser.add_argument("--classes", type=int, default=12)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.train:
        size = tuple(map(int, options.size.split("x")))
        space = open_pairs(options.train).space
        learn, test = (
            read_frames(open_pairs(folder, classes=space), size, space, 1, Silent(), "")
            for folder in (options.train, options.real)
        )
        for seed in range(options.seeds):
            sys.stdout.write(reached(learn, test, SegmenterConfig(size=size, steps=options.steps, seed=seed)) + "\n")
        return
    for text in options.sizes.split(","):
        rate = frames_per_second(tuple(map(int, text.split("x"))), options.classes)
        sys.stdout.write(f"{text}: {rate:.0f} frames a second\n")


def reached(learn: LabelledFrames, test: LabelledFrames, config: SegmenterConfig) -> str:
    """What a training reaches on `test`, in a line; classes that `learn` lacks do not count."""
    classes = learn.space.num_classes
    start = time.process_time()
    network = train(Training((learn,), config), classes, CPU, BAR)
    seconds = time.process_time() - start
    predicted = predict(network, test.images, CPU)
    counts = compare_maps(predicted, test.maps, classes).sum(0)
    other = deranged(test.maps, np.random.default_rng(0))
    chance = iou(compare_maps(predicted, test.maps[other], classes).sum(0))
    taught = np.bincount(learn.maps.ravel(), minlength=classes)[:classes] > 0
    each, edges = iou(counts), boundary_f(counts)
    shown = taught & np.isfinite(each)
    return (
        f"seed {config.seed}, {config.steps} steps of {config.batch}: mIoU {each[shown].mean():.3f}, chance "
        f"{chance[shown].mean():.3f}, boundary F {np.nanmean(edges[shown]):.3f}, {seconds:.0f} s of one core"
    )


def frames_per_second(size: tuple[int, int], classes: int) -> float:
    """Frames of `size` (H, W) that a second of one core trains on."""
    rng = np.random.default_rng(0)
    names = tuple(map(str, range(32)))
    frames = LabelledFrames(
        names,
        rng.integers(0, 256, (32, *size, 3), np.uint8),
        rng.integers(0, classes, (32, *size), np.uint8),
        names,
        (None,) * 32,
        LabelSpace("random", tuple(LabelClass(k, str(k)) for k in range(classes))),
    )
    config = SegmenterConfig(size=size, steps=STEPS)
    for _ in range(2):
        start = time.process_time()
        train(Training((frames,), config), classes, CPU, BAR)
    return STEPS * config.batch / (time.process_time() - start)


if __name__ == "__main__":
    main()
