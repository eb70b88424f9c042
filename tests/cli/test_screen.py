"""What the terminal shows: in a pipe, on a terminal (a pseudo-terminal), and with --quiet."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import threading

import pytest

from surgaug.cli import figures, screen
from surgaug.runtime.feedback import Silent

JOB = """
    import time
    from surgaug.cli import screen
    f = screen.feedback()
    f.warn("the model [phantom] is small")
    f.table("Classes", ["id", "name"], [[0, "pupil"], [10, "iris"]], "two of them")
    with f.task("train", 8, "step", done=2) as task:
        for step in range(6):
            task.advance(1, loss=0.5 / 2**step)
            if step == 2:
                with f.task("validate", 2, "batch") as inner:
                    inner.advance(2)
                f.info("checkpoint saved")
                screen.result("runs/a/last.safetensors")
    screen.result("runs/a")
"""


def test_without_a_terminal_plain_lines_on_stderr_and_results_on_stdout():
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(JOB)], capture_output=True, text=True)
    assert done.stdout == "runs/a/last.safetensors\nruns/a\n"
    assert re.sub(r"after \d:\d\d", "after T", done.stderr).splitlines() == [
        "warning: the model [phantom] is small",
        "Classes",
        "id  name",
        " 0  pupil",
        "10  iris",
        "two of them",
        "validate  2/2 batch  done after T",
        "checkpoint saved",
        "train  8/8 step  done after T  loss=0.01562",
    ]


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("columns", "colour"), [(100, True), (100, False), (40, True)])
def test_on_a_terminal_bars_below_and_results_still_on_stdout(tmp_path, columns, colour):
    """stderr is a terminal and stdout a file, as in `surgaug synthesize > paths.txt`."""
    pty = pytest.importorskip("pty")
    leader, follower = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": "40"}
    env.pop("NO_COLOR", None)
    env |= {} if colour else {"NO_COLOR": "1"}
    results = tmp_path / "paths.txt"
    shown = bytearray()
    with results.open("w") as out:
        job = subprocess.Popen([sys.executable, "-c", textwrap.dedent(JOB)], stdout=out, stderr=follower, env=env)
    reader = threading.Thread(target=_drain, args=(leader, shown))
    reader.start()
    assert job.wait(60) == 0
    os.close(follower)
    reader.join(10)
    assert results.read_text() == "runs/a/last.safetensors\nruns/a\n"
    raw = shown.decode()
    assert ("\x1b[1;33m" in raw) == colour
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", raw)
    lines = [line.rstrip() for line in re.split(r"[\r\n]+", text)]
    assert "warning: the model [phantom] is small" in re.sub(r"\s+", " ", text)
    assert "checkpoint saved" in lines
    assert any("8/8 step" in line for line in lines)
    assert max(map(len, lines)) <= columns
    assert "runs/a" not in text


def _drain(descriptor: int, into: bytearray) -> None:
    try:
        while chunk := os.read(descriptor, 4096):
            into += chunk
    except OSError:  # Linux's way to say that the other end is closed
        pass


def test_quiet_is_silent(monkeypatch):
    screen.configure(quiet=True, debug=False)
    try:
        assert isinstance(screen.feedback(), Silent)
    finally:
        screen.configure(quiet=False, debug=False)


def test_meter_counts_only_its_own_work_and_forgets_old_speed():
    meter = figures.Meter(total=1000, done=400, now=0.0, window=30)
    assert meter.rate is None
    assert meter.remaining is None
    meter.advance(100, {}, now=50.0)
    assert meter.rate == pytest.approx(2.0)
    assert meter.remaining == pytest.approx(250.0)
    meter.advance(200, {"loss": 0.5}, now=90.0)
    assert meter.rate == pytest.approx(5.0)
    assert meter.remaining == pytest.approx(60.0)
    assert meter.count("step") == "700/1000 step"
    assert meter.speed("step") == "5 step/s"
    assert meter.notes() == "loss=0.5"


def test_slow_work_is_told_in_seconds_each():
    meter = figures.Meter(total=None, now=0.0)
    meter.advance(1, {}, now=20.0)
    assert meter.speed("images") == "20 s/image"
    assert meter.speed("min") == ""
    assert meter.count("min") == "1:00"
    assert figures.Meter(total=60, done=0.3153, now=0.0).count("min") == "0:19/1:00:00"
    assert meter.remaining is None


def test_meter_is_safe_across_threads():
    meter = figures.Meter(total=None)
    threads = [threading.Thread(target=lambda: [meter.advance(1, {}) for _ in range(2000)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert meter.done == 16000


def test_lines_come_once_a_minute_after_the_first(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(screen.time, "monotonic", lambda: now[0])
    with screen.Lines().task("train", 3600, "step") as task:
        for _ in range(3600):
            now[0] += 1
            task.advance()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 20 + 59 + 1
    assert lines[0] == "train  3/3600 step  0%  1 step/s  59:57 left"
    assert lines[-1] == "train  3600/3600 step  done after 1:00:00"


def test_parts_of_a_long_job_share_its_lines(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(screen.time, "monotonic", lambda: now[0])
    feedback = screen.Lines()
    with feedback.task("train", 3600, "step") as task:
        for _ in range(720):
            with feedback.task("validate", 2, "batch") as inner:
                now[0] += 5
                inner.advance(2)
            task.advance(5)
    lines = capsys.readouterr().err.splitlines()
    assert len([line for line in lines if "validate" in line]) > 0
    assert len(lines) <= 2 * 12 + 59 + 1
    assert lines[-1].startswith("train  3600/3600 step  done")


def test_a_failed_task_does_not_claim_to_be_done(capsys):
    with pytest.raises(ValueError, match="x"), screen.Lines().task("train", 10, "step") as task:
        task.advance(3)
        raise ValueError("x")
    assert capsys.readouterr().err == "train  3/10 step  stopped after 0:00\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[(None, "-"), (3, "3"), (3.0, "3"), (0.123456, "0.1235"), (123456.7, "123457"), ("a", "a"), (True, "True")],
        *[(float("nan"), "nan"), (float("inf"), "inf"), (2e-5, "2e-05")],
    ],
)
def test_numbers(value, text):
    assert figures.number(value) == text


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3599, "59:59"), (3661, "1:01:01")])
def test_clock(seconds, text):
    assert figures.clock(seconds) == text


def test_plain_table_is_never_cut_and_has_its_numbers_to_the_right():
    text = figures.plain_table(["name", "share"], [["x" * 200, 0.5], ["y", None], ["z", 12.25]])
    assert text.splitlines() == [
        "name" + " " * 196 + "  share",
        "x" * 200 + "    0.5",
        "y" + " " * 199 + "      -",
        "z" + " " * 199 + "  12.25",
    ]
