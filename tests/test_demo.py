"""The whole pipeline on phantom scenes, much shortened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from surgaug import demo
from surgaug.errors import UsageError

SMALL = demo.DemoConfig(minutes=0.1, frames=100, masks=4)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    config = replace(SMALL, out=tmp_path_factory.mktemp("demo") / "out")
    return config, demo.run(config)


@pytest.mark.slow
def test_leaves_pairs_a_contact_sheet_and_a_score(done):
    config, result = done
    images = sorted((result.pairs / "images").iterdir())
    labels = sorted((result.pairs / "labels").iterdir())
    held_out = len(list((config.out / "held-out" / "images").iterdir()))
    made = len(list((config.out / "masks" / "labels").iterdir()))
    assert [p.stem for p in images] == [p.stem for p in labels]
    assert 0 < made <= config.masks
    assert len(images) == held_out + made
    for image, label in zip(images, labels, strict=True):
        pixels, ids = np.asarray(Image.open(image)), np.asarray(Image.open(label))
        assert pixels.shape == (*demo.HW, 3)
        assert ids.shape == demo.HW
        assert ids.max() <= 35
    assert Image.open(result.preview).width > 100
    score = json.loads(result.score.read_text())
    row = score["rows"][0]
    assert row["images"] == len(images)
    assert row["pairs"] == held_out
    assert row["measures"]["psnr"]["value"] > 5


@pytest.mark.slow
def test_held_out_frames_are_of_videos_that_training_never_saw(done):
    config, _ = done
    videos = {p.name.split("_")[0] for p in (config.out / "held-out" / "images").iterdir()}
    assert videos
    assert videos <= {"Video2", "Video12", "Video22"}  # CaDIS's test split
    rows = (config.out / "masks" / "manifest.jsonl").read_text().splitlines()
    sources = {json.loads(row)["video"] for row in rows}
    assert sources
    assert not sources & {"Video2", "Video12", "Video22", "Video5", "Video7", "Video16"}  # no new map is made of theirs


@pytest.mark.slow
def test_the_same_line_again_keeps_everything(done):
    config, result = done
    before = {p: p.stat().st_mtime_ns for p in (result.pairs / "images").iterdir()}
    demo.run(config)
    assert {p: p.stat().st_mtime_ns for p in (result.pairs / "images").iterdir()} == before


@pytest.mark.slow
def test_other_settings_or_other_files_are_refused(done, tmp_path):
    config, _ = done
    with pytest.raises(UsageError, match="another --out"):
        demo.run(replace(config, seed=1))
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        demo.run(replace(SMALL, out=tmp_path))
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_interrupted_in_training_it_says_how_to_go_on(tmp_path):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(str(Path(p).absolute()) for p in sys.path if p)}
    job = subprocess.Popen(
        [sys.executable, "-m", "surgaug", "demo", "--out", "d", "--minutes", "9"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=env,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 900
        steps = tmp_path / "d" / "run" / "first" / "metrics.csv"
        while not (steps.is_file() and len(steps.read_text().splitlines()) > 1) and time.monotonic() < deadline:
            time.sleep(0.2)
        job.send_signal(signal.SIGINT)
        out, err = job.communicate(timeout=60)
    finally:
        job.kill()
    assert job.returncode == 130, err
    assert out == ""
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("surgaug: ")
    assert "go on" in err.splitlines()[-1]
    assert (tmp_path / "d" / "run" / "first" / "last.safetensors").is_file()
