"""Model files and training states that are cut short, bit-flipped, of another kind, or hostile."""

from __future__ import annotations

import pickle
import random

import pytest
import torch
from safetensors.torch import save_file

from surgaug.errors import ModelError
from surgaug.models.checkpoint import load_model
from surgaug.training.run_folder import load_state, save_state


class Hostile:
    """Unpickled, it writes a file."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return open, (str(self.target), "w")


@pytest.fixture
def state_file(tmp_path):
    path = tmp_path / "state.pt"
    save_state(path, {"step": 3, "net": {"a": torch.arange(4000.0), "b": torch.ones(7)}})
    return path


def flips(content: bytes, count: int):
    """`count` copies of `content` with one bit flipped, the first ones near its beginning and its end."""
    rng = random.Random(0)
    places = [8, 40, 200, len(content) - 2] + [rng.randrange(len(content)) for _ in range(count - 4)]
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.randrange(8)
        yield bytes(damaged)


def test_a_flipped_bit_in_a_model_is_refused_or_changes_nothing(model_file, tmp_path):
    whole, path, refused = load_model(model_file), tmp_path / "m.safetensors", 0
    for damaged in flips(model_file.read_bytes(), 40):
        path.write_bytes(damaged)
        try:
            model = load_model(path)
        except ModelError as error:
            assert str(path) in str(error)
            refused += 1
            continue
        assert (model.space, model.schedule, model.size) == (whole.space, whole.schedule, whole.size)
        assert all(torch.equal(v, whole.net.state_dict()[k]) for k, v in model.net.state_dict().items())
    assert refused >= 35  # the others fall on padding


def test_a_flipped_bit_in_a_state_is_refused_or_changes_nothing(state_file):
    whole, content, refused = load_state(state_file), state_file.read_bytes(), 0
    for damaged in flips(content, 60):
        state_file.write_bytes(damaged)
        try:
            state = load_state(state_file)
        except ModelError:
            refused += 1
            continue
        assert state["step"] == 3 and all(torch.equal(state["net"][k], v) for k, v in whole["net"].items())
    assert refused >= 30  # a zip archive pads its records


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9999])
def test_files_cut_short_are_refused(model_file, state_file, tmp_path, share):
    for file, load in ((model_file, load_model), (state_file, load_state)):
        cut = tmp_path / f"cut-{file.name}"
        cut.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
        with pytest.raises(ModelError, match="cut-"):
            load(cut)


def test_files_of_another_kind_are_refused_and_pickles_never_run(tmp_path):
    trap = tmp_path / "ran"
    raw, zipped, tensors = tmp_path / "raw.pt", tmp_path / "zipped.pt", tmp_path / "t.safetensors"
    raw.write_bytes(pickle.dumps(Hostile(trap)))
    torch.save({"step": Hostile(trap)}, zipped)
    save_file({"a": torch.zeros(3)}, tensors)
    for load in (load_model, load_state):
        for file in (raw, zipped, tensors, tmp_path):
            with pytest.raises(ModelError, match=file.name):
                load(file)
    assert not trap.exists()


def test_the_command_names_a_damaged_model_in_one_line(lines, run, model_file, tmp_path):
    damaged = tmp_path / "damaged.safetensors"
    content = bytearray(model_file.read_bytes())
    content[-100] ^= 1
    damaged.write_bytes(content)
    code, _, said = run([*lines("synthesize", tmp_path / "out"), "--model", str(damaged)])
    assert code == 1 and said.count("\n") == 1 and "damaged (its checksum differs)" in said
    assert not (tmp_path / "out").exists()
