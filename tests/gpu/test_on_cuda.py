"""What only a CUDA device can show: each command in each precision against the CPU's numbers, and no wait in a step.

    pytest -m gpu tests/gpu        on a machine with such a device; elsewhere all are skipped

`SURGAUG_GPU_TESTS=cpu` runs them on the CPU, where most can hardly fail: to see that the tests themselves work.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training"))

from test_devices import config_of, frames
from test_loop import same, settings, weights, write_frames

from surgaug.errors import Interrupted
from surgaug.io.images import read_image
from surgaug.models import compiled, families
from surgaug.models.model_files import SHIPPED
from surgaug.runtime.device import pick_device, to_device
from surgaug.runtime.distributed import ProcessGroup
from surgaug.runtime.feedback import Silent
from surgaug.scoring.config import ScoreConfig
from surgaug.scoring.run import run_score
from surgaug.synthesis.config import SynthesizeConfig
from surgaug.synthesis.generators import BatchLimit
from surgaug.synthesis.run import synthesize
from surgaug.training import diffusion_step, loop, methods
from surgaug.training.run import train

DEVICE = os.environ.get("SURGAUG_GPU_TESTS", "cuda")
KIND = torch.device(DEVICE).type
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(KIND == "cuda" and not torch.cuda.is_available(), reason="no CUDA device here"),
]
PRECISIONS = ["fp32", "bf16"] + (["fp16"] if KIND == "cuda" else [])
# Grey levels by which a picture may differ from the CPU's on average.
TOLERANCE = {"fp32": 0.1, "bf16": 3.0, "fp16": 1.0}


@pytest.fixture(autouse=True)
def exact_products():
    """No TF32: it would hide behind rounding what is wrong. (pytest's `monkeypatch` cannot undo such attributes.)"""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_frames(tmp_path_factory.mktemp("frames"))


def method(precision: str, model: str = families.DIFFUSION, device: str = DEVICE):
    config = config_of(model, "network.dropout=0")
    torch.manual_seed(0)
    net = families.get(model).build(config.network, 3).to(pick_device(device))
    dtype = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    return methods.get(model).Method(config, net, 3, pick_device(device), dtype, ProcessGroup())


@pytest.mark.parametrize("precision", PRECISIONS)
def test_steps_of_training_are_the_cpus(precision, monkeypatch):
    """With the CPU's noise; ten steps, so that the optimizers are in it."""

    def noise(shape, batch, part, generator, device):
        return to_device(torch.randn((batch, *shape), generator=generator)[part], device)

    monkeypatch.setattr(diffusion_step, "unit_noise", noise)
    losses = []
    for trained in (method("fp32", device="cpu"), method(precision)):
        of_steps = []
        for step in range(10):
            trained.set_rate(step, 0.0)
            given = frames(families.DIFFUSION)
            of_steps.append(float(trained.update(given, step, slice(0, 4))["loss"]))
        losses.append(of_steps)
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-3 if precision == "fp32" else 0.1)


def test_noise_of_a_part_is_that_of_the_whole_batch():
    device = pick_device(DEVICE)
    whole, half = (
        diffusion_step.unit_noise((3, 8, 8), 4, part, torch.Generator().manual_seed(3), device)
        for part in (slice(0, 4), slice(2, 4))
    )
    assert torch.equal(whole[2:], half) and abs(float(whole.std()) - 1) < 0.1
    assert not torch.equal(whole[0], whole[1])


@pytest.mark.skipif(KIND != "cuda", reason="only CUDA tells of waits")
@pytest.mark.parametrize("model", families.names())
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_step_waits_for_nothing(precision, model):
    trained = method(precision, model)
    for step in range(3):
        trained.set_rate(step, step / 2)  # of pix2pixHD the fine generator joins
        if step == 2:  # what is set up once may wait
            torch.cuda.set_sync_debug_mode("error")
        try:
            trained.update(frames(model), step, slice(0, 4))
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("compile_", ["off", "on"])
def test_training_goes_on_where_it_stopped(data, tmp_path, monkeypatch, precision, compile_):
    given = {"device": DEVICE, "precision": precision, "compile": compile_}
    monkeypatch.setattr(compiled, "OFTEN", 2)
    done = train(replace(settings(data, tmp_path / "whole"), **given))
    assert done.step == 12 and np.isfinite(done.val_loss)

    finished = loop.finished
    monkeypatch.setattr(loop, "finished", lambda config, position: position.step >= 6)
    train(replace(settings(data, tmp_path / "part"), **given))
    monkeypatch.setattr(loop, "finished", finished)
    (tmp_path / "part" / "run.json").write_text('{"status": "running"}')
    train(replace(settings(data, tmp_path / "part"), **given))
    whole, part = weights(tmp_path / "whole"), weights(tmp_path / "part")
    if precision == "fp32" and compile_ == "off" and KIND == "cpu":
        assert same(whole, part)
    worst = max(float((whole[k].float() - part[k].float()).abs().max()) for k in whole)
    assert worst < (1e-3 if precision == "fp32" else 0.05)


def images(masks: Path, out: Path, **given) -> np.ndarray:
    config = SynthesizeConfig(masks / "labels", 4, SHIPPED, out, classes="cadis", size="base", steps=6, **given)
    synthesize(config, Silent())
    return np.stack([read_image(path) for path in sorted((out / "images").iterdir())]).astype(float)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("compile_", ["off", "on"])
def test_images_are_the_cpus(data, tmp_path, monkeypatch, precision, compile_):
    monkeypatch.setattr(compiled, "OFTEN", 2)

    ours = images(data, tmp_path / "device", batch=2, device=DEVICE, precision=precision, compile=compile_)
    of_cpu = images(data, tmp_path / "cpu", batch=2, device="cpu", precision="fp32")
    assert np.abs(ours - of_cpu).mean() < TOLERANCE[precision]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_batch_changes_pixels_by_a_grey_level_at_most(data, tmp_path, precision):
    alone, *others = (
        images(data, tmp_path / str(batch), batch=batch, device=DEVICE, precision=precision) for batch in (1, 3, 4)
    )
    assert max(np.abs(other - alone).max() for other in others) <= 1


def test_scores_are_the_cpus(data):
    """Deep features, of the network that is at hand everywhere, of the frames against themselves and others."""
    values = [
        run_score(ScoreConfig(data / "images", (data / "labels",), metrics=("frechet",), device=device, cache=False))
        for device in ("cpu", DEVICE)
    ]
    of_cpu, of_device = ({k: m.value for k, m in report.rows[0].measures.items()} for report in values)
    assert of_cpu.keys() == of_device.keys()
    for name, value in of_cpu.items():
        assert of_device[name] == pytest.approx(value, rel=1e-2), name


def test_out_of_memory_makes_smaller_pieces(monkeypatch):
    """A device that says that it is full, as it does: by an exception in the midst of a step."""
    trained, calls = method("fp32"), []
    gradient = diffusion_step.gradient

    def full_at_first(*args):
        calls.append(args[3])
        if len(calls) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return gradient(*args)

    monkeypatch.setattr("surgaug.training.denoising.gradient", full_at_first)
    trained.set_rate(0, 0.0)
    compiler = compiled.Compiler("off", trained.net, pick_device(DEVICE), Silent())
    given = frames(families.DIFFUSION)
    values = loop.update_within_memory(trained, given, 0, slice(0, 4), compiler, trained.config, Silent())
    assert calls == [1, 2] and np.isfinite(float(values["loss"]))


def test_batches_of_sampling_fill_the_device():
    limit = BatchLimit(None, pick_device(DEVICE))
    assert limit((64, 112)) == min(256, BatchLimit.PIXELS[KIND] // (64 * 112))


def test_stopped_on_the_device(data, tmp_path, monkeypatch):
    def stopping(self, *values):
        return [values[0], True] if len(values) == 2 else list(values)

    monkeypatch.setattr(ProcessGroup, "largest", stopping)
    with pytest.raises(Interrupted, match="stopped at step 1"):
        train(replace(settings(data, tmp_path / "run"), device=DEVICE))
    assert (tmp_path / "run" / "state.pt").is_file()
