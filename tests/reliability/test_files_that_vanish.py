"""A file that goes away, or two runs in one folder, while a command is at work."""

from __future__ import annotations

import json
import shutil

import pytest

from surgaug.errors import DataError
from surgaug.io.atomic import write_text
from surgaug.io.lock import folder_lock
from surgaug.perturb.config import configure
from surgaug.perturb.run import augment_masks
from surgaug.runtime.feedback import Silent
from surgaug.synthesis.config import SynthesizeConfig
from surgaug.synthesis.run import synthesize
from surgaug.training import frames as training_frames
from surgaug.training import loop
from surgaug.training.presets import from_command_line
from surgaug.training.run import train

COMMANDS = ["train", "synthesize", "augment-masks"]


@pytest.fixture
def data(frames, tmp_path):
    return shutil.copytree(frames, tmp_path / "data")


def jobs(data, model_file, out):
    """The two commands that read masks as they go."""
    synthesizing = SynthesizeConfig(
        data / "labels", 30, model_file, out, classes="cadis", batch=2, steps=1, device="cpu"
    )
    perturbing = configure(data / "labels", out, "", None, None, None, {"n": 30, "workers": 1, "classes": "cadis"})
    return {"synthesize": (synthesize, synthesizing), "augment-masks": (augment_masks, perturbing)}


@pytest.mark.parametrize("name", ["synthesize", "augment-masks"])
def test_a_mask_that_vanishes_is_named_and_the_run_goes_on_when_it_is_back(name, data, model_file, tmp_path):
    command, config = jobs(data, model_file, tmp_path / "out")[name]
    hidden = tmp_path / "hidden"

    def hide(path):
        if not hidden.exists():
            shutil.move(data / "labels", hidden)

    with pytest.raises(DataError, match=r"labels/f\d\.png: no such file"):
        command(config, emit=hide)
    there = len((tmp_path / "out" / "manifest.jsonl").read_text().splitlines())
    assert there >= 1
    shutil.move(hidden, data / "labels")
    command(config)
    whole, again = jobs(data, model_file, tmp_path / "whole")[name]
    whole(again)
    first, second = ((tmp_path / o / "manifest.jsonl").read_text() for o in ("out", "whole"))
    assert first == second and len(first.splitlines()) > there


def test_a_frame_that_vanishes_in_training_is_named_and_what_was_saved_stays(data, lines, tmp_path, monkeypatch):
    monkeypatch.setattr(training_frames, "OF_MEMORY", 0)
    given = {"data": str(data), "classes": "cadis", "out": str(tmp_path / "run"), "size": "16x28", "batch": 2}
    tiny = [*lines("train", tmp_path)[-18:][1::2], "frames_on_disk=false"]
    train(from_command_line("tiny", {**given, "steps": 2}, None, tiny))
    before = (tmp_path / "run" / "state.pt").read_bytes()
    real = loop.batches

    def hiding(*args, **kwargs):
        (data / "images" / "f3.png").unlink()
        return real(*args, **kwargs)

    monkeypatch.setattr(loop, "batches", hiding)
    with pytest.raises(DataError, match=r"images/f3\.png: no such file"):
        train(from_command_line("tiny", {**given, "steps": 60}, None, tiny))
    assert (tmp_path / "run" / "state.pt").read_bytes() == before


@pytest.mark.parametrize("name", COMMANDS)
def test_a_second_run_in_the_folder_is_refused_and_a_dead_one_forgotten(name, lines, run, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with folder_lock(out, Silent()):
        code, _, said = run(lines(name, out))
        assert code == 1 and "another run is writing here" in said and "another --out" in said
    write_text(out / ".lock", "process 1 on another-host\n")  # left by a killed run
    code, _, said = run(lines(name, out))
    assert code == 0, said


def test_copied_shards_are_joined_by_any_of_their_lines(lines, run, tmp_path):
    """Two machines without a common disk: each synthesizes its shard, the folders are copied together."""
    whole, a, b, both = (tmp_path / name for name in ("whole", "a", "b", "both"))
    assert run(lines("synthesize", whole))[0] == 0
    for out, shard in ((a, "1/2"), (b, "2/2")):
        code, _, said = run(lines("synthesize", out, "--shard", shard))
        assert code == 0 and "30 of 60 images are missing" in said
        assert not json.loads((out / "dataset.json").read_text())["complete"]
        shutil.copytree(out, both, dirs_exist_ok=True)
    cut = next((both / "images").glob("*_000004.png"))
    cut.write_bytes(cut.read_bytes()[:-20])
    for shard in ("1/2", "2/2"):  # whichever has the file that was cut short synthesizes it again
        assert run(lines("synthesize", both, "--shard", shard))[0] == 0
    assert json.loads((both / "dataset.json").read_text())["complete"]
    assert [p.name for p in both.glob("manifest*")] == ["manifest.jsonl"]
    assert (both / "manifest.jsonl").read_text() == (whole / "manifest.jsonl").read_text()
    for path in (whole / "images").iterdir():
        assert (both / "images" / path.name).read_bytes() == path.read_bytes()
