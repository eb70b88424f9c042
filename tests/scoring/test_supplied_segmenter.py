"""`--segmenter FILE`: a file that `score` trained, or torchvision's weights; checked before anything is measured."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from segmenter_data import SPACE, labelled, write_set
from torchvision.models import get_model

from surgaug.errors import ModelError, UsageError
from surgaug.labels.label_space import LabelClass, LabelSpace
from surgaug.models.checkpoint import file_hash
from surgaug.runtime.feedback import Silent
from surgaug.scoring.config import Budget, EvaluationConfig, ScoreConfig
from surgaug.scoring.run import run_score
from surgaug.scoring.segmenter.evaluation import open_segmenter
from surgaug.segmenter import weights
from surgaug.segmenter.config import SegmenterConfig
from surgaug.segmenter.network import build
from surgaug.segmenter.training import Trainer, Training, content_key, predict

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A network that `score` trained (two steps), and its file."""
    trainer, config = Trainer(tmp_path_factory.mktemp("cache"), CPU), SegmenterConfig(size=(32, 48), steps=2)
    frames = labelled(4)
    training = Training((frames,), config)
    return trainer.get(training, 2, Silent().task("", None)), trainer.path(training, 2)


def torchvision(path, name="lraspp_mobilenet_v3_large", classes=2, **options):
    network = get_model(name, weights=None, weights_backbone=None, num_classes=classes, **options)
    torch.save(network.state_dict(), path)
    return network.eval()


def test_what_score_trained_is_read_back_with_its_classes_and_size(trained):
    network, path = trained
    own = weights.load(path)
    assert (own.kind, own.ids, own.size, own.sha256) == ("unet", SPACE.ids, (32, 48), file_hash(path))
    images = labelled(3, 1).images
    assert (predict(own.network, images, CPU) == predict(network, images, CPU)).all()
    own.check(SPACE)
    other = LabelSpace("other", (LabelClass(0, "a"), LabelClass(4, "b")))
    with pytest.raises(ModelError, match=r"it tells classes 0, 3 apart, the label maps 0, 4; --classes"):
        own.check(other)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lraspp_mobilenet_v3_large", "fcn_resnet50", "deeplabv3_mobilenet_v3_large"])
def test_torchvisions_weights_are_recognised_and_see_colours_as_published(tmp_path, name):
    path = tmp_path / "weights.pth"
    options = {} if name.startswith("lraspp") else {"aux_loss": True}
    network = torchvision(path, name, 3, **options)
    own = weights.load(path)
    assert (own.kind, own.classes, own.ids, own.size) == (name, 3, None, None)
    images = torch.rand(2, 3, 64, 64)
    mean, sd = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        torch.testing.assert_close(own.network(images), network((images - mean) / sd)["out"])
    with pytest.raises(ModelError, match="it tells 3 classes apart, the label maps 0, 3"):
        own.check(SPACE)


def test_what_is_no_segmenter_is_refused(trained, tmp_path):
    state = load_file(trained[1])
    save_file(state, tmp_path / "bare.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "model.safetensors", {"surgaug": json.dumps({"format": "else"})})
    (tmp_path / "broken.safetensors").write_bytes(trained[1].read_bytes()[:100])
    torch.save({"model": print}, tmp_path / "code.pth")
    damaged = {**state, "head.bias": state["head.bias"][:2].clone()}
    about = weights.describe("unet", SPACE, 2, (32, 48))
    save_file(damaged, tmp_path / "damaged.safetensors", about)
    for name, words in {
        "bare.safetensors": "neither a segmenter of `surgaug score` nor",
        "model.safetensors": "no segmenter",
        "broken.safetensors": "not a safetensors file",
        "code.pth": "not a file of PyTorch weights",
        "damaged.safetensors": "damaged, not the unet it says",
        "missing.pth": "no such file",
    }.items():
        with pytest.raises(ModelError, match=words):
            open_segmenter(EvaluationConfig(str(tmp_path / name)))
    with pytest.raises(UsageError, match="--utility and --sweep train segmenters of their own"):
        open_segmenter(EvaluationConfig(str(trained[1]), utility=Budget()))


def test_a_run_evaluates_with_it_and_says_so(trained, tmp_path, monkeypatch):
    monkeypatch.setenv("SURGAUG_CACHE", str(tmp_path / "cache"))
    for name, seed in (("train", 1), ("real", 2), ("synth", 3)):
        write_set(tmp_path / name, 6, seed)

    def run(file: Path):
        return run_score(
            ScoreConfig(
                tmp_path / "real",
                (tmp_path / "synth",),
                metrics=("miou",),
                train=tmp_path / "train",
                evaluation=EvaluationConfig(str(file)),
            )
        )

    report = run(trained[1])
    assert report.segmenter["sha256"] == file_hash(trained[1])
    assert report.segmenter["size"] == (32, 48)
    assert np.isfinite(report.rows[0].measures["miou"].value)
    assert not (tmp_path / "cache" / "segmenters").exists()
    torchvision(tmp_path / "five.pth", classes=5)
    with pytest.raises(ModelError, match="5 classes apart"):
        run(tmp_path / "five.pth")


def test_a_training_starts_from_weights_of_other_classes(trained, tmp_path):
    _, path = trained
    three = build("unet", 3)
    assert weights.initialize(three, path, "unet") == 2  # the last layer's weight and bias
    given = load_file(path)
    assert torch.equal(three.state_dict()["down.0.0.weight"], given["down.0.0.weight"])
    config = SegmenterConfig(size=(32, 48), steps=1)
    known = content_key(Training((labelled(4),), replace(config, init=str(path))), 2)
    assert known != content_key(Training((labelled(4),), config), 2)
    (tmp_path / "copy.safetensors").write_bytes(path.read_bytes())
    assert known == content_key(
        Training((labelled(4),), replace(config, init=str(tmp_path / "copy.safetensors"))), 2
    )  # by content
    save_file({k: v + 1 for k, v in given.items()}, tmp_path / "other.safetensors")
    assert known != content_key(Training((labelled(4),), replace(config, init=str(tmp_path / "other.safetensors"))), 2)


@pytest.mark.parametrize(
    ("file", "network", "theirs", "ours"),
    [
        ("mobilenet_v3_large", "lraspp_mobilenet_v3_large", "features.3.block.0.0.weight", "backbone.3.block.0.0.weight"),  # noqa: E501
        ("resnet50", "fcn_resnet50", "layer1.0.conv1.weight", "backbone.layer1.0.conv1.weight"),
        ("lraspp_mobilenet_v3_large", "lraspp_mobilenet_v3_large", *["classifier.cbr.0.weight"] * 2),
    ],
)  # fmt: skip
def test_published_weights_are_laid_on_the_network_built_on_them(tmp_path, file, network, theirs, ours):
    state = get_model(file, weights=None, **({"weights_backbone": None} if "lraspp" in file else {})).state_dict()
    torch.save(state, tmp_path / "weights.pth")
    open_segmenter(EvaluationConfig(network, init=tmp_path / "weights.pth"))
    net = build(network, 2)
    weights.initialize(net, tmp_path / "weights.pth", network)
    assert torch.equal(net.network.state_dict()[ours], state[theirs])
    with pytest.raises(ModelError, match="0 % of the weights of --segmenter unet are in it"):
        open_segmenter(EvaluationConfig("unet", init=tmp_path / "weights.pth"))


def test_a_start_that_cannot_be_is_refused(trained, tmp_path):
    with pytest.raises(ModelError, match=r"nowhere.pth: no such file"):
        open_segmenter(EvaluationConfig("unet", init=tmp_path / "nowhere.pth"))
    with pytest.raises(UsageError, match="--segmenter-init starts a training"):
        open_segmenter(EvaluationConfig(str(trained[1]), init=trained[1]))


def test_a_run_trains_from_the_start_that_was_given_and_says_so(trained, tmp_path, monkeypatch):
    monkeypatch.setenv("SURGAUG_CACHE", str(tmp_path / "cache"))
    for name, seed in (("train", 1), ("real", 2), ("synth", 3)):
        write_set(tmp_path / name, 6, seed)
    evaluation = EvaluationConfig(steps=1, init=trained[1], size=(32, 48))
    folders = (tmp_path / "real", (tmp_path / "synth",))
    report = run_score(ScoreConfig(*folders, metrics=("miou",), train=tmp_path / "train", evaluation=evaluation))
    assert report.segmenter["init"] == str(trained[1])
    assert report.segmenter["init_sha256"] == file_hash(trained[1])
    learnt, begun = load_file(report.segmenter["file"]), load_file(trained[1])
    scratch = build("unet", 2).state_dict()
    inner = "down.2.3.weight"
    assert (learnt[inner] - begun[inner]).norm() < 0.5 * (scratch[inner] - begun[inner]).norm()
