"""Does `surgaug score` see what is wrong with a set? A synthetic set, copies of it with a fault each, and real frames.

    python benchmarks/broken.py OUT --real DIR --train DIR --synth DIR [--phantom DIR] [--most N]

`--train` is a folder of images and label maps; an eighth of its frames (whole videos, where these are known) is held
out and scored as a set of its own, which must be found faultless. The faults: blurred, hue turned, labels permuted,
training frames in place of synthetic images; and, with `--phantom`, a set by a model that has seen drawn scenes only.
Writes the sets, OUT/report.json and OUT/report.html, and prints a table. Ends with 1 unless every faulty set is surely
worse than the synthetic and the real one by the measure meant for its fault, and the page says so: its answer is bad
for that set and for neither of these.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from surgaug.datasets.dataset import PairedFrames, open_pairs
from surgaug.datasets.splits import group_of, hold_out
from surgaug.io.atomic import write_png, write_text
from surgaug.labels.resize import resize_image, resize_label_map
from surgaug.runtime.spread import spread_over

Frame = tuple[str, np.ndarray, np.ndarray]
REAL, SYNTHETIC = "real", "synthetic"
BLURRED, HUE, PERMUTED, COPIES, PHANTOM = "blurred", "hue", "permuted", "copies", "phantom"
SIGMA, TURN = 1.5, 12  # pixels; OpenCV's steps of 2 degrees
HELD_OUT = 8  # one training frame in so many
METRICS = "frechet,class_frechet,balance,brightness,hue,sharpness,miou"


@dataclass(frozen=True)
class Meant:
    """The measure meant for a fault, whether a faulty set has more of it, and the page's question that shows it."""

    measure: str
    more: bool
    question: str


MEANT = {
    BLURRED: Meant("sharpness", True, "Are they as sharp?"),
    HUE: Meant("hue", True, "Are colour and light right?"),
    PERMUTED: Meant("miou", False, "Do they show what their labels say?"),
    COPIES: Meant("copies", True, "Are they new?"),
    PHANTOM: Meant("frechet", True, "Do they look real?"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    for name in ("--real", "--train", "--synth"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--phantom", type=Path, help="synthesized from the same maps by a model of drawn scenes")
    parser.add_argument("--most", type=int, default=200, help="images of each set")
    parser.add_argument("--steps", type=int, help="of the segmenter; default: that of score")
    options = parser.parse_args()
    synthetic = open_pairs(options.synth)
    train = open_pairs(options.train, classes=synthetic.space)
    sets = write_sets(options.out, synthetic, train, options.most)
    if options.phantom:
        sets[PHANTOM] = options.phantom
    report = score(options.out, options.real, list(sets.values()), options.steps)
    rows = dict(zip(sets, report["rows"], strict=True))
    sys.stdout.write(table(rows))
    found = {fault: seen(fault, rows) for fault in MEANT if fault in rows}
    for fault, yes in found.items():
        sys.stdout.write(f"{'seen' if yes else 'NOT SEEN'}: {fault}\n")
    sys.exit(0 if all(found.values()) else 1)


def write_sets(out: Path, synthetic: PairedFrames, train: PairedFrames, most: int) -> dict[str, Path]:
    """The sets in folders of images and labels, and OUT/train without the frames held out.

    Broken copies keep the names and the manifest of the synthetic set, so that the page shows the frame that each goes
    back to.
    """
    videos = [group_of(item) for item in train.items]
    held_out = hold_out(videos, sorted(set(videos), key=videos.index)[::HELD_OUT], len(train) // HELD_OUT)
    apart = {i for i, video in enumerate(videos) if video in held_out}
    rest = [i for i in range(len(train)) if i not in apart]
    link(out / "train", train, rest)
    n = min(most, len(synthetic), len(rest))
    chosen = spread_over(range(len(synthetic)), n)
    hw = synthetic.load_image(0).shape[:2]

    def of(k: int) -> Frame:
        i = chosen[k]
        return stem(synthetic, i), synthetic.load_image(i), synthetic.load_label(i)

    def changed(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[int], Frame]:
        return lambda k: (of(k)[0], change(of(k)[1]), of(k)[2])

    def frames(numbers: list[int]) -> Callable[[int], Frame]:
        def frame(k: int) -> Frame:
            i = numbers[k]
            image, label_map = resize_image(train.load_image(i), hw), train.load_label(i)
            return stem(train, i), image, resize_label_map(label_map, hw, train.space)

        return frame

    held = spread_over(sorted(apart), min(n, len(apart)))
    write_set(out / REAL, len(held), frames(held))
    write_set(out / COPIES, n, frames(spread_over(rest, n)))
    makers = {
        SYNTHETIC: of,
        BLURRED: changed(lambda image: cv2.GaussianBlur(image, (0, 0), SIGMA)),
        HUE: changed(turned),
        PERMUTED: lambda k: (*of(k)[:2], of((k + n // 3) % n)[2]),
    }
    rows = manifest_rows(synthetic.root / "manifest.jsonl", {stem(synthetic, i) for i in chosen})
    for name, make in makers.items():
        write_set(out / name, n, make)
        if rows:
            write_text(out / name / "manifest.jsonl", rows)
    write_text(out / "classes.json", json.dumps(synthetic.space.to_dict()))
    return {name: out / name for name in (REAL, SYNTHETIC, BLURRED, HUE, PERMUTED, COPIES)}


def write_set(folder: Path, n: int, make: Callable[[int], Frame]) -> None:
    for k in range(n):
        name, *arrays = make(k)
        for kind, array in zip(("images", "labels"), arrays, strict=True):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            write_png(folder / kind / f"{name}.png", array)


def link(folder: Path, frames: PairedFrames, chosen: list[int]) -> None:
    """A folder of links to the files of some frames."""
    for kind, files in (("images", "image"), ("labels", "label")):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for path in (getattr(frames.items[i], files) for i in chosen):
            here = folder / kind / path.name
            here.unlink(missing_ok=True)
            here.symlink_to(path.resolve())


def manifest_rows(path: Path, stems: set[str]) -> str:
    """The lines of a manifest that are about these images, with files named as `write_set` does."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
    kept = [row for row in rows if Path(row["image"]).stem in stems]
    named = [{**row, **{kind: f"{kind}s/{Path(row['image']).stem}.png" for kind in ("image", "label")}} for row in kept]
    return "".join(f"{json.dumps(row)}\n" for row in named)


def stem(frames: PairedFrames, i: int) -> str:
    image = frames.items[i].image
    assert image is not None
    return image.stem


def turned(image: np.ndarray) -> np.ndarray:
    """`image` with its hue turned by 2 * `TURN` degrees."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(int) + TURN) % 180
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def score(out: Path, real: Path, sets: list[Path], steps: int | None) -> dict:
    """The report of `surgaug score` on all sets."""
    files = {"--json": out / "report.json", "--html": out / "report.html", "--classes": out / "classes.json"}
    line = [sys.executable, "-m", "surgaug", "score", "--real", real, "--train", out / "train", "--metrics", METRICS]
    line += [part for pair in files.items() for part in pair] + [part for path in sets for part in ("--synth", path)]
    line += ["--segmenter-steps", steps] if steps else []
    subprocess.run(list(map(str, line)), check=True, stdout=sys.stderr)
    return json.loads(files["--json"].read_text())


def seen(fault: str, rows: dict[str, dict]) -> bool:
    """Whether the faulty set is surely worse by its measure than the synthetic and the real one, and the page says so.

    Surely: its 95 % interval does not reach theirs.
    """
    meant = MEANT[fault]
    low, high = ends(measured(rows[fault], meant.measure))
    tones = {name: {v["question"]: v["tone"] for v in row["verdicts"]}[meant.question] for name, row in rows.items()}
    healthy = [name for name in (REAL, SYNTHETIC) if name in rows]
    others = [ends(measured(rows[name], meant.measure)) for name in healthy]
    worse = all(low > other[1] if meant.more else high < other[0] for other in others)
    return worse and tones[fault] == "bad" and all(tones[name] != "bad" for name in healthy)


def measured(row: dict, name: str) -> dict:
    """The measure of that name; the Fréchet distance by the first kind of features, which judges."""
    kinds = ("fd_", "frechet_") if name == "frechet" else (name,)
    return next(measure for key, measure in row["measures"].items() if key.startswith(kinds))


def ends(measure: dict) -> tuple[float, float]:
    """The 95 % interval, or the value twice where a measure has none."""
    if measure["low"] is None:
        return measure["value"], measure["value"]
    return measure["low"], measure["high"]


def table(rows: dict[str, dict]) -> str:
    """Markdown: a line for each set, with the measure meant for each fault and the page's answer beside it."""
    lines = ["| set | " + " | ".join(m.measure for m in MEANT.values()) + " |", "|---" * (1 + len(MEANT)) + "|"]
    for name, row in rows.items():
        answers = {v["question"]: v["answer"] for v in row["verdicts"]}
        cells = [f"{measured(row, m.measure)['value']:.3g} {answers[m.question]}" for m in MEANT.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
