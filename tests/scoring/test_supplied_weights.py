"""LPIPS, DINOv2 and CLIP from stand-in files of the published layout, against the libraries that they are of."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision

from surgaug.errors import ModelError
from surgaug.scoring.config import Weights
from surgaug.scoring.features import clip, dinov2
from surgaug.scoring.metrics.lpips import BACKBONES, Lpips

CPU = torch.device("cpu")


def noise(seed=0, hw=(70, 80)):
    return np.random.default_rng(seed).integers(0, 256, (*hw, 3), dtype=np.uint8)


@pytest.fixture(scope="module", params=["alexnet", "vgg16"])
def lpips_files(request, tmp_path_factory):
    """Backbone with random weights, and the published heads; the lpips package's network with the same."""
    lpips = pytest.importorskip("lpips")
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp(request.param)
    short = {"alexnet": "alex", "vgg16": "vgg"}[request.param]
    theirs = lpips.LPIPS(net=short, pnet_rand=True, verbose=False).eval()
    with torch.device("meta"):
        shapes = getattr(torchvision.models, request.param)(weights=None).features.state_dict()
    body = {k: torch.randn(v.shape) * (2 / v[0].numel()) ** 0.5 for k, v in shapes.items()}  # activations stay alive
    for name in body:
        part = next(p for p in theirs.net.state_dict() if p.split(".", 1)[1] == name)
        theirs.net.state_dict()[part].copy_(body[name])
    torch.save(
        {f"features.{k}": v for k, v in body.items()} | {"classifier.6.bias": torch.zeros(9)}, folder / "body.pth"
    )
    heads = {k: v for k, v in theirs.state_dict().items() if k.startswith("lin") and not k.startswith("lins")}
    torch.save(heads, folder / "heads.pth")
    return request.param, folder, theirs


def test_lpips_is_the_lpips_packages(lpips_files):
    name, folder, theirs = lpips_files
    ours = Lpips((folder / "heads.pth", folder / "body.pth"), CPU)  # in either order
    assert ours.backbone == name
    assert len(ours.sha256["heads"]) == 64
    a, b = noise(0), noise(1)
    tensors = [torch.from_numpy(x).permute(2, 0, 1)[None].float() / 127.5 - 1 for x in (a, b)]
    with torch.inference_mode():
        expected = float(theirs(*tensors))
    assert expected > 0.01
    assert ours(a, b) == pytest.approx(expected, rel=1e-4)
    assert ours(a, a) == 0
    with pytest.raises(ValueError, match="needs"):
        ours(a[:15, :15], b[:15, :15])


def test_lpips_files_that_do_not_belong_together(lpips_files, tmp_path):
    _, folder, _ = lpips_files
    with pytest.raises(ModelError, match="two files"):
        Lpips((folder / "body.pth",), CPU)
    wrong = {f"lin{i}.model.1.weight": torch.zeros(1, 7, 1, 1) for i in range(5)}
    torch.save(wrong, tmp_path / "wrong.pth")
    with pytest.raises(ModelError, match="not the linear heads"):
        Lpips((folder / "body.pth", tmp_path / "wrong.pth"), CPU)
    assert set(BACKBONES) == {"alexnet", "vgg16"}


def encoder(name, folder):
    """The extractor of a model folder."""
    return {"dinov2": dinov2, "clip": clip}[name].load(Weights(**{name: folder}), CPU).extract


TINY = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    """A small DINOv2 and a small CLIP, saved as published ones are."""
    library = pytest.importorskip("transformers")
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("encoders")
    models = {
        "dinov2": library.Dinov2Model(library.Dinov2Config(**TINY, image_size=518, patch_size=14)),
        "clip": library.CLIPVisionModelWithProjection(
            library.CLIPVisionConfig(**TINY, intermediate_size=48, projection_dim=16, image_size=336, patch_size=14)
        ),
    }
    for name, model in models.items():
        model.eval().save_pretrained(folder / name)
    return folder, models


def test_dinov2_and_clip_are_transformers(encoders):
    """Prepared by the libraries' own resize and normalisation: torchvision's antialiased bicubic."""
    folder, models = encoders
    images = np.stack([noise(0), noise(1)])
    published = pytest.importorskip("transformers").image_utils
    imagenet = published.IMAGENET_DEFAULT_MEAN, published.IMAGENET_DEFAULT_STD
    openai = published.OPENAI_CLIP_MEAN, published.OPENAI_CLIP_STD
    for name, size, output, colours in (
        ("dinov2", 224, "pooler_output", imagenet),
        ("clip", 336, "image_embeds", openai),
    ):
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
        pixels = torchvision.transforms.functional.resize(
            pixels, [size, size], torchvision.transforms.InterpolationMode.BICUBIC, antialias=True
        ).clamp(0, 255)
        pixels = torchvision.transforms.functional.normalize(pixels / 255, *colours)
        with torch.inference_mode():
            expected = models[name](pixel_values=pixels)[output].numpy()
        ours = encoder(name, folder / name)(images)
        np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-4)
        assert np.abs(ours[0] - ours[1]).max() > 1e-3


def test_encoders_that_are_none(encoders, tmp_path):
    folder, _ = encoders
    with pytest.raises(ModelError, match=r"config.json, and model.safetensors or pytorch_model.bin"):
        encoder("dinov2", tmp_path)
    with pytest.raises(ModelError, match="not a Dinov2Model"):
        encoder("dinov2", folder / "clip")


def test_a_pickle_is_read_for_its_tensors_only(encoders, tmp_path):
    folder, models = encoders
    (tmp_path / "config.json").write_text((folder / "dinov2" / "config.json").read_text())
    torch.save(models["dinov2"].state_dict(), tmp_path / "pytorch_model.bin")
    image = noise()[None]
    np.testing.assert_array_equal(encoder("dinov2", tmp_path)(image), encoder("dinov2", folder / "dinov2")(image))
    torch.save({"embeddings.cls_token": Code(tmp_path / "ran")}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match="not a Dinov2Model"):
        encoder("dinov2", tmp_path)
    assert not (tmp_path / "ran").exists()


class Code:
    """What a pickle may hold: a call that leaves a trace."""

    def __init__(self, trace):
        self._trace = trace

    def __reduce__(self):
        return type(self._trace).touch, (self._trace,)
