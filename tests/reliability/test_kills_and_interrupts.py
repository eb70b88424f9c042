"""The real commands, killed at random moments and interrupted twice. (Once: tests of synthesize and of training.)"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time

import pytest
from reliability_cases import start

pytestmark = pytest.mark.slow


def wait_for(process, there, seconds=120):
    """Until `there()`, or the process has ended."""
    end = time.monotonic() + seconds
    while not there() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)


def count(out):
    return len(list(out.glob("labels/*.png")))


def test_augment_masks_killed_at_random_moments(lines, run, tmp_path):
    line = ["--n", "600"]
    out, rng = tmp_path / "out", random.Random(0)
    for _ in range(2):
        before = count(out)
        process = start(lines("augment-masks", out, *line))
        wait_for(process, lambda b=before: count(out) > b + 3)
        time.sleep(rng.random() * 0.05)
        process.kill()
        process.communicate()
    assert 0 < count(out) < 600, "the kills came at the wrong moment to test anything"
    assert run(lines("augment-masks", out, *line))[0] == 0
    assert run(lines("augment-masks", tmp_path / "whole", *line))[0] == 0
    for name in ("manifest.jsonl", "dataset.json", "preview.png"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    for path in (tmp_path / "whole" / "labels").iterdir():
        assert (out / "labels" / path.name).read_bytes() == path.read_bytes()
    assert count(out) == count(tmp_path / "whole") and not list(out.rglob("*.tmp-*"))


def test_score_killed_leaves_the_old_report_or_the_new(lines, tmp_path):
    report, rng = tmp_path / "score.json", random.Random(1)
    report.write_text('{"old": true}')
    for _ in range(2):
        process = start(lines("score", report))
        try:
            process.communicate(timeout=rng.uniform(1, 4))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        found = json.loads(report.read_text())
        assert found == {"old": True} or "rows" in found


def test_sigterm_in_the_demo_says_how_to_go_on(tmp_path):
    out = tmp_path / "out"
    process = start(["demo", "--out", str(out)])
    wait_for(process, lambda: (out / "phantom").exists())
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said.endswith(f"surgaug: interrupted; to go on, type: surgaug demo --out {out}\n")


@pytest.mark.parametrize("name, more", [("train", ["--steps", "100000"]), ("synthesize", ["--n", "100000"]),
                                        ("augment-masks", ["--n", "100000"]),
                                        ("augment-masks", ["--n", "100000", "--workers", "2"])])  # fmt: skip
def test_interrupted_twice_ends_at_once_and_the_same_line_goes_on(name, more, lines, tmp_path):
    out = tmp_path / "out"
    process = start(lines(name, out, *more))
    begun = {"train": lambda: (out / "metrics.csv").exists(), "synthesize": lambda: count(out) > 0,
             "augment-masks": lambda: count(out) > 0}  # fmt: skip
    wait_for(process, begun[name])
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.001)
    sent = time.monotonic()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said and "surgaug" in said.splitlines()[-1]
    assert time.monotonic() - sent < 30
    assert not list(out.rglob("*.tmp-*"))


def test_ctrl_c_held_down_until_the_interpreter_has_gone_shows_no_traceback(lines, tmp_path):
    out = tmp_path / "out"
    process = start(lines("augment-masks", out, "--n", "100000"))
    wait_for(process, lambda: count(out) > 0)
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        time.sleep(0.002)
    _, said = process.communicate()
    assert process.returncode == 130, said
    assert "Traceback" not in said and "surgaug" in said.splitlines()[-1]
