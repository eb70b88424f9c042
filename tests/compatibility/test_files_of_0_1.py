"""What surgaug 0.1 wrote is read and gone on with as before, by the same lines.

`files_of_0_1.tar.gz` holds drawn scenes (`frames`) and what these lines made of them, with paths relative to where they
ran; of the lines of `shard` only the first was run.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from surgaug.datasets.provenance import Origin, read_origins

ROOT = Path(__file__).resolve().parents[2]
NETWORK = (
    "channels=8,16 encoder_blocks=1,1 decoder_blocks=1,1 attention=false,true spade=true,true spade_hidden=8 "
    "noise_dim=16 head_dim=8"
)
TRAIN = (
    "train --data frames --size 24x40 --steps 3 --batch 2 --init none --out run --compile off "
    + " ".join(f"--set network.{setting}" for setting in NETWORK.split())
).split()
MASKS = ["augment-masks", "--masks", "frames", "--n", "4", "--out", "masks", "--seed", "5", "--workers", "1"]
SYNTHETIC = "synthesize --masks frames --n 3 --model run --out synthetic --seed 7 --augment shift,swap --compile off"
SYNTHETIC_2 = "synthesize --masks masks --n 3 --model run --out synthetic2 --seed 7 --compile off"
SHARD = "synthesize --masks frames --n 4 --model run --out shard --seed 7 --compile off --shard"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The files of 0.1, unpacked."""
    with tarfile.open(Path(__file__).with_name("files_of_0_1.tar.gz")) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def surgaug(files: Path, *words: str) -> str:
    """Run the command beside the files; what it said. It must succeed."""
    line = [sys.executable, "-m", "surgaug", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, cwd=files, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"surgaug {' '.join(words)}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def contents(*folders: Path) -> dict[str, str]:
    """Hash by path of every file that is not hidden; previews aside, which each version draws in its own way."""
    found = (p for folder in folders for p in folder.rglob("*") if p.is_file())
    files = [p for p in found if not p.name.startswith(".") and p.name != "preview.png"]
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_inspect_reads_all_of_it(files: Path) -> None:
    for name, kind, facts in (
        ("run", "run", {"status": "finished", "family": "diffusion", "size": "24x40"}),
        ("synthetic", "data set", {"frames": "3", "model": "run/last.safetensors (56db02291df0)"}),
        ("masks", "label maps", {"frames": "4", "made by": "surgaug 0.1.0 from frames"}),
        ("frames", "data set", {"frames": "8", "layout": "cadis", "split": "train 6, val 1, test 1"}),
    ):
        report = json.loads(surgaug(files, "inspect", name, "--json", "-", "--quiet"))
        assert report["kind"] == kind and not report["problems"], report
        assert {key: report["facts"].get(key) for key in facts} == facts


def test_training_is_done_and_goes_on_to_more_steps(files: Path) -> None:
    before = contents(files / "run")
    assert "run is trained already (3 steps" in surgaug(files, *TRAIN)
    after = contents(files / "run")
    assert {name for name in before if before[name] != after[name]} <= {str(files / "run" / "config.json")}
    more = [*TRAIN, "--steps", "5"]
    surgaug(files, *more)
    with (files / "run" / "metrics.csv").open(newline="") as file:
        steps = [row["step"] for row in csv.DictReader(file)]
    assert steps[0] == "3" and steps[-1] == "5"
    assert json.loads((files / "run" / "run.json").read_text())["step"] == 5


def test_label_maps_and_images_are_all_there(files: Path) -> None:
    made = [files / name for name in ("masks", "synthetic", "synthetic2")]
    before = contents(*made)
    said = "".join(surgaug(files, *line) for line in (MASKS, SYNTHETIC.split(), SYNTHETIC_2.split()))
    assert "3 of 3 images are there already" in said
    assert contents(*made) == before


def test_the_other_shard_joins_the_one_of_0_1(files: Path) -> None:
    first = (files / "shard" / "manifest-1-of-2.jsonl").read_text()
    before = contents(files / "shard" / "images", files / "shard" / "labels")
    surgaug(files, *SHARD.split(), "2/2")
    text = (files / "shard" / "manifest.jsonl").read_text()
    rows = [json.loads(line) for line in text.splitlines()]
    assert [row["index"] for row in rows] == [0, 1, 2, 3] and text.startswith(first)
    assert not list((files / "shard").glob("manifest-*"))
    after = contents(files / "shard" / "images", files / "shard" / "labels")
    assert before.items() < after.items() and len(after) == 8
    assert json.loads((files / "shard" / "dataset.json").read_text())["complete"]


def test_score_and_export_read_them(files: Path) -> None:
    line = "score --real frames --synth synthetic --metrics frechet,psnr --device cpu --json - --quiet"
    (row,) = json.loads(surgaug(files, *line.split()))["rows"]
    assert row["images"] == 3 and any("3 images of changed masks" in note for note in row["notes"])
    surgaug(files, *["export", "--data", "frames", "--synth", "synthetic", "--layout", "mmseg", "--out", "set"])
    rows = [json.loads(line) for line in (files / "set" / "manifest.jsonl").read_text().splitlines()]
    synthetic = [row for row in rows if row["synthetic"]]
    assert len(rows) == 10 and len(synthetic) == 2, "one of the three is of a validation frame"
    assert all(row["source"].startswith("frames/") and row["origin"]["changed"] for row in synthetic)
    for row in synthetic:
        copy = np.asarray(Image.open(files / "set" / row["image"]))
        assert np.array_equal(copy, np.asarray(Image.open(files / row["image_source"])))


def test_images_of_perturbed_maps_lead_back_to_the_frames(files: Path) -> None:
    real = files / "frames" / "Video08" / "Labels" / "Video8_frame000040.png"
    origins = read_origins(files / "synthetic2")
    assert len(origins) == 3 and all(origin.changed for origin in origins.values())
    assert origins["Video8_frame000040_000002_000000.png"] == Origin(
        "Video8_frame000040", str(real.relative_to(files)), "Video8", None, True
    )
    assert {(files / origin.path).is_file() for origin in origins.values()} == {True}
