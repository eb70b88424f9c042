"""The loop, run for real on pictures of a few pixels: the command, kills, resumption, two processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from heard import Heard
from torch._dynamo.backends.common import aot_autograd
from torch._functorch.compilers import nop

import surgaug
from surgaug.cli import run as run_cli
from surgaug.errors import DataError, ModelError, UsageError
from surgaug.models import compiled
from surgaug.models.checkpoint import load_model, read_weights
from surgaug.runtime.feedback import Silent
from surgaug.training import denoising, guidance_choice, loop
from surgaug.training.config import TrainConfig
from surgaug.training.diffusion_step import NetWithLabels
from surgaug.training.presets import from_command_line
from surgaug.training.run import train
from surgaug.training.validation import Validation

TINY = [
    "network.channels=16,32", "network.encoder_blocks=1,1", "network.decoder_blocks=1,1",
    "network.attention=false,true", "network.spade=true,true", "network.spade_hidden=8", "network.label_channels=4",
    "network.head_dim=16", "network.noise_dim=32", "network.dropout=0.1", "network.style=true", "warmup=2",
]  # fmt: skip


def write_frames(root: Path, n: int = 24, hw: tuple[int, int] = (24, 32)) -> Path:
    """Discs (class 1) on a ground (class 0), each of a colour that the label decides."""
    rng = np.random.default_rng(0)
    for sub in ("images", "labels"):
        (root / sub).mkdir(parents=True)
    for i in range(n):
        label = np.zeros(hw, np.uint8)
        cv2.circle(label, (int(rng.integers(8, 24)), int(rng.integers(8, 16))), int(rng.integers(4, 8)), 1, -1)
        image = np.where(label[..., None] == 1, [200, 60, 40], [60, 120, 180]) + rng.normal(0, 8, (*hw, 3))
        cv2.imwrite(str(root / "images" / f"f{i:03}.png"), image.clip(0, 255).astype(np.uint8)[:, :, ::-1])
        cv2.imwrite(str(root / "labels" / f"f{i:03}.png"), label)
    return root


def settings(data: Path, out: Path, *more: str, **given) -> TrainConfig:
    given = {"data": str(data), "out": str(out), "size": "16x16", "batch": 4, "steps": 12, **given}
    return from_command_line("tiny", given, None, [*TINY, *more])


def weights(run: Path) -> dict[str, torch.Tensor]:
    return read_weights(run / "last.safetensors")


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_frames(tmp_path_factory.mktemp("frames"))


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory) -> Path:
    """An uninterrupted run of 12 steps."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    train(settings(data, run))
    return run


def test_what_a_run_leaves(whole):
    model = load_model(whole / "last.safetensors")
    assert model.size == (16, 16)
    assert model.space.names == ("background", "foreground") or model.space.num_classes == 2
    assert model.meta["step"] == 12
    assert model.meta["statistics"]["frames"] + 1 == 24  # one of 24 is held out
    assert {len(style["code"]) for style in model.meta["styles"]} == {7} and len(model.meta["styles"]) == 23
    assert len(set(model.meta["label_maps"])) == 24  # of the one held out as well: its ids are the model's, too
    assert model.schedule["kind"] == "cosine"
    assert json.loads((whole / "run.json").read_text())["status"] == "finished"
    assert (whole / "best.safetensors").exists()
    rows = (whole / "metrics.csv").read_text().splitlines()
    assert rows[0].startswith("step,") and len(rows) >= 2
    sheet = cv2.imread(str(next((whole / "samples").glob("*.png"))))
    assert sheet.shape[0] == 3 * 16
    assert not [p for p in whole.rglob("*") if ".tmp-" in p.name]


def test_the_chosen_guidance_goes_into_the_file(data, whole, tmp_path, monkeypatch):
    assert load_model(whole / "last.safetensors").defaults["guidance"] == 2  # one frame held out chooses nothing
    monkeypatch.setattr(guidance_choice, "LEAST", 4)
    monkeypatch.setattr(guidance_choice, "A_PICTURE", 8)
    monkeypatch.setattr(
        guidance_choice, "nearest", lambda real, made, of_map, usual: (1.5, dict.fromkeys(made, 1.0), True)
    )
    val = write_frames(tmp_path / "val", n=guidance_choice.LEAST_FRAMES)
    train(settings(data, tmp_path / "run", val=str(val)))
    defaults = load_model(tmp_path / "run" / "last.safetensors").defaults
    assert (defaults["guidance"], defaults["guidance_below"]) == (1.5, 5)
    student = settings(data, tmp_path / "student", val=str(val), distill=str(tmp_path / "run"), steps=12)
    assert (student.teacher_guidance, student.teacher_guidance_below) == (1.5, 5)
    monkeypatch.setattr(guidance_choice, "nearest", lambda *given: pytest.fail("a student needs no guidance"))
    assert load_model(train(student).model).defaults["guidance"] == 1


def test_same_seed_same_weights_other_seed_others(data, whole, tmp_path):
    train(settings(data, tmp_path / "again"))
    assert same(weights(whole), weights(tmp_path / "again"))
    train(settings(data, tmp_path / "other", seed=1))
    assert not same(weights(whole), weights(tmp_path / "other"))


def test_resumed_equals_uninterrupted_bit_for_bit(data, whole, tmp_path, monkeypatch):
    """Stopped after 5 steps by an interrupt, then resumed: weights, EMA, optimizer and data order are all there."""
    real, calls = denoising.gradient, []

    def interrupting(*args):
        calls.append(1)
        if len(calls) == 5:
            os.kill(os.getpid(), signal.SIGINT)
        return real(*args)

    monkeypatch.setattr(denoising, "gradient", interrupting)
    with pytest.raises(loop.Interrupted, match="same line"):
        train(settings(data, tmp_path / "run"))
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "stopped"
    train(settings(data, tmp_path / "run"), resume=True)
    assert len(calls) == 12
    assert same(weights(whole), weights(tmp_path / "run"))
    a, b = (torch.load(r / "state.pt", weights_only=True) for r in (whole, tmp_path / "run"))
    assert same(a["net"], b["net"])
    for optimizer in "optimizer", "muon":
        assert a[optimizer]["state"]
        for i, s in a[optimizer]["state"].items():
            assert all(torch.equal(v, b[optimizer]["state"][i][k]) for k, v in s.items())


def test_a_finished_run_is_left_alone_and_can_be_lengthened(data, whole):
    before = (whole / "last.safetensors").stat().st_mtime_ns
    assert train(settings(data, whole)).step == 12
    assert (whole / "last.safetensors").stat().st_mtime_ns == before


def test_other_settings_are_refused_with_the_difference(data, whole):
    with pytest.raises(UsageError, match="batch: 4 there, 2 now"):
        train(settings(data, whole, batch=2))


def test_resume_without_a_run_and_a_folder_of_something_else(data, tmp_path):
    with pytest.raises(UsageError, match="no run to resume"):
        train(settings(data, tmp_path / "none"), resume=True)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.docx").write_text("x")
    with pytest.raises(UsageError, match="not empty"):
        train(settings(data, tmp_path / "full"))
    assert [p.name for p in (tmp_path / "full").iterdir() if not p.name.startswith(".")] == ["thesis.docx"]


@pytest.mark.parametrize("damage", ["cut", "pickle"])
def test_a_damaged_state_is_named_and_never_executed(data, tmp_path, damage):
    import pickle

    class Hostile:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    run = tmp_path / "run"
    train(settings(data, run, steps=2))
    state = run / "state.pt"
    state.write_bytes(state.read_bytes()[:5000] if damage == "cut" else pickle.dumps(Hostile()))
    with pytest.raises(ModelError, match=r"state\.pt"):
        train(settings(data, run, steps=4))
    assert not (tmp_path / "executed").exists()


def test_nan_stops_and_keeps_the_last_save(data, tmp_path, monkeypatch):
    run = tmp_path / "run"
    train(settings(data, run, steps=3))
    good = weights(run)
    real = denoising.make_batch

    def poisoned(*args):
        batch = real(*args)
        batch.x_t[:] = float("nan")
        return batch

    monkeypatch.setattr(denoising, "make_batch", poisoned)
    with pytest.raises(ModelError, match="lower --lr"):
        train(settings(data, run, steps=6))
    assert same(good, weights(run))


def test_weights_that_the_last_step_spoilt_are_not_saved(data, tmp_path, monkeypatch):
    """Its loss was that of the weights before it."""
    run, real = tmp_path / "run", denoising.apply
    train(settings(data, run, steps=3))
    good = weights(run)

    def spoiling(net, *args):
        norm = real(net, *args)
        with torch.no_grad():
            next(net.parameters()).fill_(float("inf"))
        return norm

    monkeypatch.setattr(denoising, "apply", spoiling)
    with pytest.raises(ModelError, match=r"are no numbers after step 3: .* lower --lr"):
        train(settings(data, run, steps=4))
    assert same(good, weights(run))


def test_a_model_whose_validation_loss_is_no_number_is_not_finished(data, tmp_path, monkeypatch):
    monkeypatch.setattr(Validation, "losses", lambda *args: [float("nan")])
    with pytest.raises(ModelError, match="the validation loss is nan at step 2"):
        train(settings(data, tmp_path / "run", steps=2))
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "running"


def test_out_of_memory_says_what_to_try(data, tmp_path, monkeypatch):
    def full(*args):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(denoising, "gradient", full)
    with pytest.raises(ModelError, match="--batch 2"):
        train(settings(data, tmp_path / "run"))


def test_it_learns(data, tmp_path):
    """200 steps on two colours: the validation loss falls well below that of the untrained network."""
    start = train(settings(data, tmp_path / "a", steps=1, lr=1e-9)).val_loss
    end = train(settings(data, tmp_path / "b", "drop_map=0", steps=200, lr=2e-3)).val_loss
    assert end < 0.5 * start


def test_a_validation_loss_that_has_risen_is_warned_of(data, tmp_path, monkeypatch):
    """Weights of the best step lie there as well; the last ones may draw nothing but stripes."""
    losses = iter([0.1, 0.12, 0.16])
    monkeypatch.setattr(Validation, "losses", lambda self, net, batch, bar: [next(losses)])
    for steps, said in ((2, False), (4, False), (6, True)):
        heard = Heard()
        assert train(settings(data, tmp_path / "run", steps=steps), heard).val_loss == 0.1
        assert any("has risen to 0.16, from 0.1" in line for line in heard.said) == said
    assert load_model(tmp_path / "run" / "best.safetensors").meta["step"] == 2


def test_a_model_never_trained_without_label_maps_takes_no_guidance(data, tmp_path):
    trained = train(settings(data, tmp_path / "run", "drop_map=0", "init=none", steps=1))
    assert load_model(trained.model).defaults["guidance"] == 1
    with pytest.raises(UsageError, match=r"--guidance 2: .*drop_map 0"):
        surgaug.synthesize(data, n=1, model=trained.model, out=tmp_path / "out", guidance=2)


def test_bad_data_is_refused_before_training(data, tmp_path):
    root = write_frames(tmp_path / "frames", 4)
    (root / "labels" / "f002.png").unlink()
    with pytest.raises(DataError, match="f002"):
        train(settings(root, tmp_path / "run"))


def test_a_start_that_is_not_there_is_refused_before_the_frames_are_read(data, tmp_path):
    heard = Heard()
    with pytest.raises(ModelError, match="nowhere: no such model file or run folder"):
        train(settings(data, tmp_path / "run", "init=nowhere"), heard)
    assert not heard.bars


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "surgaug", *args]


def test_its_last_words_are_where_to_look_and_what_to_type_next(data, tmp_path, capsys):
    out = tmp_path / "my run"
    line = ["--data", str(data), "--out", str(out), "--size", "16x16", "--batch", "4", "--steps", "1"]
    assert run_cli(["train", *line, *(x for s in TINY for x in ("--set", s))]) == 0
    said = capsys.readouterr().err.splitlines()
    assert said[-2:] == [
        f"what it makes of validation frames: {out / 'samples'}",
        f"to synthesize, type: surgaug synthesize --masks {data} --model '{out}'",
    ]


def test_of_data_with_splits_it_names_the_training_masks_alone(tmp_path, capsys):
    for split in ("train", "val"):
        write_frames(tmp_path / "data" / split, 4)
    line = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "run"), "--size", "16x16", "--batch", "4"]
    assert run_cli(["train", *line, "--steps", "1", *(x for s in TINY for x in ("--set", s))]) == 0
    assert f"--masks {tmp_path / 'data'} --split train --model" in capsys.readouterr().err.splitlines()[-1]
    for split in ("train", "val"):  # frames that have gone since are no reason to call what is trained a failure
        shutil.rmtree(tmp_path / "data" / split)
    assert run_cli(["train", *line, "--steps", "1", *(x for s in TINY for x in ("--set", s))]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "run" / "last.safetensors")


def test_what_comes_before_training_takes_its_time_once(data, tmp_path, monkeypatch):
    monkeypatch.setattr(denoising.Denoising, "prepare", lambda *given: time.sleep(3))
    heard = Heard()
    begun = train(settings(data, tmp_path / "run", steps=1, minutes=0.08), heard).minutes
    assert begun > 3 / 60
    assert any("0.08 min went by before the first step" in warning for warning in heard.warnings)
    assert train(settings(data, tmp_path / "run", steps=2, minutes=9.0)).minutes - begun < 2 / 60


@pytest.mark.slow
def test_kill_9_and_the_same_line_again(data, tmp_path):
    """The real command, killed each time it saved, then typed again: equal to the one left alone, bit for bit."""

    def line(out: Path) -> list[str]:
        return command(
            "train", "--data", str(data), "--out", str(out), "--size", "16x16", "--batch", "4", "--steps", "12",
            *(x for s in TINY for x in ("--set", s)), "--set", "save_minutes=0",
        )  # fmt: skip

    done = subprocess.run(line(tmp_path / "alone"), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    killed, state = 0, tmp_path / "run" / "state.pt"
    while killed < 2:
        before = state.stat().st_mtime_ns if state.exists() else 0
        process = subprocess.Popen(line(tmp_path / "run"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and (state.stat().st_mtime_ns if state.exists() else 0) == before:
            time.sleep(0.005)
        if process.poll() is not None:
            break
        process.kill()
        process.wait()
        killed += 1
    assert killed >= 1
    done = subprocess.run(line(tmp_path / "run"), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "run" / "last.safetensors")
    assert same(weights(tmp_path / "alone"), weights(tmp_path / "run"))


@pytest.mark.slow
def test_two_processes_train_the_same_model(data, whole, tmp_path):
    """Two gloo processes on halves of the same global batches: the same weights up to the order of additions."""
    line = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "surgaug",
        "train", "--data", str(data), "--out", str(tmp_path / "run"), "--size", "16x16", "--batch", "4",
        "--steps", "12", *(x for s in TINY if "dropout" not in s for x in ("--set", s)),
    ]  # fmt: skip
    done = subprocess.run(line, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    one = tmp_path / "one"
    train(settings(data, one, "network.dropout=0"))
    for k, v in weights(one).items():
        torch.testing.assert_close(weights(tmp_path / "run")[k], v, rtol=1e-2, atol=1e-4)


@pytest.mark.slow
def test_compiled_training_keeps_names_resumes_and_gives_the_same_weights(data, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "BACKEND", "aot_eager")
    monkeypatch.setattr(compiled, "OFTEN", 0)
    run, more = tmp_path / "run", "network.dropout=0"  # its draws differ between kernels
    train(settings(data, run, more, steps=3, compile="on"))
    assert json.loads((run / "run.json").read_text())["compiled"]
    train(settings(data, run, more, steps=6))
    assert not json.loads((run / "run.json").read_text())["compiled"]
    train(settings(data, tmp_path / "plain", more, steps=3))
    train(settings(data, tmp_path / "plain", more, steps=6))
    a, b = weights(run), weights(tmp_path / "plain")
    assert a.keys() == b.keys() == weights(whole).keys()
    for name, value in b.items():
        torch.testing.assert_close(a[name], value, rtol=1e-2, atol=1e-4)


@pytest.mark.slow
def test_gradients_that_cannot_be_compiled_are_computed_without(data, whole, tmp_path, monkeypatch):
    def broken(graph, inputs):
        raise RuntimeError("no kernel for it")

    monkeypatch.setattr(compiled, "BACKEND", aot_autograd(fw_compiler=nop, bw_compiler=broken))
    monkeypatch.setattr(compiled, "OFTEN", 0)
    train(settings(data, tmp_path / "run", "network.dropout=0", compile="on", steps=3))
    assert not json.loads((tmp_path / "run" / "run.json").read_text())["compiled"]
    train(settings(data, tmp_path / "plain", "network.dropout=0", steps=3))
    for name, value in weights(tmp_path / "plain").items():
        torch.testing.assert_close(weights(tmp_path / "run")[name], value, rtol=1e-3, atol=1e-5)


def test_a_step_that_is_repeated_without_compiling_counts_no_gradient_twice():
    """The compiled backward pass fails in the second of two pieces."""
    weight = torch.nn.Linear(1, 1, bias=False)
    seen = []

    def update(frames, step, part):
        for piece in range(2):
            weight(torch.ones(1, 1)).sum().backward()
            if not seen and piece == 0:
                seen.append(None)
                raise RuntimeError("no kernel for it")
        seen.append(weight.weight.grad.item())
        return {}

    method = SimpleNamespace(update=update, net=weight)
    compiler = SimpleNamespace(gave_up=lambda error: True)
    loop.update_within_memory(method, None, 0, slice(0, 1), compiler, None, Silent())
    assert seen == [None, 2.0]


def test_out_of_memory_cuts_the_batch_into_pieces_and_goes_on(data, tmp_path, monkeypatch):
    real, seen = NetWithLabels.forward, []

    def small_memory(self, x_t, *more):
        seen.append(len(x_t))
        if len(x_t) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, x_t, *more)

    more, run = "network.dropout=0", tmp_path / "run"
    train(settings(data, tmp_path / "whole", more, steps=2))
    monkeypatch.setattr(NetWithLabels, "forward", small_memory)
    assert train(settings(data, run, more, steps=2)).step == 2
    assert seen == [4, 2, *[1] * 8]
    for name, value in weights(tmp_path / "whole").items():
        torch.testing.assert_close(weights(run)[name], value, rtol=1e-2, atol=1e-4)
