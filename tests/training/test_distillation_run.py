"""Distillation, run for real: a student comes nearer to its teacher, and is sampled as it was trained to be."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_loop import same, settings, weights, write_frames

from surgaug.errors import ModelError, UsageError
from surgaug.models.checkpoint import load_model
from surgaug.runtime.feedback import Silent
from surgaug.synthesis.config import SynthesizeConfig
from surgaug.synthesis.inputs import open_inputs
from surgaug.training import presets
from surgaug.training.diffusion_step import draw, generator_of
from surgaug.training.distillation import ConsistencyTeacher, Teacher, draws_again
from surgaug.training.frames import FrameBatch
from surgaug.training.presets import from_command_line
from surgaug.training.run import train


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_frames(tmp_path_factory.mktemp("frames"))


@pytest.fixture(scope="module")
def teacher(data, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "teacher"
    train(settings(data, run, steps=80))
    return run


def student(data: Path, teacher: Path, out: Path, *more: str, **given):
    line = {"data": str(data), "out": str(out), "distill": str(teacher), "batch": 4, "steps": 12, **given}
    return from_command_line("tiny", line, None, ["warmup=2", *more])


def test_a_student_comes_nearer_to_its_teacher(data, teacher, tmp_path):
    first = train(student(data, teacher, tmp_path / "short", steps=1))
    long = train(student(data, teacher, tmp_path / "long", steps=80))
    assert long.val_loss < 0.7 * first.val_loss
    rows = list(csv.DictReader((tmp_path / "long" / "metrics.csv").open()))
    assert len(rows[-1]["val_by_level"].split()) == 4


def test_its_file_says_how_it_is_sampled_and_nothing_else_is_accepted(data, teacher, tmp_path):
    run = tmp_path / "student"
    train(student(data, teacher, run, "student_steps=3", steps=2))
    model, of_teacher = load_model(run / "last.safetensors"), load_model(teacher / "last.safetensors")
    assert (model.space, model.size, model.schedule) == (of_teacher.space, of_teacher.size, of_teacher.schedule)

    def sampling(**given):
        line = {"masks": data, "classes": "auto", "model": run, "out": tmp_path / "out", "n": 2, **given}
        return open_inputs(SynthesizeConfig(**line), Silent()).sampling

    own = sampling()
    assert (own.sampler, own.steps, own.spacing) == ("ddim", 3, "student")
    assert sampling(steps=3, sampler="ddim") == own
    for wrong in ({"steps": 4}, {"sampler": "dpmpp"}, {"options": {"eta": 1.0}}, {"options": {"spacing": "karras"}}):
        with pytest.raises(UsageError, match="student"):
            sampling(**wrong)


def test_another_teacher_under_the_same_path_is_noticed(data, teacher, tmp_path):
    mine, run = shutil.copytree(teacher, tmp_path / "teach"), tmp_path / "student"
    train(student(data, mine, run, steps=2))
    train(settings(data, tmp_path / "other", steps=1))
    other, before = tmp_path / "other" / "last.safetensors", (mine / "last.safetensors").read_bytes()
    shutil.copy(other, mine / "last.safetensors")
    with pytest.raises(UsageError, match=r"--distill .*teach/last\.safetensors: holds another model"):
        train(student(data, mine, run, steps=3))
    (mine / "last.safetensors").write_bytes(before)
    assert train(student(data, mine, run, steps=3)).step == 3


def test_targets_depend_on_seed_and_step_alone(data, teacher, tmp_path):
    train(student(data, teacher, tmp_path / "a", steps=3))
    train(student(data, teacher, tmp_path / "b", steps=3))
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))


def test_every_sample_is_on_one_of_the_students_levels_and_all_are_met(data, teacher):
    config = student(data, teacher, Path("unused"), batch=8)
    teachers = Teacher(config, torch.device("cpu"), None)
    images, maps = torch.zeros(8, 16, 16, 3, dtype=torch.uint8).numpy(), torch.zeros(8, 16, 16, dtype=torch.uint8)

    def targets(part):
        drawn = draw(
            config, FrameBatch(images[part], maps[part].numpy()), 2, part, torch.device("cpu"), generator_of(config, 3)
        )
        return teachers.batch(drawn, 3, part, 0.5, None)

    batch = targets(slice(0, 8))
    levels = [segment[0] ** 0.5 for segment in teachers.segments]
    torch.testing.assert_close(sorted(set(batch.noise_level.tolist())), sorted(torch.tensor(levels).float().tolist()))
    half = targets(slice(4, 8))
    torch.testing.assert_close(half.x_t, batch.x_t[4:])
    torch.testing.assert_close(half.target, batch.target[4:])


def test_guidance_is_distilled_along(data, teacher):
    """The guided teacher's estimate is `guided`'s of its two plain ones; its student needs none of its own."""
    config = student(data, teacher, Path("unused"), "teacher_guidance=3")
    teachers = {g: Teacher(replace(config, teacher_guidance=g), torch.device("cpu"), None) for g in (1.0, 3.0)}
    maps = torch.zeros(2, 16, 16, dtype=torch.uint8)
    maps[:, 4:9, 4:9] = 1
    style, x_t = torch.full((2, 7), torch.nan), torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        cond, null = (teachers[1.0].denoise(m, style)(x_t, 0.3) for m in (maps, torch.full_like(maps, 255)))
        both = teachers[3.0].denoise(maps, style)(x_t, 0.3)
    inside = (cond.abs() < 1) & (null.abs() < 1) & (both.abs() < 1)
    assert inside.float().mean() > 0.1
    torch.testing.assert_close(both[inside], (null + 3 * (cond - null))[inside], rtol=1e-3, atol=1e-4)
    limited = Teacher(replace(teachers[3.0].config, teacher_guidance_below=1.0), torch.device("cpu"), None)
    denoise = limited.denoise(maps, style)
    with torch.no_grad():
        torch.testing.assert_close(denoise(x_t, 0.3), cond)  # sigma 1.5
        assert not torch.allclose(denoise(x_t, 0.6), teachers[1.0].denoise(maps, style)(x_t, 0.6))


def test_a_student_of_two_calls_comes_nearer_to_where_its_teacher_arrives(data, teacher, tmp_path):
    how = {"student_steps": 2}
    first = train(student(data, teacher, tmp_path / "short", "student=consistency", steps=1, **how))
    long = train(student(data, teacher, tmp_path / "long", "student=consistency", steps=80, **how))
    assert long.val_loss < 0.8 * first.val_loss
    model = load_model(tmp_path / "long" / "last.safetensors")
    assert model.defaults == {
        "sampler": "consistency", "steps": 2, "guidance": 1.0, "options": {"spacing": "geometric"}, "student": True
    }  # fmt: skip
    line = {"masks": data, "classes": "auto", "model": tmp_path / "long", "out": tmp_path / "out", "n": 2}
    assert open_inputs(SynthesizeConfig(**line), Silent()).sampling.sampler == "consistency"
    with pytest.raises(UsageError, match="student"):
        open_inputs(SynthesizeConfig(**line, steps=4), Silent())


def consistency_batch(config, estimate, part=slice(0, 8), progress=0.9):
    teachers = ConsistencyTeacher(config, torch.device("cpu"), None)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (8, 16, 16, 3), generator=generator, dtype=torch.uint8).numpy()
    maps = torch.randint(0, 2, (8, 16, 16), generator=generator, dtype=torch.uint8).numpy()
    frames = FrameBatch(images[part], maps[part])
    drawn = draw(config, frames, 2, part, torch.device("cpu"), generator_of(config, 3))
    return drawn, teachers.batch(drawn, 3, part, progress, estimate)


def test_two_neighbouring_points_of_one_path_with_the_teachers_guidance(data, teacher):
    config = student(
        data, teacher, Path("unused"), "teacher_guidance=3", "student=consistency", batch=8, student_steps=2
    )
    seen = []

    def estimate(x_r, alpha_bar, condition):
        seen.append((x_r, alpha_bar))
        return torch.full_like(x_r, 0.25)

    drawn, batch = consistency_batch(config, estimate)
    ((x_r, there),) = seen
    here = batch.noise_level.double().square()
    assert (there > here).all() and len(set(here.tolist())) == 8
    assert (batch.target == 0.25).all()
    # Each sample by itself, as the sampler guides it.
    plain = Teacher(config, torch.device("cpu"), None)
    for k in range(8):
        x_0 = plain.denoise(*(c[k : k + 1] for c in drawn.condition))(batch.x_t[k : k + 1], float(here[k])).detach()
        eps = (batch.x_t[k : k + 1] - here[k].sqrt() * x_0) / (1 - here[k]).sqrt()
        expected = there[k].sqrt() * x_0 + (1 - there[k]).sqrt() * eps
        torch.testing.assert_close(x_r[k : k + 1], expected.float(), rtol=1e-3, atol=1e-3)
    _, half = consistency_batch(config, estimate, slice(4, 8))
    torch.testing.assert_close(half.x_t, batch.x_t[4:])


def test_both_passes_have_the_same_dropout(data, teacher):
    config = student(data, teacher, Path("unused"), "student=consistency", batch=8, student_steps=2)
    drawn = []

    def estimate(x_r, alpha_bar, condition):
        drawn.append(torch.rand(3))
        return x_r

    torch.manual_seed(5)
    consistency_batch(config, estimate)
    assert torch.equal(torch.rand(3), drawn[0])


def test_draws_on_mps_are_drawn_again_too(monkeypatch):
    """A machine without MPS: its generator's state is a counter here."""
    state = [torch.tensor([5], dtype=torch.uint8)]
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda device="mps": state[0].clone())
    monkeypatch.setattr(torch.mps, "set_rng_state", lambda new, device="mps": state.__setitem__(0, new))
    torch.manual_seed(5)
    with draws_again(torch.device("mps", 0)):
        state[0] += 1
        drawn = torch.rand(3)
    assert state[0] == 5 and torch.equal(torch.rand(3), drawn)


def test_students_are_progressive_unless_asked_for_otherwise(data, teacher):
    for steps in (1, 2, 4):
        config = student(data, teacher, Path("x"), student_steps=steps)
        assert (config.student, config.loss) == ("progressive", "l2")
    tuned = student(data, teacher, Path("x"), "student=consistency", student_steps=2)
    assert (tuned.student, tuned.loss) == ("consistency", "huber")
    assert student(data, teacher, Path("x"), "student=consistency", "loss=l2", student_steps=2).loss == "l2"
    with pytest.raises(UsageError, match="--distill"):
        from_command_line("tiny", {"data": str(data), "student_steps": 2}, None, [])


def test_what_a_student_cannot_choose_is_refused(data, teacher, tmp_path):
    for more in ("prediction=v", "schedule.timesteps=500", "network.style=false"):
        with pytest.raises(UsageError, match="teacher's"):
            train(student(data, teacher, tmp_path / "x", more))
    with pytest.raises(UsageError, match="classes"):
        train(student(data, teacher, tmp_path / "x", classes="cadis"))
    with pytest.raises(ModelError, match="no such model"):
        student(data, tmp_path / "nowhere", tmp_path / "x")


def test_a_student_teaches_no_student(data, teacher, tmp_path):
    """Between its own few noise levels it was never trained, where a teacher is asked."""
    train(student(data, teacher, tmp_path / "student", steps=1))
    with pytest.raises(UsageError, match=r"a student itself.*teacher/last\.safetensors"):
        student(data, tmp_path / "student", tmp_path / "x")


def test_a_student_is_of_its_teachers_preset(data, teacher, monkeypatch):
    header = presets.read_header(teacher / "last.safetensors")
    monkeypatch.setattr(presets, "read_header", lambda path: header | {"meta": {"train": {"preset": "small"}}})
    chosen = from_command_line("tiny", {"data": str(data), "distill": str(teacher)}, None, [])
    assert (chosen.preset, chosen.batch, chosen.lr) == ("small", 16, presets.STUDENT["lr"])
    assert chosen.out == f"runs/{data.name}-4steps-small-16x16"
