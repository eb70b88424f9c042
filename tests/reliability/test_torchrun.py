"""Two processes under torchrun (gloo, on one machine), for training and for synthesis."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from reliability_cases import ENV

from surgaug.models.checkpoint import read_weights

pytestmark = pytest.mark.slow


def torchrun(line, **options):
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "--",
        "surgaug",
    ]
    return subprocess.Popen(
        [*command, *line], env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def finish(line):
    process = torchrun(line)
    out, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    return out, err


def test_training_by_two_processes_goes_on_as_one_and_is_the_same(lines, run, tmp_path):
    """Two steps by two processes, accumulating, then two more by one: the weights of one process all the way."""
    more = ["--batch", "4", "--set", "accumulate=2", "--set", "network.dropout=0"]
    split, whole = tmp_path / "split", tmp_path / "whole"
    out, err = finish(lines("train", split, *more, "--steps", "2"))
    assert out.splitlines() == [str(split / "last.safetensors")]  # one process speaks
    assert err.count("going on") == 0 and err.count("validation loss is measured") == 1
    assert err.count("no other is tried") == 1
    assert run(lines("train", split, *more))[0] == 0
    assert run(lines("train", whole, *more, "--steps", "2"))[0] == 0
    assert run(lines("train", whole, *more))[0] == 0
    for name in ("last.safetensors", "best.safetensors"):
        a, b = read_weights(split / name), read_weights(whole / name)
        for key, value in b.items():  # of the EMA
            torch.testing.assert_close(a[key], value, rtol=1e-2, atol=1e-4)
    steps = [row.split(",")[0] for row in (split / "metrics.csv").read_text().splitlines()[1:]]
    assert steps == sorted(steps, key=int) and steps[-1] == "4"
    assert torch.load(split / "state.pt", weights_only=True)["step"] == 4


SLOW_TO_SAVE = """
import time
from surgaug.cli import main
from surgaug.training import run_folder
save = run_folder.save_state
run_folder.save_state = lambda *args: (time.sleep(3), save(*args))
main()
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds torchrun's processes in /proc")
def test_a_stop_of_all_processes_saves_before_any_leaves(lines, tmp_path):
    """A scheduler signals torchrun and its processes; torchrun signals them again, and ends all when one has left."""
    script, out = tmp_path / "slow.py", tmp_path / "run"
    script.write_text(SLOW_TO_SAVE)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    line = lines("train", out, "--batch", "4", "--steps", "100000")
    process = subprocess.Popen([*launch, *line], env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until((out / "metrics.csv").exists)  # made just before the first step
    time.sleep(2)
    for pid in (*children(process.pid), process.pid):
        os.kill(pid, signal.SIGTERM)
    _, err = process.communicate(timeout=300)
    assert json.loads((out / "run.json").read_text())["status"] == "stopped", err
    assert torch.load(out / "state.pt", weights_only=True)["step"] > 0


def children(pid):
    return map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def until(done):
    begun = time.monotonic()
    while not done():
        assert time.monotonic() < begun + 300
        time.sleep(0.1)


def test_synthesis_by_two_processes_is_the_same_and_a_dead_ones_share_is_done_by_the_same_line(lines, run, tmp_path):
    whole, split = tmp_path / "whole", tmp_path / "split"
    more = ["--n", "120", "--steps", "8"]
    assert run(lines("synthesize", whole, *more))[0] == 0
    process = torchrun(lines("synthesize", split, *more))
    end = time.monotonic() + 200
    begun = (split / ".lock-1-of-1_2-of-2", split / "dataset.json")
    while time.monotonic() < end and process.poll() is None and not all(path.exists() for path in begun):
        time.sleep(0.01)
    while not (holder := (split / ".lock-1-of-1_2-of-2").read_text()) and process.poll() is None:
        time.sleep(0.01)
    os.kill(int(holder.split()[1]), signal.SIGKILL)
    process.communicate(timeout=200)
    assert process.returncode != 0
    there = len(list((split / "images").glob("*.png")))
    assert there < 120 and not json.loads((split / "dataset.json").read_text())["complete"]
    out, _ = finish(lines("synthesize", split, *more))
    assert sorted(out.splitlines()) == sorted(str(p) for p in (split / "images").iterdir())  # each its own part
    assert (split / "manifest.jsonl").read_text() == (whole / "manifest.jsonl").read_text()
    assert json.loads((split / "dataset.json").read_text())["complete"]
    for path in (whole / "images").iterdir():
        assert (split / "images" / path.name).read_bytes() == path.read_bytes()
    assert [p.name for p in split.glob("manifest*")] == ["manifest.jsonl"]
