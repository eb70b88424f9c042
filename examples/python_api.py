"""The whole way in Python: train, make new label maps, synthesize images from them, score the result.

usage: python python_api.py TRAIN VAL OUT [MINUTES]

TRAIN and VAL: folders with images/ and labels/. It does no more than the commands do; use it in scripts and notebooks.
"""

import sys
from pathlib import Path

import surgaug
from surgaug.errors import SurgaugError


def main(train: Path, val: Path, out: Path, minutes: float) -> None:
    run = surgaug.train(train, val=val, out=out / "run", size=(32, 56), minutes=minutes)
    model = surgaug.load_model(run.model)
    print(f"{run.step} steps; {model.space.num_classes} classes, {model.size[0]}x{model.size[1]}")

    masks = surgaug.augment_masks(train, n=6, out=out / "masks")
    synthetic = surgaug.synthesize(masks.out, n=6, model=run.model, out=out / "synthetic", steps=10)
    print(f"{synthetic.total} images in {synthetic.out}")

    report = surgaug.score(val, synthetic.out, metrics=["frechet"]).to_dict()
    for row in report["rows"]:
        print(row["name"], row["images"], "images")


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    try:
        main(*map(Path, sys.argv[1:4]), minutes=float(sys.argv[4]) if len(sys.argv) == 5 else 60)
    except SurgaugError as error:  # one line that names the file, the value and the cure
        sys.exit(f"error: {error}")
