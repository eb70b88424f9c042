"""What a segmenter gains from synthetic images of new label maps, by the mix of operations that made the maps.

    python benchmarks/mix.py OUT --data DIR --model FILE [--val DIR] [--classes NAME] [--size 64x64] [--n 300]
                             [--steps 400] [--seeds 2] [--plausibility 0.05] [--mixes masks,usual,objects,strong,near]
                             [--synthesis-steps 8]

For each mix (see `MIXES`) `--n` new maps are made from the training maps of --data, those below `--plausibility` drawn
again; the model makes an image of each; and a segmenter is trained on real frames and these images, 1:1 in every batch,
`--steps` batches of each. "masks" are the training maps themselves. mIoU on the frames of --val (validation videos; of
a data set with splits its own) is compared with training on real frames alone for as many batches in all: choose by
validation videos, and judge the choice on others.

Writes OUT/mix.md and OUT/mix.json: gains with 95 % intervals over seeds and videos (stretches of a single one), the
gain of the rarest quarter of the classes, and how plausible the maps are. What is done is not done again.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from frames import size

import surgaug
from surgaug.cli import screen
from surgaug.datasets.dataset import open_pairs
from surgaug.io.atomic import write_text
from surgaug.io.manifest import read_rows
from surgaug.perturb import ops
from surgaug.perturb.config import AugmentConfig
from surgaug.perturb.recipe import Recipe, parse_ops
from surgaug.perturb.run import augment_masks
from surgaug.runtime.device import pick_device
from surgaug.runtime.parallel import cores
from surgaug.runtime.paths import cache_folder
from surgaug.scoring.report.model import Figure
from surgaug.scoring.segmenter.arms import Bench, clusters_of, jointly
from surgaug.scoring.segmenter.faithfulness import rarest_quarter
from surgaug.scoring.segmenter.utility import Readings, over_classes
from surgaug.segmenter.config import SegmenterConfig
from surgaug.segmenter.frames import LabelledFrames, read_frames
from surgaug.segmenter.training import Trainer, Training

REAL = "real alone"
MIXES = {
    "masks": None,  # the training maps themselves
    "usual": ops.USUAL,
    "near": "zoom:0.9,tilt:0.9,pan:0.9,flip:0.5",  # the camera alone
    "objects": "shift:0.6,rotate:0.5,scale:0.2,swap:0.4,insert:0.3,duplicate:0.1,remove:0.1,approach:0.2,flip:0.5",
    "strong": "elastic:0.3,pupil:0.4,gaze:0.4,shift:0.6:1.5,rotate:0.5:1.5,scale:0.2,swap:0.4,insert:0.3,duplicate:0.1,"
    "remove:0.1,approach:0.2,zoom:0.6,tilt:0.6,pan:0.6,flip:0.5",
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--val", type=Path)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--classes", default="auto")
    parser.add_argument("--size", default="64x64")
    parser.add_argument("--n", type=int, default=300)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--plausibility", type=float, default=0.05)
    parser.add_argument("--mixes", default=",".join(MIXES))
    parser.add_argument("--synthesis-steps", type=int, default=8)
    options = parser.parse_args(arguments)
    real, val = frames_of(options.data, options, "train"), frames_of(options.val or options.data, options, "val")
    device = pick_device("auto")
    config = SegmenterConfig(size=size(options.size), steps=options.steps)
    trainer = Trainer(cache_folder() / "segmenters", device)
    bench = Bench(real, val, real.space.num_classes, config, trainer, screen.feedback())
    sets = {name: synthetic(name, real, options) for name in options.mixes.split(",")}
    counts: dict[str, list[np.ndarray]] = {name: [] for name in (REAL, *sets)}
    for seed in range(options.seeds):
        settings = replace(config, seed=seed)
        alone = Training((real,), replace(settings, steps=2 * options.steps))
        trainings = {REAL: alone, **{name: jointly(real, made, settings, 1.0) for name, made in sets.items()}}
        for name, training in trainings.items():
            total = trainer.ahead([training], bench.classes)
            with bench.feedback.task(f"seed {seed}: {name}", total, "steps") as bar:
                counts[name].append(bench.counts(training, bar))
    rows = table(counts, bench, options)
    write_text(options.out / "mix.json", json.dumps(rows, indent=2))
    write_text(options.out / "mix.md", markdown(rows))
    print(options.out / "mix.md")


def frames_of(root: Path, options: argparse.Namespace, split: str) -> LabelledFrames:
    """The frames of that split, or all of a data set without splits."""
    pairs = open_pairs(root, classes=options.classes, feedback=screen.feedback())
    if any(item.split == split for item in pairs.items):
        pairs = replace(pairs, items=tuple(item for item in pairs.items if item.split == split))
    return read_frames(pairs, size(options.size), pairs.space, cores(), screen.feedback(), f"reading {root.name}")


def synthetic(mix: str, real: LabelledFrames, options: argparse.Namespace) -> LabelledFrames:
    """The images of new maps of that mix, in the label space of the real frames."""
    masks, out = options.out / mix / "maps", options.out / mix / "images"
    made = MIXES[mix]
    if made is not None and not (masks / "manifest.jsonl").is_file():
        recipe = Recipe(parse_ops(made), plausibility=options.plausibility)
        augment_masks(
            AugmentConfig(training_masks(options), masks, recipe, options.n, options.classes), screen.feedback()
        )
    surgaug.synthesize(
        training_masks(options) if made is None else masks,
        n=options.n, model=options.model, out=out, classes=options.classes, size="base",
        steps=options.synthesis_steps, feedback=screen.feedback(),
    )  # fmt: skip
    pairs = open_pairs(out, classes=real.space)
    return read_frames(pairs, size(options.size), real.space, cores(), screen.feedback(), f"reading {mix}")


def training_masks(options: argparse.Namespace) -> tuple[Path, ...]:
    """The label maps that new ones are made from: of a data set with splits the training maps alone."""
    items = [item for item in open_pairs(options.data, classes=options.classes).items if item.label is not None]
    return tuple(item.label for item in items if item.split in (None, "train") and item.label)


def table(counts: dict[str, list[np.ndarray]], bench: Bench, options: argparse.Namespace) -> list[dict]:
    """A row a mix: mIoU, gains over real frames alone with intervals, plausibility of the maps."""
    readings = Readings(counts, clusters_of(bench.test)[0], 0)
    frames = bench.real.class_frames()
    rarest = rarest_quarter(frames, readings.shown & (frames > 0))[readings.shown]

    def rare(values: np.ndarray) -> np.ndarray:
        return over_classes(values[..., rarest])

    rows = []
    for name in counts:
        row = {"mix": name, "miou": readings.mean(name, over_classes).value, "ops": MIXES.get(name)}
        if name != REAL:
            row["gain"] = asdict(readings.gain(name, REAL, over_classes))
            row["rare_gain"] = asdict(readings.gain(name, REAL, rare)) if rarest.any() else asdict(Figure(None))
            row["plausibility"] = plausibility(options.out / name / "maps")
        rows.append(row)
    return rows


def plausibility(maps: Path) -> float | None:
    """Mean over the maps of a folder; None where there are none."""
    if not (maps / "manifest.jsonl").is_file():
        return None
    values = [row["plausibility"] for row in read_rows(maps / "manifest.jsonl")[0] if "plausibility" in row]
    return float(np.mean(values)) if values else None


def markdown(rows: list[dict]) -> str:
    """The table."""
    lines = ["| mix | plausibility | mIoU | gain (95 %) | rarest quarter |", "|---|---|---|---|---|"]
    for row in rows:
        seen = "-" if row.get("plausibility") is None else f"{row['plausibility']:.2f}"
        cells = [row["mix"], seen, f"{row['miou']:.3f}", *(signed(row.get(key)) for key in ("gain", "rare_gain"))]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def signed(gain: dict | None) -> str:
    if gain is None or gain["value"] is None:
        return "-"
    return f"{gain['value']:+.3f}" + (
        f" ({gain['low']:+.3f} to {gain['high']:+.3f})" if gain["low"] is not None else ""
    )


if __name__ == "__main__":
    main()
