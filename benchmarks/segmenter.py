"""Frames a second that the segmenter of `score` trains on, at some sizes, on one core.

    python benchmarks/segmenter.py [--sizes 64x64,128x128] [--classes N]

Random frames; a few steps of 16 after a warm-up, in processor time, so that other programs change little.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from surgaug.data.label_space import LabelClass, LabelSpace
from surgaug.feedback import Silent
from surgaug.scoring.segmenter.frames import LabelledFrames
from surgaug.scoring.segmenter.train import SegmenterConfig, train

STEPS = 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="64x64,128x128")
    parser.add_argument("--classes", type=int, default=12)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for text in options.sizes.split(","):
        size = tuple(map(int, text.split("x")))
        rate = frames_per_second(size, options.classes)
        sys.stdout.write(f"{text}: {rate:.0f} frames a second\n")


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
        train([frames], classes, config, torch.device("cpu"), Silent().task("", None))
    return STEPS * config.batch / (time.process_time() - start)


if __name__ == "__main__":
    main()
