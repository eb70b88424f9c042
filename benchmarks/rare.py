"""Whether classes that few training frames show look as their labels say: trainings side by side, by class.

    python benchmarks/rare.py OUT [--frames 300] [--minutes 6] [--seeds 1] [--size 64x112] [--preset tiny]
                              [--methods diffusion,diffusion+balance=0+drop_class=0] [--each 25]
                              [--segmenter-frames 2000] [--segmenter-each 120]

Each method (as in quality.py; from nothing, unless it names another `init`) is trained on phantom frames, whose classes
are as rare as those of CaDIS. It synthesizes other scenes, chosen to show each instrument of the rarer half of the
classes `--each` times or more: of scenes as they come, hundreds would hold one. A segmenter reads the labels back that
learnt from `--segmenter-frames` scenes as they come, and more until it saw every instrument `--segmenter-each` times.

Writes OUT/rare.md and OUT/rare.json: IoU by quarters of the classes, in the order of the training frames that show
them, and by class, beside that of the scenes themselves: what the segmenter can read. OUT/rare.png shows some of it
side by side. What is done is not done again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from frames import covering, size, write_frames, write_pairs
from quality import figure, methods
from side_by_side import side_by_side

import surgaug
from surgaug.cli import screen
from surgaug.datasets.dataset import open_pairs
from surgaug.datasets.survey import survey
from surgaug.io.atomic import write_png, write_text
from surgaug.phantom import render
from surgaug.phantom.frequencies import INSTRUMENT_SETS
from surgaug.runtime.feedback import Silent
from surgaug.scoring.config import EvaluationConfig

TEST_SEED, SEGMENTER_SEED = 3_000_000, 5_000_000
QUARTERS = ("rarest", "second", "third", "most frequent")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--minutes", type=float, default=6.0, help="of training, each")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--size", default="64x112")
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--methods", default="diffusion,diffusion+balance=0+drop_class=0")
    parser.add_argument("--each", type=int, default=25, help="test scenes of each class of the rarer half")
    parser.add_argument(
        "--segmenter-frames", type=int, default=2000, help="scenes as they come that the segmenter learns from"
    )
    parser.add_argument("--segmenter-each", type=int, default=120, help="and of each instrument, at least")
    parser.add_argument("--segmenter-steps", type=int, default=5000)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of every training")
    options = parser.parse_args(arguments)
    out, hw = options.out, size(options.size)

    write_frames("phantom", out / "frames", options.frames, 20, hw)
    shown = frames_by_class(out / "frames" / "train", out / "frames" / "classes.json")
    taught = [k for k in np.argsort(shown, kind="stable").tolist() if shown[k]]
    instruments = {k for ids, _ in INSTRUMENT_SETS for k in ids}
    rarer = instruments & set(taught[: len(taught) // 2])
    scenes = covering(rarer, options.each, TEST_SEED)
    write_pairs(out / "test", len(scenes), lambda k: render(scenes[k], hw))
    seeds = covering(instruments, options.segmenter_each, SEGMENTER_SEED, options.segmenter_frames)
    write_pairs(out / "segmenter", len(seeds), lambda k: render(seeds[k], hw))

    cells = [(method, seed) for seed in range(options.seeds) for method in methods(options.methods)]
    for i, (method, seed) in enumerate(cells, 1):
        print(f"[{i}/{len(cells)}] {method}, seed {seed}", file=sys.stderr, flush=True)
        synthesize(method, seed, len(scenes), options)
    synthetic = [out / f"{method}-seed{seed}" / "test" for method, seed in cells]
    scored = surgaug.score(
        out / "test", synthetic, train=out / "segmenter", classes=out / "frames" / "classes.json", metrics=("miou",),
        evaluation=EvaluationConfig(steps=options.segmenter_steps), feedback=screen.feedback(),
    ).to_dict()  # fmt: skip
    classes = [row["faithfulness"]["classes"] for row in scored["rows"]]
    read = {cell: {c["id"]: c["iou"]["value"] for c in found} for cell, found in zip(cells, classes, strict=True)}
    names = {c["id"]: c["name"] for c in classes[0]}
    real = {c["id"]: c["real_iou"]["value"] for c in classes[0]}
    found = [{"method": m, "seed": s, "iou": read[m, s]} for m, s in cells]
    write_text(out / "rare.json", json.dumps({"frames": shown.tolist(), "real": real, "synthetic": found}, indent=1))
    write_text(out / "rare.md", report(taught, shown, names, real, read, options))
    sheet = {m: out / f"{m}-seed0" / "test" for m in methods(options.methods)}
    write_png(out / "rare.png", side_by_side(sheet, out / "test", 8, f"{options.minutes:g} min each"))
    print(out / "rare.md")


def frames_by_class(folder: Path, classes: Path) -> np.ndarray:
    """int [K]: how many frames show each class."""
    pairs = open_pairs(folder, classes=str(classes))
    return survey(pairs, Silent(), need_images=False).presence


def synthesize(method: str, seed: int, n: int, options: argparse.Namespace) -> None:
    """Train, and synthesize each test scene once, where that was not done."""
    data, folder = options.out / "frames", options.out / f"{method}-seed{seed}"
    model, *own = method.split("+")
    classes, feedback = data / "classes.json", screen.feedback()
    trained = surgaug.train(
        data / "train", val=data / "val", out=folder / "run", model=model, preset=options.preset,
        size=size(options.size), classes=classes, minutes=options.minutes, seed=seed,
        settings=dict(text.split("=", 1) for text in ["init=none", *options.set, *own]), feedback=feedback,
    )  # fmt: skip
    surgaug.synthesize(
        options.out / "test", n=n, model=trained.model, out=folder / "test", seed=0, classes=str(classes),
        feedback=feedback,
    )  # fmt: skip


def report(
    taught: list[int],
    shown: np.ndarray,
    names: dict[int, str],
    real: dict[int, float],
    read: dict[tuple[str, int], dict[int, float]],
    options: argparse.Namespace,
) -> str:
    """Markdown: a table of quarters and one of classes; a column a method, mean and standard deviation over seeds."""
    by_method = {m: [iou for (name, _), iou in read.items() if name == m] for m in methods(options.methods)}

    def row(title: str, classes: list[int]) -> str:
        known = [k for k in classes if real.get(k) is not None]
        columns = [[mean([iou.get(k) or 0.0 for k in known]) for iou in found] for found in by_method.values()]
        frames = sorted(int(shown[k]) for k in classes)
        span = f"{frames[0]} to {frames[-1]}" if len(frames) > 1 else f"{frames[0]}"
        return f"| {title} | {span} | {figure([mean([real[k] for k in known])])} | {' | '.join(map(figure, columns))} |"

    head = (
        f"| training frames | the scenes themselves | {' | '.join(by_method)} |\n|---|---|---|{'---|' * len(by_method)}"
    )
    quarters = [part.tolist() for part in np.array_split(taught, 4)]
    return "\n".join(
        [
            f"mIoU of labels; {options.minutes:g} minutes of training each on {options.frames} frames, {options.size}, "
            f"preset {options.preset}, {options.seeds} seeds.",
            "",
            f"| quarter of the classes {head}",
            *(row(title, part) for title, part in zip(QUARTERS, quarters, strict=True)),
            row("all", taught),
            "",
            f"| class {head}",
            *(row(names[k], [k]) for k in taught if k in names),
            "",
        ]
    )


def mean(values: list[float]) -> float | None:
    return statistics.mean(values) if values else None


if __name__ == "__main__":
    main()
