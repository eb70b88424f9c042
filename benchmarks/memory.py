"""The largest memory that each subcommand held, against the size of its input.

    python benchmarks/memory.py [--counts 100,1000] [--size HxW] [--only NAME ...]

Each line is a process of its own on pictures of a few pixels, so that what grows is not hidden by what does not:
`train` and `score` see N frames, `score-labels` trains the segmenter on N and reads N others, `synthesize` and
`augment-masks` make N of 20 masks. Twenty phantom frames are rendered; the others are links to them. The last column is
the growth for each further thousand.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from surgaug.io.atomic import write_png
from surgaug.models.model_files import SHIPPED
from surgaug.phantom import render

ROOT = Path(__file__).resolve().parents[1]
RENDERED = 20
# The smallest network that trains, so that the frames are what weighs.
NETWORK = [
    "--set",
    "network.channels=16,32",
    "--set",
    "network.encoder_blocks=1,1",
    "--set",
    "network.decoder_blocks=1,1",
]
NETWORK += ["--set", "network.attention=false,true", "--set", "network.spade=true,true", "--set", "network.head_dim=16"]


def frames(root: Path, count: int, size: tuple[int, int]) -> Path:
    """A data set of `count` frames."""
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    for i in range(count):
        names = [root / folder / f"f{i:06d}.png" for folder in ("images", "labels")]
        if i < RENDERED:
            for name, array in zip(names, render(i, size), strict=True):
                write_png(name, array)
        else:
            for name in names:
                os.link(name.with_name(f"f{i % RENDERED:06d}.png"), name)
    return root


def peak(line: list[str]) -> float:
    """MiB that the process held at most; its workers, if any, are not counted."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "surgaug", *line], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(line)}: {said.decode()}")
    return usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def lines(n: int, data: Path, few: Path, out: Path, size: str) -> dict[str, list[str]]:
    """The command line of each subcommand for an input of size `n`."""
    masks = ["--masks", str(few / "labels"), "--classes", "cadis", "--n", str(n), "--out", str(out)]
    train = [
        "--data",
        str(data),
        "--classes",
        "cadis",
        "--size",
        size,
        "--batch",
        "2",
        "--steps",
        "2",
        "--out",
        str(out),
    ]
    score = ["score", "--real", str(few), "--synth", str(data), "--classes", "cadis", "--workers", "1"]
    return {
        "augment-masks": ["augment-masks", *masks, "--workers", "1"],
        "synthesize": [
            "synthesize",
            *masks,
            "--model",
            str(SHIPPED),
            "--steps",
            "1",
            "--size",
            "mask",
            "--device",
            "cpu",
        ],
        "score": score,
        "score-labels": [*score, "--train", str(data), "--segmenter-steps", "1"],
        "train": ["train", *train, "--device", "cpu", *NETWORK],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--counts", default="100,1000")
    parser.add_argument("--size", default="32x56")
    parser.add_argument("--only", nargs="*", help="these subcommands")
    args = parser.parse_args()
    counts = [int(n) for n in args.counts.split(",")]
    height, width = map(int, args.size.split("x"))
    print("subcommand     " + "".join(f"{f'N = {n}':>12}" for n in counts) + "  MiB a further 1000")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        few = frames(root / "few", RENDERED, (height, width))
        sets = {n: frames(root / f"data-{n}", n, (height, width)) for n in counts}
        for name in lines(0, few, few, root, args.size):
            if args.only and name not in args.only:
                continue
            peaks = [peak(lines(n, sets[n], few, root / f"{name}-{n}", args.size)[name]) for n in counts]
            growth = (peaks[-1] - peaks[0]) / (counts[-1] - counts[0]) * 1000
            print(f"{name:15}" + "".join(f"{p:8.0f} MiB" for p in peaks) + f"  {growth:+.0f}", flush=True)


if __name__ == "__main__":
    main()
