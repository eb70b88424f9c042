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
from surgaug.io.manifest import read_rows
from surgaug.labels.contact_sheet import ContactSheet
from surgaug.labels.label_space import LabelSpace
from surgaug.runtime.spread import spread

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
    samples = {name: {row["index"]: row for row in read_rows(folder)[0]} for name, folder in outputs.items()}
    common = sorted(set.intersection(*(set(of) for of in samples.values())))
    first = next(iter(outputs))
    space = LabelSpace.from_dict(json.loads((outputs[first] / "dataset.json").read_text())["label_space"])
    columns = 1 + (real is not None) + len(outputs)
    width = columns * (TILE + 10) + 10
    sheet = ContactSheet(space, columns, width)
    for index in (common[i] for i in spread(len(common), rows)):
        row = samples[first][index]
        label = np.asarray(Image.open(outputs[first] / row["label"]))
        sheet.add(row["mask"], [space.colorize(label)], [label])
        if real is not None:
            sheet.add("real", [read(real / "images" / f"{row['mask']}.png")])
        for name, folder in outputs.items():
            sheet.add(name, [read(folder / samples[name][index]["image"])])
    return sheet.draw(title)


def read(path: Path) -> np.ndarray:
    """uint8 [H, W, 3]."""
    return np.asarray(Image.open(path).convert("RGB"))


if __name__ == "__main__":
    main()
