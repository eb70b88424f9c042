"""How near do pictures come to the look of frames that training never saw? `--style IMAGE` and `--style DIR`.

    python benchmarks/style.py OUT --real DIR --model FILE [--split NAME] [--classes NAME] [--video NAME] [--frames 3]
                               [--n 64] [--tries 0,3,5]

--real: frames with label maps, of one video that the model has not seen (of several, those of --video). `--n` images
of these label maps are made at the size of the model's first stage, in the style of each of `--frames` frames, spread
over the video, and in that of a folder of all of them; asked for once (0 tries) and until they have it. They are
held against the other frames: hue, brightness, sharpness, and the Fréchet distance of colour and texture. Beside them:
the frame itself held against the others, which is all that one frame can tell, and halves of the video.

Writes OUT/style.md and OUT/style.json: means over the frames. Images that lie there are not made again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from frames import write_chosen

import surgaug
from surgaug.cli import screen
from surgaug.datasets.dataset import open_pairs
from surgaug.io.atomic import write_text
from surgaug.io.images import read_image
from surgaug.io.manifest import read_rows
from surgaug.models.checkpoint import load_model
from surgaug.models.model_files import model_file
from surgaug.runtime.spread import spread
from surgaug.scoring.compute.colour_texture import extract
from surgaug.scoring.metrics import brightness, frechet, hue, sharpness

MEASURES = {
    "hue off, degrees": hue,
    "brightness off, L*": brightness,
    "sharpness off, %": sharpness,
    "Fréchet (c+t)": frechet,
}
HALVES = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--real", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--split")
    parser.add_argument("--classes", default="auto")
    parser.add_argument("--video")
    parser.add_argument("--frames", type=int, default=3)
    parser.add_argument("--n", type=int, default=64)
    parser.add_argument("--tries", default="0,3,5")
    options = parser.parse_args()
    real = frames_of(options)
    paths = sorted((real / "images").iterdir())
    features = described(paths)
    chosen = spread(len(paths), options.frames)
    rows = {
        "one frame itself": [held(np.delete(features, i, 0), features[[i]]) for i in range(len(paths))],
        "halves of the video": halves(features),
    }
    for tries in map(int, options.tries.split(",")):
        for i in chosen:
            others = np.delete(features, i, 0)
            made = described(pictures(options, real, paths[i], tries))
            rows.setdefault(f"in the style of one frame, {tries} tries", []).append(held(others, made))
        made = described(pictures(options, real, real / "images", tries))
        rows[f"in the style of all frames, {tries} tries"] = [held(features, made)]
    made = described(pictures(options, real, None, 0))
    rows["in the styles of training frames"] = [held(features, made)]
    means = {name: dict(zip(MEASURES, np.mean(found, axis=0).tolist(), strict=True)) for name, found in rows.items()}
    write_text(options.out / "style.json", json.dumps(means, indent=1))
    lines = [f"| | {' | '.join(MEASURES)} |", "|---" * (1 + len(MEASURES)) + "|"]
    lines += [f"| {name} | {' | '.join(f'{v:.3g}' for v in row.values())} |" for name, row in means.items()]
    write_text(options.out / "style.md", "\n".join(lines) + "\n")
    print("\n".join(lines))


def frames_of(options: argparse.Namespace) -> Path:
    """A folder of the video's frames with label maps, at the size of the model's first stage."""
    paired = open_pairs(options.real, classes=options.classes, split=options.split)
    chosen = np.array([i for i, item in enumerate(paired.items) if options.video in (None, item.video)])
    if not len(chosen):
        raise SystemExit(
            f"{options.real}: no frame of {options.video}; it has {', '.join(sorted({i.video for i in paired.items}))}"
        )
    size = load_model(model_file(options.model)).first.size
    out = options.out / "real"
    write_chosen(out, paired, chosen, paired.space, size)
    write_text(out / "classes.json", json.dumps(paired.space.to_dict()))
    return out


def pictures(options: argparse.Namespace, real: Path, style: Path | None, tries: int) -> list[Path]:
    """Pictures in the style of a frame or a folder, or in those of training frames."""
    out = options.out / f"{style.stem if style else 'auto'}-{tries}"
    asked = {"style": str(style), "options": {"style.tries": tries}} if style else {}
    surgaug.synthesize(
        real, n=options.n, model=options.model, out=out, classes=str(real / "classes.json"), size="base", **asked,
        feedback=screen.feedback(),
    )  # fmt: skip
    return [out / row["image"] for row in read_rows(out)[0]]


def described(paths: Sequence[Path]) -> np.ndarray:
    """Colour and texture, [n, 130]."""
    return np.stack([extract(read_image(path)) for path in paths])


def held(real: np.ndarray, made: np.ndarray) -> list[float]:
    """Each measure; NaN for a Fréchet distance of a single image."""
    return [m.compute(real, made) if m is not frechet or len(made) > 1 else np.nan for m in MEASURES.values()]


def halves(features: np.ndarray) -> list[list[float]]:
    """Of random halves of the frames, held against each other."""
    rng, half = np.random.default_rng(0), len(features) // 2
    orders = [rng.permutation(len(features)) for _ in range(HALVES)]
    return [held(features[order[:half]], features[order[half:]]) for order in orders]


if __name__ == "__main__":
    main()
