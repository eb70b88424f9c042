"""Runs of their own process: the command line, killed and interrupted."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from surgaug.cli import run

ENV = {**os.environ, "OMP_NUM_THREADS": "1"}
N = 60


def command(model_file, masks, out, *more):
    line = [sys.executable, "-m", "surgaug", "synthesize", "--masks", str(masks), "--model", str(model_file)]
    return [*line, "--out", str(out), "--n", str(N), "--steps", "25", "--batch", "3", "--device", "cpu", *more]


def finish(*args):
    """The line to its end; in this process, since another one needs seconds to begin."""
    assert run([*command(*args)[3:], "--quiet"]) == 0


def pictures(out):
    return {p.name: np.asarray(Image.open(p)).astype(int) for p in sorted((out / "images").glob("*.png"))}


def start_and_wait_for(count, out, *args):
    process = subprocess.Popen(command(*args), env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if out.joinpath("images").is_dir() and len(list(out.glob("images/*.png"))) >= count:
            break
        time.sleep(0.01)
    return process


def check_nothing_is_half_written(out):
    for path in out.rglob("*.png"):
        if not path.name.startswith("."):
            with Image.open(path) as image:
                image.load()
    json.loads((out / "dataset.json").read_text())


@pytest.mark.slow
def test_kill_9_and_the_same_line_again(model_file, masks, tmp_path):
    finish(model_file, masks, tmp_path / "whole")
    whole = pictures(tmp_path / "whole")
    out = tmp_path / "killed"
    rng = random.Random(0)
    for count in (1, 31):
        process = start_and_wait_for(count, out, model_file, masks, out)
        time.sleep(rng.random() * 0.2)
        process.send_signal(signal.SIGKILL)
        process.wait()
        check_nothing_is_half_written(out)
    assert len(pictures(out)) < N, "the kills came too late to test anything"
    finish(model_file, masks, out)
    again = pictures(out)
    assert again.keys() == whole.keys()
    assert max(np.abs(again[name] - whole[name]).max() for name in whole) <= 1
    rows = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert [row["index"] for row in rows] == list(range(N))
    assert (out / "manifest.jsonl").read_text() == (tmp_path / "whole" / "manifest.jsonl").read_text()
    assert not [p for p in out.rglob("*") if ".tmp-" in p.name]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_once_finishes_the_batch_and_says_how_to_go_on(model_file, masks, tmp_path, number):
    out = tmp_path / "out"
    process = start_and_wait_for(4, out, model_file, masks, out)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    there = len(pictures(out))
    assert 4 <= there < N and there % 3 == 0
    assert len((out / "manifest.jsonl").read_text().splitlines()) == there
    assert f"stopped after {there} of {N} images" in said and f"--out {out}" in said and "Traceback" not in said
    finish(model_file, masks, out)
    assert len(pictures(out)) == N


@pytest.mark.slow
def test_paths_in_and_out(model_file, masks, tmp_path):
    paths = sorted(masks.iterdir())[1:3]
    line = command(model_file, "-", tmp_path / "out", "--quiet", "--n", "4", "--steps", "2")
    named = "".join(f"{p}\n" for p in paths)
    done = subprocess.run(line, env=ENV, capture_output=True, text=True, timeout=300, input=named)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == sorted(map(str, (tmp_path / "out" / "images").iterdir()))
    assert not done.stderr
    rows = [json.loads(line) for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()]
    assert len(rows) == 4 and {row["source"] for row in rows} == set(map(str, paths))


def test_the_environment_names_the_model_and_the_line_wins(model_file, masks, tmp_path, monkeypatch, capsys):
    line = command(model_file, masks, tmp_path / "out", "--n", "2", "--steps", "2")[3:]
    line = [a for a in line if a not in ("--model", str(model_file))]
    monkeypatch.setenv("SURGAUG_MODEL", str(model_file))
    assert run(line) == 0
    assert run([*line, "--model", "nowhere"]) == 1
    assert "nowhere: no such model" in capsys.readouterr().err
    monkeypatch.setenv("SURGAUG_MODEL", "elsewhere")
    assert run(line) == 1
    assert "elsewhere: no such model" in capsys.readouterr().err
