"""One line trains both stages: two runs in one folder, one model file; stopped, resumed, replaced one by one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from heard import Heard
from test_loop import TINY, same, write_frames

from surgaug.errors import Interrupted, ModelError, UsageError
from surgaug.inspect.run import inspect
from surgaug.io.atomic import write_png
from surgaug.io.images import read_raw
from surgaug.models.checkpoint import load_model, model_hash, read_header, save_cascade
from surgaug.runtime.feedback import Silent
from surgaug.training import denoising, own_pictures
from surgaug.training.config import TrainConfig, check
from surgaug.training.data import load_data
from surgaug.training.presets import first_stage, from_command_line, second_stage
from surgaug.training.run import train
from surgaug.training.sharpness import OFFSETS
from surgaug.training.windows import LEAST_DETAIL

SECOND = [
    "cascade.network.channels=8,16", "cascade.network.encoder_blocks=1,1", "cascade.network.decoder_blocks=1,1",
    "cascade.network.attention=false,false", "cascade.network.spade=true,true", "cascade.network.spade_hidden=8",
    "cascade.network.label_channels=4", "cascade.network.noise_dim=16", "cascade.window=16x16", "cascade.base=12x16",
    "network.label_detail=2",
]  # fmt: skip


def settings(data: Path, out: Path, *more: str, **given) -> TrainConfig:
    given = {"data": str(data), "out": str(out), "size": "24x32", "cascade": "on", "batch": 4, "steps": 10, **given}
    return from_command_line("tiny", given, None, [*TINY, *SECOND, "init=none", *more])


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_frames(tmp_path_factory.mktemp("frames"))


@pytest.fixture(scope="module")
def run(data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "cascade"
    done = train(settings(data, out))
    assert (done.model, done.step) == (out / "last.safetensors", 10)
    return out


def test_one_file_holds_both_stages(run):
    header = read_header(run / "last.safetensors")
    assert (header["family"], header["size"]) == ("cascade", [24, 32])
    model = load_model(run / "last.safetensors")
    first, second = model.stages
    assert (model.size, first.size, second.size) == ((24, 32), (12, 16), (24, 32))
    assert (first.family, second.family, model.family) == ("diffusion", "upsampler", "cascade")
    for stage, name in ((first, "first"), (second, "second")):
        alone = load_model(run / name / "last.safetensors")
        assert same(stage.net.state_dict(), alone.net.state_dict())
        assert stage.hash == model_hash(run / name / "last.safetensors")
    assert [stage.net.config.label_detail for stage in (first, second)] == [2, 1]
    assert second.schedule["hand_over"] == 1.0 and first.schedule["hand_over"] is None
    assert json.loads((run / "run.json").read_text())["status"] == "finished"


def test_the_minutes_are_shared(data, tmp_path):
    config = settings(data, tmp_path, "cascade.share=0.25", minutes=8.0, steps=None)
    first, second = first_stage(config), second_stage(config, Path("first.safetensors"))
    assert (first.minutes, second.minutes, first.steps) == (2.0, 6.0, None)
    assert (first.cascade, first.size, second.size) == (None, (12, 16), (24, 32))


def test_the_frames_are_told_once(data, run, tmp_path):
    heard, titles = Heard(), []
    heard.table = lambda title, columns, rows, caption="": titles.append(title)
    train(settings(data, tmp_path / "run", steps=2, minutes=9.0), heard)
    assert len(titles) == len(set(titles)) == 2
    assert [line.partition(", for ")[2] for line in heard.infos if "stage: " in line] == [
        "6.3 of 9 min", "2.7 of 9 min",
    ]  # fmt: skip


def test_what_a_size_cuts_off_is_told_once_of_the_size_that_was_given(data, tmp_path):
    heard = Heard()
    train(settings(data, tmp_path / "run", "cascade.base=12x12", size="24x24", steps=2), heard)
    assert [w for w in heard.warnings if "--size" in w] == [
        "--size 24x24 shows 75 % of a frame of 24x32 at a time; --size 24x32 shows all of it"
    ]


def test_few_minutes_are_not_spent_on_own_pictures(data, run):
    config = second_stage(settings(data, run), run / "first" / "last.safetensors")
    frames, file = load_data(config, Silent()).frames, run / "first" / "last.safetensors"
    made = own_pictures.own_pictures(file, frames, 0, torch.device("cpu"), None, Silent(), 3)
    assert len(made) == 3 < len(frames)
    assert [own_pictures.how_many(minutes) for minutes in (None, 0.1, 5, 600)] == [510, 48, 150, 510]


@pytest.mark.parametrize("stage", [0, 1])
def test_stopped_in_either_stage_it_goes_on_bit_for_bit(data, run, tmp_path, monkeypatch, stage):
    real, calls = denoising.gradient, []

    def interrupting(*args):
        calls.append(1)
        if len(calls) == (3, 9)[stage]:
            signal.raise_signal(signal.SIGINT)
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(denoising, "gradient", interrupting)
        with pytest.raises(Interrupted):
            train(settings(data, tmp_path / "run"))
    assert not (tmp_path / "run" / "last.safetensors").exists()
    train(settings(data, tmp_path / "run"))
    for name in ("first", "second"):
        assert model_hash(tmp_path / "run" / name / "last.safetensors") == model_hash(run / name / "last.safetensors")
    assert model_hash(tmp_path / "run" / "last.safetensors") == model_hash(run / "last.safetensors")


def test_a_finished_run_is_not_trained_again(data, run, monkeypatch):
    monkeypatch.setattr(denoising, "gradient", None)
    assert train(settings(data, run)).step == 10


@pytest.mark.parametrize("setting", ["cascade.share=0.9", "cascade.own=0.5"])
def test_what_the_second_stage_refuses_is_refused_before_the_first_is_trained_on(data, run, setting):
    before = model_hash(run / "first" / "last.safetensors")
    with pytest.raises(UsageError, match=rf"second holds a run with other settings .*{setting.partition('=')[0]}"):
        train(settings(data, run, setting, steps=20))
    assert model_hash(run / "first" / "last.safetensors") == before


def test_the_second_stage_is_not_trained_on_other_frames_than_the_first(data, run, tmp_path):
    frames = shutil.copytree(data, tmp_path / "frames")
    shutil.copytree(run / "first", tmp_path / "run" / "first")
    file = tmp_path / "run" / "first" / "config.json"
    file.write_text(file.read_text().replace(str(data), str(frames)))
    shutil.copy(frames / "images" / "f004.png", frames / "images" / "f003.png")
    with pytest.raises(UsageError, match=r"first was trained on other frames: .* 1 have another image \(f003\)"):
        train(settings(frames, tmp_path / "run"))
    assert not (tmp_path / "run" / "second").exists()


def test_a_stage_may_be_given(data, run, tmp_path):
    """A second stage serves any first stage of the same classes and size."""
    other = train(settings(data, tmp_path / "other", f"cascade.second={run / 'second'}", seed=1))
    model, whole = load_model(other.model), load_model(run / "last.safetensors")
    assert model.stages[1].hash == whole.stages[1].hash != model.stages[0].hash
    assert model.stages[0].hash != whole.stages[0].hash
    joined = train(settings(data, tmp_path / "joined", f"cascade.first={run}", f"cascade.second={run / 'second'}"))
    assert model_hash(joined.model) == model_hash(run / "last.safetensors")


@pytest.mark.parametrize(("stage", "own"), [("first", "second"), ("second", "first")])
def test_another_stage_under_the_same_path_is_noticed(data, run, tmp_path, stage, own):
    given = shutil.copytree(run / stage, tmp_path / "given")
    line = data, tmp_path / "run", f"cascade.{stage}={given}", "cascade.own=0"
    train(settings(*line, steps=2))
    assert (tmp_path / "run" / own).is_dir()
    train(settings(data, tmp_path / "other", steps=2, seed=1))
    shutil.copy(tmp_path / "other" / stage / "last.safetensors", given / "last.safetensors")
    with pytest.raises(UsageError, match=rf"cascade\.{stage} .*given/last\.safetensors: holds another model"):
        train(settings(*line, steps=4))


def test_it_goes_on_where_it_was_moved_to(data, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(settings(data, Path("cas"), steps=4))
    assert train(settings(data, tmp_path / "cas", steps=6)).step == 6
    (tmp_path / "cas").rename(tmp_path / "moved")
    assert train(settings(data, Path("moved"), steps=8)).step == 8
    with pytest.raises(UsageError, match=r"cascade\.first: the run's own there, .* now"):
        train(settings(data, Path("moved"), f"cascade.first={run / 'first'}", steps=9))


def test_a_stage_that_is_there_tells_the_size_of_the_small_pictures(data, run, tmp_path):
    for given in (f"cascade.first={run / 'first'}", f"cascade.second={run}", f"cascade.second={run / 'second'}"):
        line = {"data": str(data), "size": "256x448", "out": str(tmp_path / "x")}
        assert from_command_line("tiny", line, None, [given]).cascade.base == (12, 16)


def test_stages_that_do_not_fit_are_refused(data, run, tmp_path):
    small = train(settings(data, tmp_path / "small", size="8x8", cascade="off", steps=1)).model
    with pytest.raises(ModelError, match=r"a second stage for pictures of 12x16, but the first one makes 8x8"):
        save_cascade(tmp_path / "x.safetensors", small, run / "second" / "last.safetensors")
    with pytest.raises(ModelError, match="one of kind upsampler is asked for"):
        save_cascade(tmp_path / "x.safetensors", small, small)
    with pytest.raises(UsageError, match=r"makes pictures of 8x8, but cascade\.base is 12x16"):
        train(settings(data, tmp_path / "y", f"cascade.first={small}"))
    assert not (tmp_path / "x.safetensors").exists()
    # Before the first stage is trained, not after it.
    for given, says in ((run / "second", "pictures of 12x16, but the first one makes 8x8"), (small, "kind upsampler")):
        other = settings(data, tmp_path / "z", "cascade.base=8x8", f"cascade.second={given}")
        with pytest.raises(ModelError, match=says):
            train(other)
    assert not (tmp_path / "z").exists()
    with pytest.raises(UsageError, match="a second stage alone"):
        settings(data, tmp_path / "z", distill=str(run / "second"))


@pytest.mark.parametrize("given", ["first", "second"])
def test_a_given_stage_of_other_classes_is_refused_before_the_other_is_trained(data, run, tmp_path, given):
    frames = shutil.copytree(data, tmp_path / "frames")
    for file in (frames / "labels").iterdir():
        write_png(file, 3 * read_raw(file).values)
    line = settings(frames, tmp_path / "run", f"cascade.{given}={run}", "cascade.own=0")
    with pytest.raises(ModelError, match=rf"a {given} stage of other classes .* than the frames of"):
        train(line)
    assert not (tmp_path / "run").exists()


def test_weights_of_both_stages_are_a_start(data, run, tmp_path):
    given = f"init={run / 'last.safetensors'}"
    config = settings(data, tmp_path / "more", given)
    assert first_stage(config).init == second_stage(config, Path("x")).init == str(run / "last.safetensors")
    done = train(settings(data, tmp_path / "more", given, "lr=1e-12", "muon_lr=none", steps=2))
    before, after = load_model(run / "last.safetensors"), load_model(done.model)
    for a, b in zip(before.stages, after.stages, strict=True):
        for name, weight in a.net.state_dict().items():
            torch.testing.assert_close(b.net.state_dict()[name], weight, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("given", "stages"),
    [({"size": "64x112"}, 1), ({"size": "256x448"}, 2), ({"size": "96x160"}, 2), ({"size": "128x224"}, 2),
     ({"size": "96x160", "cascade": "off"}, 1), ({"size": "64x112", "cascade": "on"}, None),
     ({"size": "256x448", "model": "pix2pix"}, 1)],
)  # fmt: skip
def test_the_size_decides(given, stages):
    line = {"data": "d", "cascade": "auto", **given}
    if stages is None:
        with pytest.raises(UsageError, match="base 64x112: smaller than --size 64x112"):
            check(from_command_line("tiny", line | {"steps": 1}, None, []))
        return
    config = from_command_line("tiny", line, None, [])
    assert (config.cascade is not None) == (stages == 2)
    if stages == 2:
        assert config.cascade.base == {"256x448": (96, 168), "96x160": (64, 104), "128x224": (80, 144)}[given["size"]]


def test_a_run_of_one_stage_at_that_size_goes_on_so(data, tmp_path):
    line = {"data": str(data), "out": str(tmp_path / "run"), "size": "136x136", "steps": 1, "batch": 1}
    train(from_command_line("tiny", line | {"cascade": "off"}, None, [*TINY, "init=none"]))
    assert from_command_line("tiny", line | {"cascade": "auto"}, None, TINY).cascade is None


def test_folders_of_something_else_are_refused(data, run, tmp_path):
    shutil.copytree(run / "first", tmp_path / "single")
    with pytest.raises(UsageError, match="a run without a second stage"):
        train(settings(data, tmp_path / "single"))
    with pytest.raises(UsageError, match="no run to resume"):
        train(settings(data, tmp_path / "none"), resume=True)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("setting", "says"),
    [("cascade.share=1", "share"), ("cascade.window=8x8", "window"), ("cascade.own=2", "own"),
     ("cascade.picture_noise=-1", "picture_noise"), ("cascade.base=4x4", "at least 8x8")],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(data, tmp_path, setting, says):
    with pytest.raises(UsageError, match=says):
        train(settings(data, tmp_path / "x", setting))
    assert not (tmp_path / "x").exists()


def test_own_pictures_lie_where_the_frames_do(data, run, monkeypatch):
    """By a first stage that takes off no noise at all, they are the frames with little noise on them."""
    config = second_stage(settings(data, run), run / "first" / "last.safetensors")
    frames, file = load_data(config, Silent()).frames, run / "first" / "last.safetensors"
    made, again = (own_pictures.own_pictures(file, frames, 0, torch.device("cpu"), None, Silent()) for _ in range(2))
    assert sorted(made) == list(range(len(frames)))
    assert all(np.array_equal(made[i], again[i]) for i in made)

    monkeypatch.setattr(own_pictures, "STRENGTHS", (0.1,))
    idle = lambda *_: lambda x_t, alpha_bar: x_t / alpha_bar**0.5  # noqa: E731
    monkeypatch.setattr(own_pictures, "guided", idle)
    near = own_pictures.own_pictures(file, frames, 0, torch.device("cpu"), None, Silent())
    for i, picture in near.items():
        difference = (picture.astype(float) - frames.about(i)[0]) / 127.5
        assert 0.03 < difference.std() < 0.11


def test_two_processes_train_both_stages(data, tmp_path):
    """Two gloo processes on halves of the same global batches: the same weights up to the order of additions."""
    options = [x for s in [*TINY, *SECOND] if "dropout" not in s for x in ("--set", s)]
    line = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "surgaug",
        "train", "--data", str(data), "--out", str(tmp_path / "run"), "--size", "24x32", "--cascade", "on",
        "--batch", "4", "--steps", "6", "--init", "none", *options,
    ]  # fmt: skip
    done = subprocess.run(line, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    train(settings(data, tmp_path / "one", "network.dropout=0", steps=6))
    one, two = (load_model(tmp_path / name / "last.safetensors").stages for name in ("one", "run"))
    for a, b in zip(one, two, strict=True):
        for name, weight in a.net.state_dict().items():
            torch.testing.assert_close(b.net.state_dict()[name], weight, rtol=1e-2, atol=1e-3)


def test_a_student_of_the_first_stage_keeps_the_second(data, run, tmp_path):
    given = {"data": str(data), "out": str(tmp_path / "student"), "distill": str(run), "steps": 2, "batch": 4}
    config = from_command_line("tiny", given, None, ["student_steps=2", "warmup=0"])
    assert (config.size, config.cascade.base) == ((24, 32), (12, 16))
    model, teacher = load_model(train(config).model), load_model(run / "last.safetensors")
    assert model.stages[1].hash == teacher.stages[1].hash
    assert model.stages[0].defaults["student"] and model.stages[0].defaults["steps"] == 2
    assert model.stages[0].hash != teacher.stages[0].hash


def test_inspect_shows_both_stages(run):
    report = inspect(run)
    assert (report.kind, dict(report.facts)["family"], dict(report.facts)["size"]) == ("cascade", "cascade", "24x32")
    tables = {title: rows for title, _, rows in report.tables}
    assert [row[:3] for row in tables["Stages"]] == [["first", "finished", 7], ["second", "finished", 3]]
    assert ["size", "12x16", "24x32"] in tables["What the stages are"]
    assert not report.problems
    assert inspect(run / "first").kind == "run"
    assert [row[0] for row in inspect(run.parent).tables[0][2]] == ["cascade"]


def test_the_second_stage_knows_the_frames_noise(run):
    second = load_model(run / "last.safetensors").stages[1]
    assert 0 <= second.defaults["grain"] <= 1 / 127.5
    assert LEAST_DETAIL <= second.net.noise_floor <= second.net.detail
    assert second.net.noise_floor >= second.defaults["grain"] - 1e-5


def test_the_second_stage_knows_how_sharp_to_be_asked(run):
    second = load_model(run / "last.safetensors").stages[1]
    assert 0 <= second.defaults["sharper"] <= OFFSETS[-1]
