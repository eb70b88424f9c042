"""One picture of several outputs of `surgaug synthesize`: a row a label map, a column an output.

    python benchmarks/side_by_side.py SHEET.png NAME=FOLDER NAME=FOLDER ... [--real DIR] [--rows 6] [--title TEXT]

The outputs must be of the same masks and seed, so that sample K is of one label map in all of them. With `--real`, a
data set that the masks are of, the frame itself stands beside its label map.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from surgaug.io.atomic import write_png
from surgaug.labels.contact_sheet import cell_width, sheet
from surgaug.labels.label_space import LabelSpace
from surgaug.synthesis.preview import pick

TILE = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sheet", type=Path)
    parser.add_argument("outputs", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--real", type=Path)
    parser.add_argument("--rows", type=int, default=6)
    parser.add_argument("--title", default="")
    options = parser.parse_args()
    outputs = {name: Path(folder) for name, _, folder in (text.partition("=") for text in options.outputs)}
    write_png(options.sheet, side_by_side(outputs, options.real, options.rows, options.title))


def side_by_side(outputs: dict[str, Path], real: Path | None, rows: int, title: str) -> np.ndarray:
    """The sheet, uint8 [height, width, 3]. Samples are evenly spread over those that every output has."""
    samples = {name: read_manifest(folder) for name, folder in outputs.items()}
    common = sorted(set.intersection(*(set(of) for of in samples.values())))
    first = next(iter(outputs))
    space = LabelSpace.from_dict(json.loads((outputs[first] / "dataset.json").read_text())["label_space"])
    columns = 1 + (real is not None) + len(outputs)
    width = columns * (TILE + 10) + 10
    cell = cell_width(width, columns)
    tiles, maps = [], []
    for index in (common[i] for i in pick(len(common), rows)):
        row = samples[first][index]
        label = np.asarray(Image.open(outputs[first] / row["label"]))
        maps.append(label)
        tiles.append((row["mask"], tile(space.colorize(label), cell)))
        if real is not None:
            tiles.append(("real", tile(read(real / "images" / f"{row['mask']}.png"), cell)))
        for name, folder in outputs.items():
            tiles.append((name, tile(read(folder / samples[name][index]["image"]), cell)))
    return sheet(tiles, maps, space, title, width, columns)


def read_manifest(folder: Path) -> dict[int, dict]:
    """Rows of the manifest by sample."""
    rows = (json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines())
    return {row["index"]: row for row in rows}


def read(path: Path) -> np.ndarray:
    """uint8 [H, W, 3]."""
    return np.asarray(Image.open(path).convert("RGB"))


def tile(image: np.ndarray, width: int) -> Image.Image:
    """`image` at that width, enlarged without smoothing."""
    height = max(1, round(width * image.shape[0] / image.shape[1]))
    smooth = Image.Resampling.NEAREST if image.shape[1] <= width else Image.Resampling.LANCZOS
    return Image.fromarray(image).resize((width, height), smooth)


if __name__ == "__main__":
    main()
