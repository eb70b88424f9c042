"""When a folder is a run's, what may take it, and on which frames a run goes on."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from heard import Heard
from test_loop import same, settings, weights, write_frames

from surgaug.errors import DataError, UsageError
from surgaug.models.checkpoint import load_model, model_hash, read_header
from surgaug.training import denoising, run_folder
from surgaug.training.config import FREE_ON_RESUME, TrainConfig, to_dict
from surgaug.training.logs import Logs
from surgaug.training.presets import from_command_line
from surgaug.training.run import train
from surgaug.training.run_folder import (
    Position,
    claim,
    load_state,
    refuse_other_data,
    refuse_other_models,
    save_state,
    write_status,
)
from surgaug.training.validation import Validation

ARCHIVE = Path(__file__).parents[1] / "compatibility" / "files_of_0_1.tar.gz"


@pytest.fixture
def data(tmp_path) -> Path:
    return write_frames(tmp_path / "frames", 6)


def replace_label(data: Path, name: str) -> None:
    file = data / "labels" / f"{name}.png"
    label = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    label[:4] = 1
    cv2.imwrite(str(file), label)


def test_a_refusal_leaves_no_folder_and_any_line_may_follow(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    good = (data / "images" / "f003.png").read_bytes()
    (data / "images" / "f003.png").write_bytes(good[:100])
    run = Path("runs") / "a"
    with pytest.raises(DataError, match="f003"):
        train(settings(data, run, steps=1))
    assert not Path("runs").exists()
    with pytest.raises(UsageError, match="no run to resume"):
        train(settings(data, run, steps=1), resume=True)
    assert not Path("runs").exists()
    (data / "images" / "f003.png").write_bytes(good)
    assert train(settings(data, run, steps=1, batch=2)).step == 1


def test_a_run_that_ended_before_its_first_save_is_none(data, tmp_path, monkeypatch):
    run = tmp_path / "run"

    def killed(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(denoising, "gradient", killed)
        with pytest.raises(KeyboardInterrupt):
            train(settings(data, run, steps=2))
    assert (run / "config.json").exists() and not (run / "state.pt").exists()
    assert train(settings(data, run, steps=2, batch=2)).step == 2
    assert json.loads((run / "config.json").read_text())["batch"] == 2
    with pytest.raises(UsageError, match="batch: 2 there, 4 now"):
        train(settings(data, run, steps=2))


@pytest.mark.parametrize("name, content", [("config.json", '{"hidden_size": 768}'), ("metrics.csv", "mine\n")])
def test_files_of_others_are_refused_and_stay(data, tmp_path, name, content):
    run = tmp_path / "run"
    run.mkdir()
    (run / name).write_text(content)
    with pytest.raises(UsageError, match="not empty and holds no run"):
        train(settings(data, run, steps=1))
    assert [p.name for p in run.iterdir()] == [name] and (run / name).read_text() == content


def test_a_model_is_not_overwritten_by_other_settings_even_without_its_state(data, tmp_path):
    run = tmp_path / "run"
    train(settings(data, run, steps=1))
    (run / "state.pt").unlink()
    with pytest.raises(UsageError, match="batch: 4 there, 2 now"):
        train(settings(data, run, steps=1, batch=2))
    with pytest.raises(UsageError, match=r"state\.pt is missing"):
        train(settings(data, run, steps=2), resume=True)


def test_a_finished_model_needs_no_state_and_is_not_trained_over(data, tmp_path):
    run = tmp_path / "run"
    best = train(settings(data, run, steps=2)).val_loss
    (run / "state.pt").unlink()
    before = (run / "last.safetensors").stat().st_mtime_ns
    for resume in False, True:
        done = train(settings(data, run, steps=2), resume=resume)
        assert (done.step, done.val_loss) == (2, best)
    with pytest.raises(UsageError, match=r"state\.pt is missing.*--init"):
        train(settings(data, run, steps=4))
    write_status(run, status="stopped", step=2, minutes=0.1)
    with pytest.raises(UsageError, match=r"state\.pt is missing"):
        train(settings(data, run, steps=2))
    assert (run / "last.safetensors").stat().st_mtime_ns == before


def test_a_finished_run_says_that_its_frames_are_others_today(data, tmp_path):
    run = tmp_path / "run"
    train(settings(data, run, steps=1))
    train(settings(data, run, steps=1), heard := Heard())
    assert not any("others today" in said for said in heard.warnings)
    for kind in ("labels", "images"):
        (data / kind / "f005.png").rename(data / kind / "f009.png")
    assert train(settings(data, run, steps=1), heard := Heard()).step == 1
    assert any("1 are gone (f005); 1 are new (f009)" in said for said in heard.warnings)
    shutil.rmtree(data)
    assert train(settings(data, run, steps=1)).step == 1


def test_a_run_that_was_killed_within_its_first_save_begins_again(data, tmp_path, monkeypatch):
    def killed(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_folder, "save_state", killed)
        with pytest.raises(KeyboardInterrupt):
            train(settings(data, tmp_path / "run", steps=2))
    assert (tmp_path / "run" / "last.safetensors").exists()
    assert train(settings(data, tmp_path / "run", steps=2)).step == 2


def test_replaced_frames_are_noticed_by_what_they_hold(data, tmp_path):
    run = tmp_path / "run"
    train(settings(data, run, steps=1))
    for file in data.rglob("*.png"):  # the same bytes at another time: the same data
        os.utime(file)
    train(settings(data, run, steps=2))
    label, image = (data / kind / "f002.png" for kind in ("labels", "images"))
    before = label.read_bytes(), image.read_bytes()
    replace_label(data, "f002")
    with pytest.raises(UsageError, match=r"of 6, 1 have another label map \(f002\)"):
        train(settings(data, run, steps=3))
    label.write_bytes(before[0])
    cv2.imwrite(str(image), np.zeros((24, 32, 3), np.uint8))
    for kind in ("labels", "images"):
        (data / kind / "f005.png").rename(data / kind / "f009.png")
    with pytest.raises(UsageError, match=r"1 are gone \(f005\); 1 are new \(f009\); 1 have another image \(f002\)"):
        train(settings(data, run, steps=3))
    for kind in ("labels", "images"):
        (data / kind / "f009.png").rename(data / kind / "f005.png")
    image.write_bytes(before[1])
    assert train(settings(data, run, steps=3)).step == 3


@pytest.mark.parametrize(
    ("classes", "says"),
    [
        ({"knife": 0, "eye": 1}, "class 0: eye there, knife now; class 1: knife there, eye now"),
        ({"eye": 0, "knife": 1, "hook": 2}, "class 2: None there, hook now"),
    ],
)
def test_a_run_goes_on_with_the_classes_that_it_began_with(data, tmp_path, classes, says):
    """The same label files come to the same ids; a class file calls them otherwise."""
    run, file = tmp_path / "run", data / "classes.json"
    file.write_text('{"eye": 0, "knife": 1}')
    train(settings(data, run, steps=1))
    before = file.read_text()
    file.write_text(json.dumps(classes))
    with pytest.raises(UsageError, match=says):
        train(settings(data, run, steps=2))
    file.write_text(before)
    assert train(settings(data, run, steps=2)).step == 2


def test_a_digest_of_two_ends_is_the_beginning_of_that_of_the_whole_file(tmp_path):
    digests = {"frame": ["ends", "label", "map"]}
    claim(tmp_path, TrainConfig(), digests, Position())
    refuse_other_data(tmp_path, {"frame": ["ends and middle", "label", "map"]})
    with pytest.raises(UsageError, match="another image"):
        refuse_other_data(tmp_path, {"frame": ["other ends", "label", "map"]})


def test_a_model_that_a_setting_names_is_known_by_its_hash(tmp_path):
    teacher = {"--distill": {"file": "teach/last.safetensors", "hash": "a"}}
    claim(tmp_path / "old", TrainConfig(), {}, Position())
    refuse_other_models(tmp_path / "old", teacher)
    claim(tmp_path / "run", TrainConfig(), {}, Position(), models=teacher)
    refuse_other_models(tmp_path / "run", {"--distill": {"file": "moved.safetensors", "hash": "a"}})
    with pytest.raises(UsageError, match=r"--distill teach/last\.safetensors: holds another model than when"):
        refuse_other_models(tmp_path / "run", {"--distill": teacher["--distill"] | {"hash": "b"}})


def test_weights_are_saved_before_the_last_validation_which_is_made_up_for(data, tmp_path, monkeypatch):
    run, whole = tmp_path / "run", tmp_path / "whole"
    train(settings(data, whole, steps=2))

    def killed(*args):
        assert load_model(run / "last.safetensors").meta["step"] == 2
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Validation, "losses", killed)
        with pytest.raises(KeyboardInterrupt):
            train(settings(data, run, steps=2))
    assert json.loads((run / "run.json").read_text())["status"] == "running"
    assert not (run / "best.safetensors").exists()
    heard = Heard()
    assert train(settings(data, run, steps=2), heard).step == 2
    assert heard.bars["validating"] == pytest.approx([12, 12])
    assert json.loads((run / "run.json").read_text())["status"] == "finished"
    assert (run / "best.safetensors").exists() and len(list((run / "samples").iterdir())) == 1
    assert same(weights(run), weights(whole))
    assert model_hash(run / "last.safetensors") == model_hash(whole / "last.safetensors")


def test_the_model_knows_what_its_frames_showed(data, tmp_path):
    classes = tmp_path / "classes.json"
    classes.write_text('{"ground": 0, "disc": 1, "never": 2}')
    train(settings(data, tmp_path / "run", steps=1, classes=str(classes)))
    found = load_model(tmp_path / "run" / "last.safetensors").meta["statistics"]
    labels = [cv2.imread(str(p), cv2.IMREAD_UNCHANGED) for p in sorted((data / "labels").iterdir())]
    share = np.mean([label == 1 for label in labels])
    assert (found["frames"], found["presence"]) == (6, {"0": 6, "1": 6, "2": 0})
    assert found["pixels"] == pytest.approx({"0": 1 - share, "1": share, "2": 0}, rel=1e-3)
    assert found["touching"] == [[0, 1, 6]]


def test_a_run_of_version_0_1_goes_on_and_keeps_its_hash(tmp_path, monkeypatch):
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    old = json.loads(Path("run/config.json").read_text())
    row = json.loads(Path("synthetic/manifest.jsonl").read_text().splitlines()[0])
    assert model_hash(Path("run/last.safetensors")) == row["model"]
    apart = ("preset", "network", "schedule", "adversary", "student_steps", *FREE_ON_RESUME)
    given = {k: v for k, v in old.items() if k not in apart}
    changes = [f"network.{k}={','.join(map(str, v)) if isinstance(v, list) else v}" for k, v in old["network"].items()]
    given["size"] = "24x40"
    config = from_command_line("tiny", given | {"out": "run", "steps": 5}, None, [*changes, "init=none"])
    assert old["network"].items() <= to_dict(config)["network"].items()
    assert train(config).step == 5
    rows = Path("run/metrics.csv").read_text().splitlines()
    assert "discriminator_loss" in rows[0] and [r.split(",")[0] for r in rows[1:]] == ["3", "5"]
    assert read_header(Path("run/last.safetensors"))["meta"]["statistics"]["frames"] == 6


def test_old_names_of_the_discriminator_are_read(tmp_path):
    path = tmp_path / "state.pt"
    save_state(path, {"step": 1, "net": {}, "judge": {"a": torch.ones(1)}, "judge_optimizer": {}})
    assert load_state(path).keys() == {"step", "net", "discriminator", "discriminator_optimizer"}
    (tmp_path / "metrics.csv").write_text(
        "step,minutes,images,loss,judge_loss,lr,grad_norm,images_per_s,val_loss,val_by_level\n"
        "1,0.1,8,0.5,0.25,1e-3,1,9,,\n2,0.2,16,0.4,0.2,1e-3,1,9,0.3,0.3 0.3\n3,0.3,24,0.4,0.2,1e-3,1,9,,\n4,0.4"
    )
    Logs(tmp_path, 2).close()
    assert (tmp_path / "metrics.csv").read_text().splitlines() == [
        "step,minutes,images,loss,discriminator_loss,lr,grad_norm,images_per_s,val_loss,val_by_level",
        "1,0.1,8,0.5,0.25,1e-3,1,9,,",
        "2,0.2,16,0.4,0.2,1e-3,1,9,0.3,0.3 0.3",
    ]
