"""Inputs that lead elsewhere, that swell when decoded, or that have names no list can hold."""

from __future__ import annotations

import json
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from surgaug.datasets.dataset import open_masks, open_pairs
from surgaug.errors import DataError
from surgaug.io.atomic import write_png
from surgaug.io.images import MAX_PIXELS, check_image, image_size, read_image, read_raw
from surgaug.labels.codecs.polygons import read_annotation

LABEL = np.zeros((8, 8), np.uint8)


def bomb(path, width, height, depth=8, color=0):
    """A PNG of a hundred bytes that claims to be of this size."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(bytes(10))), chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


@pytest.mark.parametrize("side", [10_000, 20_000, 2_000_000_000])
@pytest.mark.parametrize("depth, color", [(8, 0), (16, 2)])
def test_image_bombs_are_refused_before_they_are_decoded(tmp_path, monkeypatch, side, depth, color):
    monkeypatch.setattr(cv2, "imread", None)
    path = bomb(tmp_path / "bomb.png", side, side, depth, color)
    for read in (read_raw, read_image, check_image):
        with pytest.raises(DataError, match=rf"bomb\.png.*{MAX_PIXELS:,} pixels, the limit"):
            read(path)
    if side > 10_000:
        with pytest.raises(DataError, match=r"bomb\.png.*limit"):
            image_size(path)


def test_annotations_that_claim_a_huge_size_are_refused(tmp_path):
    path = tmp_path / "f.png.json"
    path.write_text(json.dumps({"size": {"height": 10**6, "width": 10**6}, "objects": []}))
    with pytest.raises(DataError, match=f"{MAX_PIXELS:,} pixels"):
        read_annotation(path)
    coco = tmp_path / "coco"
    coco.mkdir()
    entry = {"id": 1, "file_name": "a.png", "height": 10**6, "width": 10**6}
    content = {"images": [entry], "annotations": [], "categories": [{"id": 1, "name": "iris"}]}
    (coco / "instances_train.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=f"{MAX_PIXELS:,} pixels"):
        open_masks(coco).load(0)


@pytest.mark.parametrize("name", ["../secret.png", "/secret.png", "images/../../secret.png", "..\\secret.png"])
def test_file_names_that_lead_out_of_the_data_set_are_refused(tmp_path, name):
    write_png(tmp_path / "secret.png", LABEL)
    hf, coco = tmp_path / "hf", tmp_path / "coco"
    (hf / "train" / "images").mkdir(parents=True)
    (hf / "train" / "metadata.csv").write_text(f"image_file_name,label_file_name,name\nimages/a.png,{name},a\n")
    coco.mkdir()
    entry = {"id": 1, "file_name": name, "height": 8, "width": 8}
    content = {"images": [entry], "annotations": [], "categories": [{"id": 1, "name": "iris"}]}
    (coco / "instances_train.json").write_text(json.dumps(content))
    for root in (hf, coco):
        with pytest.raises(DataError, match="leads out of the data set"):
            open_pairs(root)


def test_frame_names_that_lead_out_of_the_output_are_refused(tmp_path):
    images = tmp_path / "train" / "images"
    images.mkdir(parents=True)
    write_png(images / "a.png", LABEL)
    table = tmp_path / "train" / "metadata.csv"
    for name in ("../../x", "a/b", "..\\x"):
        table.write_text(f"image_file_name,label_file_name,name\nimages/a.png,images/a.png,{name}\n")
        with pytest.raises(DataError, match="is a path"):
            open_pairs(tmp_path)


def test_paths_in_a_manifest_are_never_followed(lines, run, frames, tmp_path):
    """Rows that name files elsewhere count for nothing, and what they name is not touched."""
    out, victim = tmp_path / "out", tmp_path / "victim.png"
    write_png(victim, LABEL)
    before = victim.read_bytes()
    assert run(lines("synthesize", out, "--n", "3"))[0] == 0
    good = (out / "manifest.jsonl").read_text()
    row = json.loads(good.splitlines()[0]) | {"image": "../victim.png", "label": "../victim.png"}
    (out / "manifest.jsonl").write_text(json.dumps(row) + "\n" + good.split("\n", 1)[1] + json.dumps(row) + "\n")
    assert run(lines("synthesize", out, "--n", "3"))[0] == 0
    assert (out / "manifest.jsonl").read_text() == good and victim.read_bytes() == before
    masks = tmp_path / "masks"
    assert run(lines("augment-masks", masks, "--n", "3"))[0] == 0
    row = json.loads((masks / "manifest.jsonl").read_text().splitlines()[0])
    for bad in ({"label": "../victim.png"}, {"index": "0"}, {"index": -7}, {"index": 10**30}, {"index": None}):
        with (masks / "manifest.jsonl").open("a") as file:
            file.write(json.dumps(row | bad) + "\n")
    code, _, said = run(lines("augment-masks", masks, "--n", "3"))
    assert code == 0, said
    assert victim.read_bytes() == before


def test_class_names_are_never_paths(run, frames, tmp_path):
    evil = tmp_path / "in" / "classes.json"
    evil.parent.mkdir()
    names = {f"../../evil{i}\n'\"$(x)": i for i in range(36)}
    evil.write_text(json.dumps(names))
    line = ["export", "--data", str(frames), "--classes", str(evil), "--layout"]
    for layout in ("yolo", "hf", "cadis", "mmseg"):
        code, _, said = run([*line, layout, "--out", str(tmp_path / "in" / layout)])
        assert code == 0, said
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in"]
    assert sorted(p.name for p in evil.parent.iterdir()) == ["cadis", "classes.json", "hf", "mmseg", "yolo"]


def test_odd_names_pass_and_impossible_ones_are_refused(lines, run, frames, tmp_path):
    masks = tmp_path / "my masks"
    masks.mkdir()
    content = (frames / "labels" / "f0.png").read_bytes()
    for name in ("a b.png", "grün $(x)'\".png", "-n.png", "日本.png"):
        (masks / name).write_bytes(content)
    for name in ("synthesize", "augment-masks"):
        out = tmp_path / f"out {name}"
        code, said, errors = run([*lines(name, out), "--masks", str(masks), "--n", "8"])
        assert code == 0, errors
        assert all(Path(path).is_file() for path in said.splitlines()) and len(said.splitlines()) >= 4
    for name in (b"new\nline.png", b"caf\xe9.png"):
        odd = masks / os.fsdecode(name)
        odd.write_bytes(content)
        for command in ("synthesize", "augment-masks"):
            code, _, said = run([*lines(command, tmp_path / "no"), "--masks", str(masks)])
            assert code == 1 and "rename the file" in said and said.count("\n") == 1
        odd.unlink()
    assert not (tmp_path / "no").exists()


def test_empty_folders_and_symlink_loops_are_one_line(lines, run, tmp_path):
    empty, loop = tmp_path / "empty", tmp_path / "loop"
    empty.mkdir()
    loop.mkdir()
    for name, target in (("again", "."), ("me", "me"), ("x.png", "x.png"), ("images", ".."), ("labels", "labels")):
        (loop / name).symlink_to(target)
    for folder in (empty, loop):
        for name, flag in (
            ("synthesize", "--masks"),
            ("augment-masks", "--masks"),
            ("train", "--data"),
            ("score", "--real"),
        ):
            code, _, said = run([*lines(name, tmp_path / name), flag, str(folder), "--quiet"])
            assert code in (1, 2) and str(folder) in said and said.count("\n") == 1, said
            assert name == "train" or not (tmp_path / name).exists()
