"""Disks that fill up, and that cannot be written: one line, nothing half-written, and the same line goes on."""

from __future__ import annotations

import errno
import json
import os

import pytest
from PIL import Image
from reliability_cases import remount

COMMANDS = ["train", "synthesize", "augment-masks"]


def check_whole(out):
    """Everything under its final name can be read."""
    for path in out.rglob("*"):
        if path.name.startswith("."):
            continue
        if path.suffix == ".png":
            with Image.open(path) as image:
                image.load()
        if path.suffix == ".json":
            json.loads(path.read_text())


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_and_the_same_line_again_with_room(name, lines, run, small_disk):
    out, line = small_disk / "out", lines(name, small_disk / "out")
    (small_disk / "fill").write_bytes(bytes(180_000 if name != "train" else 60_000))
    code, _, said = run(line)
    assert code == 1 and ("No space left on device" in said or "is the disk full?" in said)
    check_whole(out)
    assert run(line)[0] == 1  # still full: still one line
    remount(small_disk, "size=20m")
    code, _, said = run(line)
    assert code == 0, said
    check_whole(out)
    assert not [p for p in out.rglob("*") if ".tmp-" in p.name]
    if name != "train":
        rows = [json.loads(row) for row in (out / "manifest.jsonl").read_text().splitlines()]
        assert [row["index"] for row in rows] == sorted(row["index"] for row in rows)
        assert json.loads((out / "dataset.json").read_text())["complete"]


@pytest.mark.parametrize("name", [*COMMANDS, "export"])
def test_any_write_may_fail(name, lines, run, tmp_path, monkeypatch):
    """The same without root: the disk is full at the first, the fourth, the seventh file."""
    real, line = os.fsync, lines(name, tmp_path / "out")
    for room in (0, 3, 6):
        left = [room]

        def full(handle, left=left):
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(handle)

        monkeypatch.setattr(os, "fsync", full)
        code, _, said = run(line)
        assert code == 1 and "No space left on device" in said and str(tmp_path / "out") in said
        check_whole(tmp_path / "out")
    monkeypatch.setattr(os, "fsync", real)
    code, _, said = run(line)
    assert code == 0, said


def test_a_report_that_cannot_be_written_leaves_the_old_one(lines, run, small_disk):
    report = small_disk / "score.json"
    report.write_text('{"old": true}')
    (small_disk / "fill").write_bytes(bytes(250_000))
    code, _, said = run(lines("score", report))
    assert code == 1 and f"{report}: No space left on device" in said
    assert report.read_text() == '{"old": true}'
    assert {p.name for p in small_disk.iterdir()} == {"fill", "score.json"}


@pytest.mark.parametrize("name", [*COMMANDS, "score"])
def test_output_that_cannot_be_written_is_named(name, lines, run, small_disk):
    remount(small_disk, "ro")
    code, _, said = run(lines(name, small_disk / "out"))
    assert code == 1 and "Read-only file system" in said and str(small_disk / "out") in said
