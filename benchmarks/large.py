"""How good are pairs at the size that people train at? Models side by side, on the label maps of real frames.

    python benchmarks/large.py OUT --real DIR --train DIR [--size HxW] [--images-per-map N]
        [--no-labels] [--segmenter-steps N] [--segmenter-size HxW]
        NAME=MODEL[,KEY=VALUE ...] ...

A model is a run or a file; KEY=VALUE are settings of its sampling (`--set` of `surgaug synthesize`: steps=10,
second.steps=4), or one of these. All synthesize the same samples of --real's label maps, at --size (default: as large
as these are).

    style=DIR                 --style of `surgaug synthesize`: the look of the frames in a folder, or of one
    enlarged=true             the pictures of a cascade's first stage alone, enlarged bicubically
    real=true                 its second stage behind --real's frames made small: the most that a first stage can do
    real=true,enlarged=true   these small frames alone, enlarged bicubically

They are scored against the frames of --real by both kinds of features, by a segmenter that learns from --train and
reads the labels back (instruments apart, which are thin), and by the seconds that a pair takes. Each cell's images are
kept; what is there is not made again.

Writes OUT/large.md, OUT/large.json and OUT/side_by_side.png.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from frames import size, write_chosen, write_pairs
from side_by_side import side_by_side

import surgaug
from surgaug.cli import screen
from surgaug.datasets.dataset import open_pairs
from surgaug.io.atomic import write_png, write_text
from surgaug.io.images import read_image
from surgaug.io.manifest import MANIFEST
from surgaug.labels.builtin_spaces import load_space
from surgaug.labels.resize import fit_size, resize_image
from surgaug.models.checkpoint import load_model
from surgaug.models.model_files import model_file
from surgaug.models.style import style_code
from surgaug.models.upsampler import Window, enlarge
from surgaug.runtime.device import to_images, to_tensor
from surgaug.runtime.spread import spread
from surgaug.scoring.config import EvaluationConfig
from surgaug.synthesis.cascade import Enlarger
from surgaug.synthesis.config import SynthesizeConfig
from surgaug.synthesis.noise import batch_noise
from surgaug.synthesis.sampling_settings import choose_settings

PICTURES = ("frechet", "kid", "sharpness", "hue", "psnr", "ssim", "prdc")
SHOWN = 6  # label maps of the sheet


@dataclass(frozen=True)
class Contender:
    """A model and how it is sampled."""

    name: str
    model: Path
    options: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Contender:
        name, _, rest = text.partition("=")
        model, *options = rest.split(",")
        return cls(name, Path(model), dict(option.split("=", 1) for option in options))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("contenders", nargs="+", type=Contender.parse, metavar="NAME=MODEL[,KEY=VALUE]")
    parser.add_argument("--real", type=Path, required=True)
    parser.add_argument("--split", help="of --real: only these frames")
    parser.add_argument("--most", type=int, help="frames of --real, evenly spaced")
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--classes", default="auto")
    parser.add_argument("--size", type=size)
    parser.add_argument("--images-per-map", type=int, default=1)
    parser.add_argument("--segmenter-steps", type=int)
    parser.add_argument("--segmenter-size", type=size)
    parser.add_argument("--no-labels", action="store_true", help="without the segmenter")
    options = parser.parse_args()
    real = frames(options.real, options.split, options.most, options.size, options.classes, options.out / "real")
    train = frames(options.train, "train", None, options.size, options.classes, options.out / "train")
    seconds = {c.name: made(c, real, options) for c in options.contenders}
    folders = [options.out / name for name in seconds]
    metrics = PICTURES if options.no_labels else (*PICTURES, "miou")
    segmenter = EvaluationConfig(size=options.segmenter_size, steps=options.segmenter_steps)
    report = surgaug.score(
        real, folders, train=train, classes=real / "classes.json", metrics=metrics,
        evaluation=segmenter, feedback=screen.feedback(),
    ).to_dict()  # fmt: skip
    write_text(options.out / "large.json", json.dumps({"seconds": seconds, "report": report}, indent=1))
    instruments = {c.id for c in load_space(str(real / "classes.json")).classes if c.kind == "instrument"}
    write_text(options.out / "large.md", table(report, seconds, instruments))
    outputs = {folder.name: folder for folder in folders if (folder / MANIFEST).exists()}
    write_png(options.out / "side_by_side.png", side_by_side(outputs, real, SHOWN, str(options.out)))
    print(options.out / "large.md")


def frames(
    data: Path, split: str | None, most: int | None, hw: tuple[int, int] | None, classes: str, out: Path
) -> Path:
    """A folder of pairs of the data's frames at a size (its own, without); that which lies there already is kept."""
    paired = open_pairs(data, classes=classes, split=split)
    chosen = np.asarray(spread(len(paired), most or len(paired)))
    hw = hw or paired.load_label(0).shape
    write_chosen(out, paired, chosen, paired.space, hw)
    write_text(out / "classes.json", json.dumps(paired.space.to_dict()))
    return out


def made(contender: Contender, real: Path, options: argparse.Namespace) -> float:
    """Synthesize the contender's images; the seconds a pair, as the first complete run took."""
    out, own = options.out / contender.name, dict(contender.options)
    enlarged, from_real = (own.pop(key, "") == "true" for key in ("enlarged", "real"))
    done = out.with_suffix(".json")
    if done.exists():
        return json.loads(done.read_text())["seconds"]
    lines = {key: json.loads(own.pop(key)) for key in ("steps", "guidance") if key in own}  # options of their own
    if "style" in own:
        lines["style"] = own.pop("style")
    settings = {k: json.loads(v) for k, v in own.items()}
    n = (1 if from_real else options.images_per_map) * len(list((real / "labels").iterdir()))
    target = out.with_name(f"{contender.name}-base") if enlarged else out
    start = time.monotonic()
    if from_real:
        behind_real(contender.model, SynthesizeConfig(masks=real, options=settings), real, out, enlarged)
    else:
        surgaug.synthesize(
            real, n=n, model=contender.model, out=target, classes=str(real / "classes.json"),
            size="base" if enlarged else "native", options=settings, **lines, feedback=screen.feedback(),
        )  # fmt: skip
    spent = (time.monotonic() - start) / n
    if enlarged and not from_real:
        for name in (MANIFEST, "dataset.json"):
            out.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(target / name, out / name)
        paths = sorted((target / "images").iterdir())

        def large(k: int) -> tuple[np.ndarray, np.ndarray]:
            label = np.asarray(Image.open(real / "labels" / f"{paths[k].stem.rsplit('_', 1)[0]}.png"))
            return bicubic(read_image(paths[k]), label.shape), label

        write_pairs(out, len(paths), large, [path.stem for path in paths])
    write_text(done, json.dumps({"seconds": spent, "model": str(contender.model), "options": contender.options}))
    return spent


def behind_real(model: Path, config: SynthesizeConfig, real: Path, out: Path, enlarged: bool) -> None:
    """Pairs of what the second stage makes of real frames made small, each asked for in its own style; `enlarged`: of
    these small frames without it."""
    loaded = load_model(model_file(model), torch.device("cpu"))
    first, second = loaded.stages
    enlarger = Enlarger(second, choose_settings(config, loaded).second, torch.device("cpu"), None)
    paths = sorted((real / "images").iterdir())

    def large(k: int) -> tuple[np.ndarray, np.ndarray]:
        image, label = read_image(paths[k]), np.asarray(Image.open(real / "labels" / paths[k].name))
        small = resize_image(image, fit_size(label.shape, first.size))
        if enlarged:
            return bicubic(small, label.shape), label
        style = enlarger.asked(style_code(to_tensor(image[None], "cpu")).numpy())
        maps, noise = [loaded.space.to_index(label)], lambda step, shape: batch_noise(0, [k], step, shape)
        return enlarger.enlarge(small[None], maps, [k], noise, style)[0], label

    write_pairs(out, len(paths), large, [path.stem for path in paths])


def bicubic(small: np.ndarray, hw: tuple[int, int]) -> np.ndarray:
    """A small picture uint8 [h, w, 3] at (H, W) `hw`."""
    return to_images(enlarge(to_tensor(small[None], "cpu"), [Window.whole(hw)]))[0]


def table(report: dict[str, Any], seconds: dict[str, float], instruments: Collection[int]) -> str:
    """Markdown: a row a model, a column a measure; at the end real frames, among themselves and of other videos."""
    keys = list(report["definitions"])
    head = [f"{report['definitions'][k]['title']} ({report['definitions'][k]['better']} is better)" for k in keys]
    apart = [f"{what} of instruments (higher is better)" for what in ("mIoU", "boundary F")]
    lines = [f"| | {' | '.join([*head, *apart])} | s a pair |", "|---" * (len(keys) + 4) + "|"]
    for row, (name, spent) in zip(report["rows"], seconds.items(), strict=True):
        cells = [*(figure(row["measures"].get(k)) for k in keys), *read_back(row, instruments, "")]
        lines.append(f"| {name} | {' | '.join(cells)} | {spent:.2f} |")
    baselines = [(report["rows"][0]["measures"].get(k) or {}).get("baseline") for k in keys]
    cells = [figure(b and {"value": b["mean"]}) for b in baselines]
    cells += read_back(report["rows"][0], instruments, "real_")
    lines.append(f"| real frames | {' | '.join(cells)} | |")
    # Frechet distances are of as many images as half of --real has: to be held against `matched`, not against the rows.
    measured = [report["rows"][0]["measures"].get(k) or {} for k in keys]
    found = [(m.get("others") or {}) | {"all others": m.get("together")} for m in measured]
    for video in sorted({video for others in found for video in others}):
        lines.append(f"| real, {video} | {' | '.join(figure({'value': o.get(video)}) for o in found)} | | | |")
    return "\n".join(lines) + "\n"


def read_back(row: dict[str, Any], classes: Collection[int], side: str) -> list[str]:
    """The means over some of the classes of IoU and boundary F of a row's labels; side "real_": of real frames."""
    found = row.get("faithfulness") or {"classes": [], "counted": []}
    read = [c for c in found["classes"] if c["id"] in found["counted"] and c["id"] in classes]
    values = [[c[f"{side}{what}"]["value"] for c in read] for what in ("iou", "boundary_f")]
    return [figure({"value": float(np.mean(v)) if v else None}) for v in values]


def figure(measure: dict[str, Any] | None) -> str:
    value = (measure or {}).get("value")
    return "-" if value is None else f"{value:.4g}"


if __name__ == "__main__":
    main()
