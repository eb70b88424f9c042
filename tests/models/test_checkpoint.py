from __future__ import annotations

import hashlib
import html
import json
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from surgaug.errors import ModelError
from surgaug.inspect.model import inspect_model
from surgaug.labels.label_space import LabelClass, LabelSpace
from surgaug.models.checkpoint import FORMAT, load_model, read_header, save_model, transfer
from surgaug.models.model_files import SHIPPED
from surgaug.models.unet import SemanticUNet, UNetConfig

CONFIG = UNetConfig(
    channels=(16, 32), encoder_blocks=(1, 1), decoder_blocks=(1, 1), attention=(False, True), spade=(True, True),
    spade_hidden=8, label_channels=4, head_dim=16, noise_dim=32,
)  # fmt: skip


def space_of(*names: str) -> LabelSpace:
    return LabelSpace("test", tuple(LabelClass(i * 3, n, "other", (i, 2, 3)) for i, n in enumerate(names)), ignore=200)


def random_net(classes: int) -> SemanticUNet:
    torch.manual_seed(1)
    net = SemanticUNet(CONFIG, classes).eval()
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.1)
    return net


def write(path, net, space, half=False):
    save_model(
        path, net.state_dict(), config=CONFIG, space=space, schedule={"kind": "cosine"}, prediction="v", size=(32, 48),
        defaults={"steps": 40}, meta={"step": 3}, half=half,
    )  # fmt: skip
    return path


def test_round_trip(tmp_path):
    net, space = random_net(3), space_of("a", "b", "c")
    model = load_model(write(tmp_path / "m.safetensors", net, space))
    for k, v in net.state_dict().items():
        assert torch.equal(v, model.net.state_dict()[k])
    assert model.space == space
    assert (model.size, model.prediction, model.schedule) == ((32, 48), "v", {"kind": "cosine"})
    assert len(model.hash) == 64
    assert not model.net.training


def test_a_notebook_shows_what_inspect_says(tmp_path):
    path = write(tmp_path / "m.safetensors", random_net(2), space_of("a", "<b>"))
    report = inspect_model(path)
    shown = load_model(path)._repr_html_()
    assert "<b>" not in shown.replace("<p><b>model</b></p>", "")
    for name, value in report.facts:
        assert f"<tr><td>{name}</td><td>{html.escape(value)}</td></tr>" in shown
    assert shown.index("label space") < shown.index("<details>") < shown.index("kind cosine"), (
        "long settings are folded"
    )

    shown, report = load_model(SHIPPED)._repr_html_(), inspect_model(SHIPPED)
    for name, value in report.facts:
        assert f"<tr><td>{name}</td><td>{html.escape(value)}</td></tr>" in shown
    for title, _, rows in report.tables:
        assert f"<summary>{title}</summary>" in shown
        cells = ("-" if cell is None else html.escape(str(cell)) for row in rows for cell in row)
        assert all(f"<td>{cell}</td>" in shown for cell in cells)
    assert "<td>family</td><td>spade</td>" in replace(load_model(path), header={}, family="spade")._repr_html_()


def test_half_precision_is_half_the_size_and_near(tmp_path):
    net, space = random_net(3), space_of("a", "b", "c")
    full, half = (write(tmp_path / f"{h}.safetensors", net, space, half=h) for h in (False, True))
    # Half the tensor bytes; the JSON header stays but for the digits of its offsets.
    weights = sum(v.numel() * 4 for v in net.state_dict().values())
    assert full.stat().st_size - half.stat().st_size == pytest.approx(weights // 2, abs=256)
    model = load_model(half)
    for k, v in net.state_dict().items():
        assert model.net.state_dict()[k].dtype == torch.float32
        torch.testing.assert_close(model.net.state_dict()[k], v, rtol=1e-3, atol=1e-3)


def test_damaged_and_foreign_files_are_refused(tmp_path):
    good = write(tmp_path / "m.safetensors", random_net(2), space_of("a", "b"))
    data = good.read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(data[: len(data) // 2])
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    torch.save({"x": 1}, tmp_path / "pickle.safetensors")
    for name in ("cut", "other", "pickle", "absent"):
        with pytest.raises(ModelError, match=f"{name}.safetensors"):
            load_model(tmp_path / f"{name}.safetensors")


@pytest.mark.parametrize(
    ("key", "value"), [("config", {"heads": 8}), ("family", "transformer"), ("space", {}), ("size", [16])]
)
def test_a_file_of_a_newer_version_is_named(tmp_path, key, value):
    net, path = random_net(2), tmp_path / "newer.safetensors"
    header = read_header(write(path, net, space_of("a", "b"))) | {key: value}
    save_file(dict(net.state_dict()), path, {"format": FORMAT, "surgaug": json.dumps(header)})
    with pytest.raises(ModelError, match=r"newer\.safetensors: its description cannot be used .* newer version"):
        load_model(path)


def test_a_hostile_pickle_is_never_executed(tmp_path):
    import pickle

    class Hostile:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    (tmp_path / "h.safetensors").write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(ModelError):
        load_model(tmp_path / "h.safetensors")
    assert not (tmp_path / "executed").exists()


def test_transfer_matches_classes_by_name(tmp_path):
    net = random_net(3)
    path = write(tmp_path / "m.safetensors", net, space_of("Pupil", "Iris", "Knife"))
    other = SemanticUNet(CONFIG, 4)
    before = {k: v.clone() for k, v in other.state_dict().items()}
    left = transfer(other, space_of("knife", "Skin", "Pupil", "x"), path)
    assert left == []
    own, theirs = other.state_dict(), net.state_dict()
    assert torch.equal(own["out.weight"], theirs["out.weight"])
    assert torch.equal(own["label_embedding.weight"][:, 0], theirs["label_embedding.weight"][:, 2])
    assert torch.equal(own["label_embedding.weight"][:, 2], theirs["label_embedding.weight"][:, 0])
    assert torch.equal(own["label_embedding.weight"][:, 1], before["label_embedding.weight"][:, 1])


def test_metadata_is_json(tmp_path):
    from safetensors import safe_open

    with safe_open(str(write(tmp_path / "m.safetensors", random_net(2), space_of("a", "b"))), "pt") as f:
        assert json.loads(f.metadata()["surgaug"])["meta"] == {"step": 3}


def test_equal_weights_have_equal_hashes_and_others_others(tmp_path):
    """Neither folders nor minutes go in; weights, classes and schedule do."""
    net, space = random_net(3), space_of("a", "b", "c")

    def hash_of(name: str, net=net, space=space, **changes) -> str:
        given = {"schedule": {"kind": "cosine"}, "meta": {"minutes": 1.0, "train": {"out": "a"}}, **changes}
        path = tmp_path / f"{name}.safetensors"
        save_model(
            path, net.state_dict(), config=CONFIG, space=space, prediction="v", size=(32, 48), defaults={}, **given
        )
        return load_model(path).hash

    first = hash_of("first")
    assert first == hash_of("again", meta={"minutes": 2.0, "train": {"out": "b"}})
    changed = {k: v + 1e-3 if k == "out.bias" else v for k, v in net.state_dict().items()}
    other = SemanticUNet(CONFIG, 3)
    other.load_state_dict(changed)
    others = [
        hash_of("weights", net=other),
        hash_of("classes", space=space_of("b", "a", "c")),
        hash_of("schedule", schedule={"kind": "linear"}),
    ]
    assert len({first, *others}) == 4


def test_a_file_without_a_hash_of_its_own_has_the_files(tmp_path):
    """As version 0.1 wrote them, whose manifests hold it."""
    path = write(tmp_path / "m.safetensors", random_net(3), space_of("a", "b", "c"))
    with safe_open(path, "pt") as file:
        metadata = {k: v for k, v in file.metadata().items() if k != "hash"}
    save_file(load_file(path), path, metadata)
    assert load_model(path).hash == hashlib.sha256(path.read_bytes()).hexdigest()
