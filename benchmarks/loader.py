"""How many training frames a second the loader makes ready, alone, beside what one GPU would take.

    python benchmarks/loader.py DATA [--sizes 64x112,256x448,540x960] [--frames N] [--batch 16] [--workers 1,2]
                                [--peak 989] [--share 0.45]

`whole` are batches of whole frames, flipped, as a network of one stage is trained on; `windows` are those of 128x128
with their small pictures, of the second stage of a cascade. `first`: seconds a frame the first time, when files are
read, decoded and made smaller; later runs map what was kept. `on disk` are images a second afterwards from the mapped
file, by the clock; `a core` images for each second that a core was busy, which other work on the machine changes
little; `decoded` those a core gives where frames fit neither on disk nor into memory. uint8 arrays are counted, as they
would go to the device.

What a GPU takes is computed: `share` of `peak` TFLOP/s (an H100 SXM's dense bf16: 989, of NVIDIA's data sheet) over the
FLOPs of one image forwards and backwards, counted by torch on its meta device, of the preset meant for the size. The
last column is how many cores give five times as much.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from speed import training_flops

from surgaug.datasets.dataset import PairedFrames, open_pairs
from surgaug.models import families
from surgaug.runtime.feedback import Silent
from surgaug.training import frames as kept_frames
from surgaug.training.data import like_frames
from surgaug.training.frames import Frames, Keeping, batches
from surgaug.training.windows import WindowedFrames

WINDOW = (128, 128)
ONE_STAGE_SMALL, LARGE = 128, "base"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sizes", default="64x112,256x448,540x960")
    parser.add_argument("--frames", type=int, help="at most so many [default: all of the training split]")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--workers", default="1,2", help="threads that make batches")
    parser.add_argument("--seconds", type=float, default=3.0, help="of measuring, each")
    parser.add_argument("--peak", type=float, default=989.0, help="TFLOP/s")
    parser.add_argument("--share", type=float, default=0.45, help="of the peak")
    options = parser.parse_args()
    measure(options)


def measure(options: argparse.Namespace) -> None:
    """Print the table."""
    paired = open_pairs(options.data, split="train" if has_splits(options.data) else None)
    if options.frames:
        paired = replace(paired, items=paired.items[:: max(1, len(paired) // options.frames)][: options.frames])
    workers = [int(n) for n in options.workers.split(",")]
    print(f"{len(paired)} frames, batches of {options.batch}\n")
    made = " | ".join(f"on disk, {n} threads" for n in workers)
    print(f"| size | kind | MiB a frame | first, s a frame | {made} | a core | decoded | network | GPU takes | cores |")
    print("|---|---|---|---|" + "---|" * len(workers) + "---|---|---|---|---|")
    for text in options.sizes.split(","):
        height, width = map(int, text.split("x"))
        size = (height, width)
        kinds = ["whole"] + ["windows"] * (min(size) > ONE_STAGE_SMALL)
        for kind in kinds:
            print(row(paired, size, kind, workers, options), flush=True)


def row(paired: PairedFrames, size: tuple[int, int], kind: str, workers: list[int], options: argparse.Namespace) -> str:
    """One line of the table."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SURGAUG_CACHE"] = folder
        begun = time.perf_counter()
        frames = make(paired, size, kind, Keeping())
        first = (time.perf_counter() - begun) / len(paired)
        file = next(Path(folder).rglob(kept_frames.FILE))
        rates = [rate(frames, options, n) for n in workers]
        core = max(of_core for _, of_core in rates)
        weight = file.stat().st_size / len(paired) / 2**20
        frames._read = frames._record  # as where they fit nowhere
        decoded = rate(frames, options, 1)[1]
    preset = "small" if max(size) <= ONE_STAGE_SMALL else LARGE
    family, part = (families.UPSAMPLER, WINDOW) if kind == "windows" else (families.DIFFUSION, size)
    takes = options.share * options.peak * 1e12 / training_flops(family, preset, part)
    shown = " | ".join(f"{by_clock:,.0f}" for by_clock, _ in rates)
    return (
        f"| {size[0]}x{size[1]} | {kind} | {weight:.2f} | {first:.3f} | {shown} | {core:,.0f} "
        f"| {decoded:,.1f} | {family} {preset} | {takes:,.0f} | {5 * takes / core:.1f} |"
    )


def make(paired: PairedFrames, size: tuple[int, int], kind: str, keeping: Keeping) -> Frames:
    """The frames as `train` would hold them."""
    if kind == "whole":
        return Frames(paired, size, keeping, Silent(), "")
    return WindowedFrames(paired, size, like_frames((128, 128), size), WINDOW, keeping, Silent(), "")


def rate(frames: Frames, options: argparse.Namespace, workers: int) -> tuple[float, float]:
    """Images a second by the clock and by a core's time, once all frames were drawn about once, or a second passed."""
    stream = batches(
        frames, np.ones(len(frames)), seed=0, batch=options.batch, step=0, part=slice(0, options.batch), flip="h",
        zoom=0.0, workers=workers,
    )  # fmt: skip
    begun = time.perf_counter()
    for _ in islice(stream, -(-len(frames) // options.batch)):
        if time.perf_counter() > begun + 1:
            break
    count, begun, busy = 0, time.perf_counter(), time.process_time()
    while (passed := time.perf_counter() - begun) < options.seconds or not count:
        next(stream)
        count += 1
    busy = time.process_time() - busy
    stream.close()
    return count * options.batch / passed, count * options.batch / busy


def has_splits(data: Path) -> bool:
    """Whether the data set says which frames are for training."""
    return any(item.split == "train" for item in open_pairs(data).items)


if __name__ == "__main__":
    main()
