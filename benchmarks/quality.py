"""Ours against pix2pix, CycleGAN and SPADE on the same frames at equal wall-clock.

    python benchmarks/quality.py OUT [--data phantom] [--data DIR ...] [--frames 100,300,800] [--minutes 10] [--seeds 1]
                                 [--methods diffusion,pix2pix,cyclegan,spade] [--size 64x64] [--preset tiny] [--utility]
                                 [--synthetic 1000] [--augment OPS] [--test 700] [--segmenter-frames N]
                                 [--exclude-known-errors]

A cell is a data set, a number of training frames, a seed and a method: a model, or one with settings of its training,
as in `diffusion,diffusion+prediction=v+min_snr_floor=0`. It is trained for `--minutes` and synthesizes images from the
validation maps (`--images-per-map` of each), which are scored against the validation frames. The segmenter that reads
labels back learns from the same training frames, or from `--segmenter-frames` frames: of few frames it learns nothing
about rare classes. With `--utility`, `--synthetic` images are made from the training maps as well, each map changed by
`--augment`, and scored by what a segmenter gains from them beside the real frames, on `--test` frames that nobody
learnt from (the validation frames, where the data set has no others). A cell that is done is not done again, and one
that was stopped goes on.

Writes OUT/quality.md, OUT/quality.json and, for each data set, number of frames and seed, a sheet of all methods.
Models are trained one after the other, so that each has the machine to itself.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from frames import size, write_frames
from side_by_side import side_by_side

import surgaug
from surgaug.cli import screen
from surgaug.io.atomic import write_png, write_text
from surgaug.models import families
from surgaug.scoring.config import Budget, EvaluationConfig

METHODS = "diffusion,pix2pix,cyclegan,spade"
AUGMENT = "flip:0.5,shift:0.5,scale:0.5,rotate:0.5,elastic:0.5"


@dataclass(frozen=True)
class Cell:
    """One model to be trained and scored."""

    data: str
    frames: int
    seed: int
    method: str

    @property
    def group(self) -> str:
        """What its competitors share."""
        return f"{Path(self.data).name}-{self.frames}-seed{self.seed}"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", action="append", help="phantom, or a data set; may be repeated")
    parser.add_argument("--classes", default="auto", help="label space of the data sets")
    parser.add_argument("--exclude-known-errors", action="store_true", help="of CaDIS; nothing for other data sets")
    parser.add_argument("--frames", default="100,300,800", help="training frames")
    parser.add_argument("--val", type=int, default=100, help="validation frames")
    parser.add_argument("--minutes", type=float, default=10.0, help="of training, each")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--methods", default=METHODS)
    parser.add_argument("--size", default="64x64")
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--images-per-map", type=int, default=2, help="images of each validation map")
    parser.add_argument("--segmenter-steps", type=int, help="as in `surgaug score`")
    parser.add_argument("--segmenter-seeds", type=int, default=3)
    parser.add_argument("--utility", action="store_true", help="train segmenters on synthetic images, too")
    parser.add_argument("--synthetic", type=int, default=1000, help="images for that")
    parser.add_argument("--augment", default=AUGMENT, help="of their label maps, the training frames'")
    parser.add_argument("--test", type=int, default=700, help="frames to test those segmenters on, if there are more")
    parser.add_argument("--segmenter-frames", type=int, metavar="N", help="frames that the segmenter learns from")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of every training")
    options = parser.parse_args(arguments)

    cells = [
        Cell(data, int(frames), seed, method)
        for data, frames, seed, method in itertools.product(
            options.data or ["phantom"], options.frames.split(","), range(options.seeds), methods(options.methods)
        )
    ]
    for cell in {cell.group: cell for cell in cells}.values():
        folder = options.out / cell.group
        test = options.test if options.utility else 0
        write_frames(
            cell.data, folder, cell.frames, options.val, size(options.size), options.classes, test,
            options.exclude_known_errors,
        )  # fmt: skip
        if options.segmenter_frames:
            teaching = segmenter_folder(cell, options)
            write_frames(
                cell.data, teaching, options.segmenter_frames, options.val, size(options.size), options.classes,
                exclude_known_errors=options.exclude_known_errors,
            )  # fmt: skip
    results = {}
    for i, cell in enumerate(cells, 1):
        print(f"[{i}/{len(cells)}] {cell.group} {cell.method}", file=sys.stderr, flush=True)
        results[cell] = run_cell(cell, options)
        write_text(options.out / "quality.json", json.dumps([asdict(c) | r for c, r in results.items()], indent=1))
        write_text(options.out / "quality.md", report(results, options))
    for group in dict.fromkeys(cell.group for cell in cells):
        outputs = {c.method: options.out / group / c.method / "val" for c in cells if c.group == group}
        title = f"{group}: {options.minutes:g} min each"
        write_png(options.out / f"{group}.png", side_by_side(outputs, options.out / group / "val", 6, title))
    print(options.out / "quality.md")


def methods(text: str) -> list[str]:
    """The methods that `text` names: apart by commas, which may also stand in values ("network.spade=False,True")."""
    return re.split(rf",(?=(?:{'|'.join(families.names())})\b)", text)


def segmenter_folder(cell: Cell, options: argparse.Namespace) -> Path:
    """The data set that the segmenter learns from which reads labels back."""
    return options.out / (
        f"{Path(cell.data).name}-segmenter{options.segmenter_frames}" if options.segmenter_frames else cell.group
    )


def run_cell(cell: Cell, options: argparse.Namespace) -> dict[str, Any]:
    """Train, synthesize, score; the figures. What is there already is kept."""
    data, folder = options.out / cell.group, options.out / cell.group / cell.method
    done = folder / "cell.json"
    model, *own = cell.method.split("+")
    settings = [
        options.minutes,
        options.size,
        options.preset,
        options.images_per_map,
        options.segmenter_steps,
        options.set,
    ]
    settings += [options.utility and [options.synthetic, options.augment, options.test], options.segmenter_frames]
    if done.exists() and (found := json.loads(done.read_text()))["settings"] == settings:
        return found
    feedback, classes = screen.feedback(), data / "classes.json"
    trained = surgaug.train(
        data / "train", val=data / "val", out=folder / "run", model=model, preset=options.preset,
        size=size(options.size), classes=classes, minutes=options.minutes, seed=cell.seed,
        settings=dict(text.split("=", 1) for text in [*options.set, *own]), feedback=feedback,
    )  # fmt: skip
    start = time.monotonic()
    parts = {"val": (options.images_per_map * len(list((data / "val" / "labels").iterdir())), "")}
    if options.utility:  # what trains a segmenter must come from the training maps alone
        parts["train"] = (options.synthetic, options.augment)
    for part, (n, augment) in parts.items():
        surgaug.synthesize(
            data / part, n=n, model=trained.model, out=folder / part, seed=cell.seed, classes=str(classes),
            augment=augment, feedback=feedback,
        )  # fmt: skip
    synthesis_seconds = time.monotonic() - start

    def scored(
        real: Path, part: str, metrics: tuple[str, ...], train: Path, utility: Budget | None = None
    ) -> dict[str, Any]:
        evaluation = EvaluationConfig(steps=options.segmenter_steps, utility=utility)
        report = surgaug.score(
            real, folder / part, train=train / "train", classes=classes, metrics=metrics, evaluation=evaluation,
            seed=cell.seed, feedback=feedback,
        )  # fmt: skip
        return report.to_dict()

    # Copies are looked for among the frames that the generator learnt from, whichever segmenter reads the labels.
    pictures, labels, teachers = (
        ("frechet", "kid", "psnr", "ssim", "diversity"),
        ("miou",),
        segmenter_folder(cell, options),
    )
    if teachers == data:
        reports = [scored(data / "val", "val", pictures + labels, data)]
    else:
        reports = [scored(data / "val", "val", *of) for of in ((pictures, data), (labels, teachers))]
    if options.utility:
        test = data / "test" if (data / "test").exists() else data / "val"
        reports.append(scored(test, "train", (), data, Budget(seeds=options.segmenter_seeds)))
    measures, titles = {}, {}
    for found in reports:
        for key, measure in found["rows"][0]["measures"].items():
            definition = found["definitions"][key]
            measures.setdefault(key, measure["value"])
            titles[key] = f"{definition['title']} ({definition['better']} is better)"
    if options.utility:
        measures["synthetic_alone"] = reports[-1]["rows"][0]["utility"]["synthetic"]["value"]
        titles["synthetic_alone"] = "mIoU on real frames after training on synthetic images alone (higher is better)"
    result = {
        "settings": settings, "measures": measures, "titles": titles, "steps": trained.step,
        "minutes": trained.minutes, "synthesis_seconds": synthesis_seconds,
    }  # fmt: skip
    write_text(done, json.dumps(result, indent=1))
    return result


def report(results: dict[Cell, dict[str, Any]], options: argparse.Namespace) -> str:
    """Markdown: a table a measure; a row a data set with its number of frames, a column a method."""
    titles = {key: title for result in results.values() for key, title in result["titles"].items()}
    rows = list(dict.fromkeys((cell.data, cell.frames) for cell in results))
    methods = list(dict.fromkeys(cell.method for cell in results))
    lines = [
        f"{options.minutes:g} minutes of training each, {options.size}, preset {options.preset}; mean over "
        f"{options.seeds} seeds, and the standard deviation where there are several.",
    ]
    for key, title in titles.items():
        lines += [
            "",
            f"**{title}**",
            "",
            f"| data | frames | {' | '.join(methods)} |",
            "|---|---|" + "---|" * len(methods),
        ]
        for data, frames in rows:
            values = [
                [
                    r["measures"].get(key)
                    for c, r in results.items()
                    if (c.data, c.frames, c.method) == (data, frames, m)
                ]
                for m in methods
            ]
            lines.append(f"| {Path(data).name} | {frames} | {' | '.join(map(figure, values))} |")
    return "\n".join(lines) + "\n"


def figure(values: list[float | None]) -> str:
    """Mean and standard deviation, to four digits."""
    known = [v for v in values if v is not None]
    if not known:
        return "-"
    spread = f" ± {statistics.stdev(known):.2g}" if len(known) > 1 else ""
    return f"{statistics.mean(known):.4g}{spread}"


if __name__ == "__main__":
    main()
