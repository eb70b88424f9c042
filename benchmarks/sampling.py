"""What sampler, steps and guidance do to the pictures of one model, and what they cost.

    pip install matplotlib
    python benchmarks/sampling.py OUT RUN --data DATA [--train DATA] [--n 200] [--samplers ddim,dpmpp]
                                  [--steps 4,6,10,20,40] [--guidance 1,1.5,2,3] [--below inf,5] [--student RUN]

RUN synthesizes from the label maps of `--data` with each sampler at each number of steps (guidance 1), then with the
last of them at its usual steps and each guidance at noise levels (sigma) up to each of `--below`; `--student` is a
model distilled from it (`surgaug train --distill`). All are scored against the frames of `--data`: Frechet and kernel
distance, and with `--train` whether a segmenter trained there finds what the label maps say. Seconds an image are of
the whole command.

Writes OUT/sampling.md, OUT/sampling.json and OUT/sampling.png. What is there already is not made again.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import surgaug
from surgaug.cli import screen
from surgaug.diffusion import samplers
from surgaug.diffusion.schedules import Schedule
from surgaug.diffusion.spacing import alpha_bar_at
from surgaug.io.atomic import atomic_write, write_text
from surgaug.models.checkpoint import read_header
from surgaug.models.model_files import model_file

SHOWN = {
    "fd_efficientnet_lite0": "FD (EfficientNet-Lite0)",
    "kd_efficientnet_lite0": "KD (EfficientNet-Lite0)",
    "frechet_colour_texture": "Fréchet (colour+texture)",
    "kid_colour_texture": "MMD (colour+texture)",
    "miou": "mIoU of labels",
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--train", type=Path)
    parser.add_argument("--classes", default="auto")
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--samplers", default="ddim,dpmpp")
    parser.add_argument("--steps", default="4,6,10,20,40")
    parser.add_argument("--guidance", default="1,1.5,2,3")
    parser.add_argument("--below", default="inf,5")
    parser.add_argument("--student", type=Path)
    options = parser.parse_args(arguments)

    ways = [
        {"line": sampler, "sampler": sampler, "steps": int(steps), "guidance": 1.0}
        for sampler in options.samplers.split(",")
        for steps in options.steps.split(",")
    ]
    last = options.samplers.split(",")[-1]
    guidance, belows = (list(map(float, text.split(","))) for text in (options.guidance, options.below))
    ways += [{"line": "guidance", "sampler": last, "guidance": 1.0}] if 1 in guidance else []
    ways += [
        {"line": "guidance", "sampler": last, "guidance": g, "below": below}
        for below in belows
        for g in guidance
        if g != 1
    ]
    ways += [{"line": "student", "run": str(options.student)}] if options.student else []
    for way in ways:
        synthesize(way, options)
    feedback = screen.feedback()
    metrics = ("frechet", "kid", *(("miou",) if options.train else ()))
    report = surgaug.score(
        options.data, [way["folder"] for way in ways], train=options.train, classes=options.classes,
        metrics=metrics, feedback=feedback,
    ).to_dict()  # fmt: skip
    for way, row in zip(ways, report["rows"], strict=True):
        way |= {key: measure["value"] for key, measure in row["measures"].items() if key in SHOWN}
        way["folder"] = str(way["folder"])
    write_text(
        options.out / "sampling.json",
        json.dumps([{k: str(v) if v == math.inf else v for k, v in way.items()} for way in ways], indent=1),
    )
    write_text(options.out / "sampling.md", table(ways))
    plot(ways, options.out / "sampling.png")
    print(options.out / "sampling.md")


def synthesize(way: dict, options: argparse.Namespace) -> None:
    """Synthesize into a folder of its own; notes the folder, the network's calls and the seconds an image."""
    given = {key: value for key, value in way.items() if key not in ("line", "run")}
    name = "-".join([way["line"], *(f"{key}{value:g}" for key, value in given.items() if key != "sampler")])
    if "below" in given:
        given["options"] = {"guidance_below": given.pop("below")}
    way["folder"] = folder = options.out / name
    seconds = folder / "seconds.json"
    if not seconds.exists():
        start = time.monotonic()
        surgaug.synthesize(
            options.data, n=options.n, model=way.get("run", options.run), out=folder, classes=options.classes,
            feedback=screen.feedback(), **given,
        )  # fmt: skip
        write_text(seconds, json.dumps((time.monotonic() - start) / options.n))
    row = json.loads((folder / "manifest.jsonl").read_text().splitlines()[0])
    way["seconds"] = json.loads(seconds.read_text())
    way["sampler"], way["steps"], way["guidance"] = row["sampler"], row["steps"], row["guidance"]
    way["calls"] = row["steps"]
    if row["guidance"] != 1:  # a second call wherever there is guidance
        schedule = Schedule.from_dict(read_header(model_file(options.run))["schedule"])
        levels = schedule.sampling_levels(row["steps"], samplers.spacing(row["sampler"]))[:-1]
        way["calls"] += int((levels >= alpha_bar_at(way.get("below", math.inf))).sum())


def table(ways: list[dict]) -> str:
    """Markdown, a row a way."""
    shown = [key for key in SHOWN if any(key in way for way in ways)]
    titles = " | ".join(SHOWN[key] for key in shown)
    lines = [
        f"| | sampler | steps | guidance | below sigma | network calls | s an image | {titles} |",
        "|---|---|---|---|---|---|---|" + "---|" * len(shown),
    ]
    for way in ways:
        values = " | ".join(f"{way[key]:.3g}" if way.get(key) is not None else "-" for key in shown)
        lines.append(
            f"| {way['line']} | {way['sampler']} | {way['steps']} | {way['guidance']:g} | {way.get('below', '')} "
            f"| {way['calls']} "
            f"| {way['seconds']:.3f} | {values} |"
        )
    return "\n".join(lines) + "\n"


def plot(ways: list[dict], path: Path) -> None:
    """Each measure over the network's calls for an image (steps) and over guidance."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import NullLocator, ScalarFormatter

    shown = [key for key in SHOWN if any(way.get(key) is not None for way in ways)]
    figure, axes = pyplot.subplots(len(shown), 2, figsize=(9, 3 * len(shown)), squeeze=False, layout="constrained")
    for (left, right), key in zip(axes, shown, strict=True):
        for line in dict.fromkeys(way["line"] for way in ways if way["line"] != "guidance"):
            points = sorted((way["calls"], way[key]) for way in ways if way["line"] == line)
            left.plot(*zip(*points, strict=True), "*" if line == "student" else "o-", label=line, markersize=8)
        for below in dict.fromkeys(way["below"] for way in ways if "below" in way):
            points = sorted(
                (way["guidance"], way[key])
                for way in ways
                if way["line"] == "guidance" and way.get("below", below) == below
            )
            name = "at all noise levels" if below == math.inf else f"below sigma {below:g}"
            right.plot(*zip(*points, strict=True), "o-", label=name)
        left.set(xscale="log", xlabel="network calls an image", ylabel=SHOWN[key])
        left.set_xticks(sorted({way["calls"] for way in ways if way["line"] != "guidance"}))
        left.xaxis.set_major_formatter(ScalarFormatter())
        left.xaxis.set_minor_locator(NullLocator())
        left.legend()
        right.set(xlabel="guidance", ylabel=SHOWN[key])
        right.legend()
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


if __name__ == "__main__":
    main()
