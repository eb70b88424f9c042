"""Frames labelled in labelme, CVAT or Roboflow, as these export them, to a scored training set by commands alone."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from surgaug.cli import run
from surgaug.io.atomic import write_png, write_text
from surgaug.phantom import render

pytestmark = pytest.mark.slow
HEIGHT, WIDTH = SIZE = (72, 128)
LABELS = ("iris", "pupil", "instrument")
Polygons = list[tuple[str, np.ndarray]]


def polygons(label_map: np.ndarray) -> Polygons:
    """As people draw them: the eye's discs whole, and over them the instruments."""
    tools = label_map > 6
    areas = zip(LABELS, (tools | (label_map == 4) | (label_map == 0), label_map == 0, tools), strict=True)
    return [
        (name, outline[:, 0].astype(float))
        for name, area in areas
        for outline in cv2.findContours(area.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
        if cv2.contourArea(outline) > 8
    ]


def labelme(root: Path, frames: dict[str, Polygons]) -> None:
    """Its version 5: a JSON beside each image."""
    for name, drawn in frames.items():
        shapes = [{"label": n, "points": p.tolist(), "group_id": None, "shape_type": "polygon"} for n, p in drawn]
        content = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": f"{name}.png", "imageData": None}
        write_text(root / f"{name}.json", json.dumps(content | {"imageHeight": HEIGHT, "imageWidth": WIDTH}))


def cvat(root: Path, frames: dict[str, Polygons]) -> None:
    """ "CVAT for images 1.1"."""
    lines = ["<annotations><version>1.1</version><meta><task><labels>"]
    lines += [*(f"<label><name>{name}</name></label>" for name in LABELS), "</labels></task></meta>"]
    (root / "images").mkdir()
    for i, (name, drawn) in enumerate(frames.items()):
        (root / f"{name}.png").rename(root / "images" / f"{name}.png")
        lines.append(f'<image id="{i}" name="{name}.png" width="{WIDTH}" height="{HEIGHT}">')
        for z, (label, outline) in enumerate(drawn):
            points = ";".join(f"{x:.2f},{y:.2f}" for x, y in outline)
            lines.append(f'<polygon label="{label}" occluded="0" points="{points}" z_order="{z}"></polygon>')
        lines.append("</image>")
    write_text(root / "annotations.xml", "\n".join([*lines, "</annotations>"]))


def roboflow(root: Path, frames: dict[str, Polygons]) -> None:
    """Its COCO export: a folder a split, names with a hash, and a first category that nothing has."""
    names = list(frames)
    kinds = [{"id": 0, "name": "eye", "supercategory": "none"}]
    kinds += [{"id": i, "name": name, "supercategory": "eye"} for i, name in enumerate(LABELS, 1)]
    for split, chosen in (("train", names[:-2]), ("valid", names[-2:])):
        (root / split).mkdir()
        images, annotations = [], []
        for i, name in enumerate(chosen):
            file = f"{name}_png.rf.{i:032x}.png"
            (root / f"{name}.png").rename(root / split / file)
            images.append({"id": i, "file_name": file, "height": HEIGHT, "width": WIDTH})
            for label, outline in frames[name]:
                box = [*outline.min(0), *np.ptp(outline, 0)]
                mine = {"image_id": i, "category_id": 1 + LABELS.index(label), "bbox": box, "area": box[2] * box[3]}
                mine |= {"id": len(annotations), "iscrowd": 0, "segmentation": [outline.ravel().tolist()]}
                annotations.append(mine)
        content = {"info": {}, "categories": kinds, "images": images, "annotations": annotations}
        write_text(root / split / "_annotations.coco.json", json.dumps(content))


@pytest.mark.parametrize("write", [labelme, cvat, roboflow])
def test_to_a_scored_training_set(write, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    data, frames = tmp_path / "data", {}
    data.mkdir()
    for seed in range(8):
        image, label_map = render(seed, SIZE)
        frames[f"operation{seed // 2}_{seed:04d}"] = polygons(label_map)
        write_png(data / f"operation{seed // 2}_{seed:04d}.png", image)
    write(data, frames)
    trained = 6 if write is roboflow else 8
    assert run(["train", "--steps", "1", "--batch", "2", "--size", "64x64", "--cascade", "off", "--quiet"]) == 0
    assert run(["augment-masks", *["--split", "train"] * (trained == 6), "--n", "4", "--quiet"]) == 0
    assert run(["synthesize", "--n", "4", "--steps", "1", "--quiet"]) == 0
    line = ["export", "--data", "data", "--synth", "synthetic", "--layout", "nnunet", "--out", "Dataset501_Eye"]
    assert run([*line, "--quiet"]) == 0
    line = ["score", "--real", "data", "--synth", "synthetic", "--metrics", "brightness,balance", "--quiet"]
    assert run([*line, "--json", "score.json"]) == 0
    assert capfd.readouterr().err == "" or trained == 6
    written = json.loads((tmp_path / "Dataset501_Eye" / "dataset.json").read_text())
    assert {*LABELS, "background"} == set(written["labels"])
    rows = [json.loads(row) for row in (tmp_path / "Dataset501_Eye" / "manifest.jsonl").read_text().splitlines()]
    assert sum(row["split"] in ("train", None) for row in rows) == trained + 4
    assert json.loads((tmp_path / "score.json").read_text())["rows"][0]["images"] == 4
